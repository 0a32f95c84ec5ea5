"""config domain …: through the running server."""

from mox.cli.command import Command, CommandError, Flag, Invocation
from mox.dns.names import Domain, DomainError, parse_domain


def domain_argument(text: str) -> Domain:
    """Raises CommandError."""
    try:
        return parse_domain(text)
    except DomainError as err:
        raise CommandError(f"{text!r} is not a domain: {err}") from err


def _add(invocation: Invocation) -> None:
    domain = domain_argument(invocation.argument(0))
    is_disabled = "true" if invocation.switch("disabled") else "false"
    invocation.call("domainadd", is_disabled, domain.name, invocation.argument(1), invocation.argument(2))
    print(f"domain added, remember to add dns records, see:\n\nmox config dnsrecords {domain.name}")


def _remove(invocation: Invocation) -> None:
    domain = domain_argument(invocation.argument(0))
    invocation.call("domainrm", domain.name)
    print(f"domain removed, remember to remove dns records for {domain.name}")


def _disable(invocation: Invocation) -> None:
    invocation.call("domaindisabled", domain_argument(invocation.argument(0)).name, "true")
    print("domain disabled")


def _enable(invocation: Invocation) -> None:
    invocation.call("domaindisabled", domain_argument(invocation.argument(0)).name, "false")
    print("domain enabled")


COMMANDS = [
    Command(
        ("config", "domain", "add"),
        _add,
        """Add a domain with two new DKIM keys, and report addresses for DMARC and TLS.

The account gets mail for postmaster at the domain and the reports. If it does not exist, it is made, and a localpart
for its first address must be given. Afterwards, add the DNS records that `mox config dnsrecords` prints.

Examples:
	mox config domain add example.org mjl
	mox config domain add -disabled example.net new info
""",
        "[-disabled] $domain $account [$localpart]",
        2,
        3,
        (Flag("disabled", "refuse mail for and from the domain until it is enabled", False),),
    ),
    Command(
        ("config", "domain", "rm"),
        _remove,
        """Remove a domain. Accounts stay; their addresses at the domain must be removed before.

DKIM keys of the domain are moved to the directory `old` beside them.
""",
        "$domain",
        1,
        1,
    ),
    Command(
        ("config", "domain", "disable"),
        _disable,
        "Refuse mail for and from a domain with a temporary error, and request no certificates for its names.",
        "$domain",
        1,
        1,
    ),
    Command(("config", "domain", "enable"), _enable, "Accept mail for and from a domain again.", "$domain", 1, 1),
]
