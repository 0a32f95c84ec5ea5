"""config test, describe-static, describe-domains, example, dnsrecords; clientconfig."""

import asyncio
import sys

from mox.cli.command import Command, CommandError, Invocation
from mox.cli.config_domains import domain_argument


def _test(invocation: Invocation) -> int:
    from mox.config.live import Config, ConfigError

    try:
        config = Config.load(invocation.globals.config)
        for name in config.static.Listeners:
            config.server_tls(name)
    except ConfigError as err:
        problems = str(err).split("\n")
        if len(problems) > 1:
            print("multiple errors:", file=sys.stderr)
        for problem in problems:
            print(problem, file=sys.stderr)
        return 1
    print("config OK")
    return 0


def _describe_static(_invocation: Invocation) -> None:
    from mox.config import sconf_write
    from mox.config.model import Static

    print(sconf_write.describe(Static), end="")


def _describe_domains(_invocation: Invocation) -> None:
    from mox.config import sconf_write
    from mox.config.model import Dynamic

    print(sconf_write.describe(Dynamic), end="")


def _describe_sendmail(_invocation: Invocation) -> None:
    from mox.config import sconf_write
    from mox.config.submit import SubmitConfig

    print(sconf_write.describe(SubmitConfig), end="")


def _example(invocation: Invocation) -> None:
    from mox.config.examples import EXAMPLES, example

    name = invocation.argument(0)
    if not name:
        print("\n".join(EXAMPLES))
    elif name not in EXAMPLES:
        raise CommandError(f"not found; there are {', '.join(EXAMPLES)}")
    else:
        print(example(name), end="")


def _dns_records(invocation: Invocation) -> None:
    from mox.admin.dnsrecords import domain_records

    config = invocation.load_config()
    entry = config.domain(domain_argument(invocation.argument(0)).ascii)
    if entry is None:
        raise CommandError(f"unknown domain {invocation.argument(0)!r}")
    public = config.static.Listeners.get("public")
    provider = config.static.ACME.get(public.TLS.ACME) if public is not None and public.TLS is not None else None
    issuer = provider.issuer if provider is not None else ""
    print("\n".join(domain_records(config, entry, asyncio.run(_is_signed(entry.name.ascii)), issuer)))


async def _is_signed(domain: str) -> bool:
    """Whether the resolver validates answers for a domain. Raises CommandError."""
    from mox.dns.resolver import DnsNotFound, DnsTemporary
    from mox.dns.system import SystemResolver

    try:
        return (await SystemResolver().txt(domain)).authentic
    except DnsNotFound as err:
        return err.authentic
    except DnsTemporary as err:
        raise CommandError(f"looking up {domain} for its DNSSEC status: {err}") from err


def _client_config(invocation: Invocation) -> None:
    from mox.config.client_settings import client_configs

    config = invocation.load_config()
    entry = config.domain(domain_argument(invocation.argument(0)).ascii)
    if entry is None:
        raise CommandError(f"unknown domain {invocation.argument(0)!r}")
    print(f"{'Protocol':<20} {'Host':<30} {'Port':>5} {'Listener':<15} Note")
    for row in client_configs(config.static, entry):
        print(f"{row.protocol:<20} {row.host.name:<30} {row.port:>5} {row.listener:<15} {row.note}")
    print(
        "\nTo stop anyone on the way from talking a mail program into a weaker way to log in, set the strongest one"
        "\nthat it has: SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5."
    )


COMMANDS = [
    Command(
        ("config", "test"),
        _test,
        """Check mox.conf and domains.conf without a running server.

Reads keys and certificates too, and changes nothing. Prints `config OK`, or every problem with file and line or with
the path of the option, and ends with status 1.

Example: mox -config config/mox.conf config test
""",
    ),
    Command(
        ("config", "describe-domains"),
        _describe_domains,
        """Print a domains.conf with every option and its explanation.

It is not usable as it is: lists and maps have one empty entry.

Example: mox config describe-domains | less
""",
        ">domains.conf",
    ),
    Command(
        ("config", "describe-static"),
        _describe_static,
        """Print a mox.conf with every option and its explanation.

It is not usable as it is: lists and maps have one empty entry.

Example: mox config describe-static | less
""",
        ">mox.conf",
    ),
    Command(
        ("config", "describe-sendmail"),
        _describe_sendmail,
        "Print a configuration for `mox sendmail` with every option and its explanation.",
        ">/etc/moxsubmit.conf",
    ),
    Command(
        ("config", "dnsrecords"),
        _dns_records,
        """Print the DNS records that a domain should have, with the reasons for each.

Example: mox config dnsrecords example.org
""",
        "$domain",
        1,
        1,
    ),
    Command(
        ("config", "example"),
        _example,
        """Print an example configuration, or the names of all examples.

Example: mox config example webhandlers
""",
        "[$name]",
        0,
        1,
    ),
    Command(
        ("clientconfig",),
        _client_config,
        """Print the settings for mail programs of a domain: protocols, hosts, ports, TLS.

Example: mox clientconfig example.org
""",
        "$domain",
        1,
        1,
    ),
]
