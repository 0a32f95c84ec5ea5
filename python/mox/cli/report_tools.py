"""mtasts lookup, tlsrpt …, dmarc parsereportmsg: policies and reports of other domains."""

import datetime
from functools import partial

from mox.cli.command import Command, CommandError, Invocation
from mox.cli.config_domains import domain_argument
from mox.cli.dns_tools import Lines, lookup_failed, print_lines
from mox.cli.mailauth_tools import read_message
from mox.config.readable import readable_json
from mox.dns.resolver import DnsNotFound, DnsTemporary, Resolver
from mox.outbound.mtasts import Fetch, HttpsFetcher, StsError, lookup_record
from mox.reports import dmarcreport, tlsreport
from mox.reports.dmarcreport import Feedback, Row
from mox.reports.unpack import ReportError


async def mtasts_lookup(resolver: Resolver, domain: str, fetch: Fetch) -> Lines:
    """The DNS record and the policy of a domain, as far as they are to be had."""
    lines: Lines = []
    name = f"_mta-sts.{domain}"
    try:
        await lookup_record(resolver, domain)
        texts = (await resolver.txt(name)).records
        lines += [f"DNS TXT record {name}: {text}" for text in texts]
        return [*lines, "", *(await fetch(domain)).splitlines()]
    except StsError as err:
        return [*lines, f"error: {err}"]


async def tlsrpt_lookup(resolver: Resolver, domain: str) -> Lines:
    """The records by which a domain asks for TLS reports. Raises CommandError. RFC 8460 §3"""
    try:
        answer = await resolver.txt(f"_smtp._tls.{domain}")
    except (DnsNotFound, DnsTemporary) as err:
        raise lookup_failed(err) from err
    texts = [text for text in answer.records if text.startswith("v=TLSRPTv1")]
    if not texts:
        raise CommandError(f"no TLSRPT record for {domain}")
    return texts


def dmarc_summary(feedback: Feedback) -> Lines:
    """An aggregate report for people."""
    metadata, policy = feedback.metadata, feedback.policy
    begin, end = (_utc(seconds) for seconds in (metadata.begin, metadata.end))
    lines = [
        f"report: period {begin} - {end}",
        f"organisation: {metadata.org_name}",
        f"report id: {metadata.report_id}",
        f"email: {metadata.email}",
        *(f"error: {error}" for error in metadata.errors),
        f"policy: domain {policy.domain}, adkim {policy.adkim or '-'}, aspf {policy.aspf or '-'}, "
        f"p {policy.policy or '-'}, sp {policy.subdomain_policy or '-'}, pct {policy.percentage}",
    ]
    for row in feedback.rows:
        lines += _row_summary(row)
    return lines


def _utc(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _row_summary(row: Row) -> Lines:
    return [
        f"record: header from {row.header_from}, envelope from {row.envelope_from or '-'}, "
        f"envelope to {row.envelope_to or '-'}",
        f"\t{row.count} messages from {row.source_ip}: disposition {row.disposition}, dkim {row.dkim}, spf {row.spf}",
        *(f"\treason: {reason.type} {reason.comment}".rstrip() for reason in row.reasons),
        *(
            f"\tdkim: domain {a.domain}, selector {a.selector or '-'}, result {a.result} {a.human_result}".rstrip()
            for a in row.dkim_auth
        ),
        *(f"\tspf: domain {a.domain}, scope {a.scope or '-'}, result {a.result}" for a in row.spf_auth),
    ]


def tls_json(report: tlsreport.TlsReport) -> str:
    """A TLS report as JSON, indented by tabs."""
    return readable_json(report)


def _mtasts(invocation: Invocation) -> None:
    domain = domain_argument(invocation.argument(0)).ascii
    print_lines(partial(mtasts_lookup, domain=domain, fetch=HttpsFetcher().fetch))


def _tlsrpt_lookup(invocation: Invocation) -> None:
    print_lines(partial(tlsrpt_lookup, domain=domain_argument(invocation.argument(0)).ascii))


def _tlsrpt_parse(invocation: Invocation) -> None:
    for path in invocation.arguments:
        try:
            print(tls_json(tlsreport.parse_message(read_message(path))))
        except ReportError as err:
            raise CommandError(f"{path}: {err}") from err


def _dmarc_parse(invocation: Invocation) -> None:
    for path in invocation.arguments:
        try:
            feedback = dmarcreport.parse_message(read_message(path))
        except ReportError as err:
            raise CommandError(f"{path}: {err}") from err
        print("\n".join(dmarc_summary(feedback)))


COMMANDS = [
    Command(
        ("dmarc", "parsereportmsg"),
        _dmarc_parse,
        """Print what is in DMARC aggregate reports.

Each file is a message with a report, as it was received.
""",
        "$messagefile ...",
        1,
        None,
    ),
    Command(
        ("mtasts", "lookup"),
        _mtasts,
        """Look up the MTA-STS record of a domain, and fetch its policy.

Servers with MTA-STS deliver to a domain with such a policy only over TLS with a verified certificate.
""",
        "$domain",
        1,
        1,
    ),
    Command(
        ("tlsrpt", "lookup"),
        _tlsrpt_lookup,
        """Look up the TLSRPT record of a domain, which says where reports about TLS connections to it are to be sent.
""",
        "$domain",
        1,
        1,
    ),
    Command(
        ("tlsrpt", "parsereportmsg"),
        _tlsrpt_parse,
        """Print TLS reports as JSON.

Each file is a message with a report, as it was received.
""",
        "$messagefile ...",
        1,
        None,
    ),
]
