"""All Prometheus metrics of the program, under mox's names.

With several processes the core names a directory in `PROMETHEUS_MULTIPROC_DIR` before the workers start; each keeps its
values there, and every process answers for all of them.
"""

import os
from typing import TypeVar, cast

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20)

panics = Counter("mox_panic", "Unexpected exceptions, each a bug.", ["pkg"])
connections = Gauge("mox_connections_count", "Open connections.", ["protocol", "listener"], multiprocess_mode="livesum")
imap_connections = Counter("mox_imap_connection", "Incoming IMAP connections.", ["service"])
imap_commands = Histogram("mox_imap_command_duration_seconds", "IMAP commands.", ["cmd", "result"], buckets=_SECONDS)
smtp_connections = Counter("mox_smtpserver_connection", "Incoming SMTP connections.", ["kind"])
smtp_commands = Histogram(
    "mox_smtpserver_command_duration_seconds",
    "SMTP commands.",
    ["kind", "cmd", "code", "ecode"],
    buckets=(*_SECONDS, 30, 60, 120),
)
authentications = Counter("mox_authentication", "Log-in attempts.", ["protocol", "mechanism", "result"])
deliveries = Counter("mox_smtpserver_delivery", "Incoming deliveries.", ["result", "reason"])
smtp_submissions = Counter("mox_smtpserver_submission", "Submitted messages.", ["result"])
smtp_errors = Counter("mox_smtpserver_errors", "Errors that do not stop a message.", ["error"])
subjectpass_generated = Counter("mox_subjectpass_generate", "Subject passes that refusals offered.")
subjectpass_verifications = Counter("mox_subjectpass_verify", "Subject passes that messages came with.", ["result"])
smtp_starttls = Counter("mox_smtpserver_delivery_starttls", "STARTTLS of incoming connections.")
smtp_starttls_errors = Counter(
    "mox_smtpserver_delivery_starttls_errors", "Handshakes of incoming connections that failed.", ["reason"]
)
_DELIVERY_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30, 60, 120)
queue_delivery_seconds = Histogram(
    "mox_queue_delivery_duration_seconds",
    "Deliveries to one host, or by a relay.",
    ["attempt", "transport", "tlsmode", "result"],
    buckets=_DELIVERY_SECONDS,
)
smtpclient_commands = Histogram(
    "mox_smtpclient_command_duration_seconds",
    "Answers of other servers to our commands.",
    ["cmd", "code", "secode"],
    buckets=(*_SECONDS, 30, 60, 120),
)
dane_verifications = Counter("mox_dane_verify", "Certificates compared with TLSA records.")
dane_failures = Counter("mox_dane_verify_errors", "Certificates that no TLSA record fits.")
mtasts_seconds = Histogram(
    "mox_mtasts_get_duration_seconds", "MTA-STS records and policies fetched.", ["result"], buckets=_SECONDS
)
tlsrpt_seconds = Histogram("mox_tlsrpt_lookup_duration_seconds", "TLSRPT look-ups.", ["result"], buckets=_SECONDS)
tls_reports_queued = Counter("mox_tlsrptsend_report_queued", "TLS reports that are on their way.")
tls_report_errors = Counter("mox_tlsrptsend_report_error", "TLS reports that could not be composed or queued.")
dmarc_reports_queued = Counter("mox_dmarcdb_report_queued", "DMARC reports that are on their way.")
dmarc_report_errors = Counter("mox_dmarcdb_report_error", "DMARC reports that could not be composed or queued.")
tls_sessions = Counter("mox_tlsrptdb_session", "Sessions that TLS reports of others tell of.", ["type"])
dmarc_dkim_results = Counter("mox_dmarcdb_dkim_result", "DKIM results in DMARC reports of others.", ["result"])
dmarc_spf_results = Counter("mox_dmarcdb_spf_result", "SPF results in DMARC reports of others.", ["result"])
queue_deliveries = Counter("mox_queue_delivery", "Attempts to deliver from the queue.", ["result"])
dns_lookups = Histogram(
    "mox_dns_lookup_duration_seconds",
    "DNS look-ups that the cache could not answer.",
    ["pkg", "type", "result"],
    buckets=_SECONDS,
)
spf_verifications = Histogram("mox_spf_verify_duration_seconds", "SPF checks.", ["status"], buckets=_SECONDS)
dkim_verifications = Histogram(
    "mox_dkim_verify_duration_seconds", "DKIM signatures checked.", ["algorithm", "status"], buckets=_SECONDS
)
dkim_signatures = Counter("mox_dkim_sign", "DKIM signatures made.", ["key"])
dmarc_verifications = Histogram(
    "mox_dmarc_verify_duration_seconds", "DMARC evaluations.", ["status", "reject", "use"], buckets=_SECONDS
)
iprev_lookups = Histogram("mox_iprev_lookup_total", "Reverse look-ups of clients.", ["status"], buckets=(*_SECONDS, 30))
dnsbl_lookups = Histogram(
    "mox_dnsbl_lookup_duration_seconds", "Look-ups in DNS lists.", ["zone", "status"], buckets=_SECONDS
)
dnsbl_own_addresses = Gauge(
    "mox_dnsbl_ips_success",
    "Own addresses in DNS lists: 1 not listed, 0 listed or not known, -1 without addresses.",
    ["zone", "ip"],
    multiprocess_mode="mostrecent",
)
mtasts_get = Counter("mox_mtastsdb_get", "Look-ups of MTA-STS policies for delivery.", ["result"])
queue_connections = Counter("mox_queue_connection", "Connections to other mail servers.", ["result"])
queue_destinations = Counter("mox_queue_destinations", "Destinations that MX hosts were gathered for.")
queue_destinations_authentic = Counter("mox_queue_destinations_authentic", "Those with DNSSEC.")
queue_dane_required = Counter("mox_queue_destination_dane_required", "Hosts with TLSA records.")
queue_dane_unverified = Counter(
    "mox_queue_destination_dane_starttlsunverified", "Hosts whose TLSA records cannot be used."
)
queue_gathertlsa_errors = Counter("mox_queue_destination_dane_gathertlsa_errors", "TLSA look-ups that failed.")
queue_tlsrequiredno_ignored = Counter(
    "mox_queue_tlsrequiredno_ignored", "Policies not followed because a message says TLS-Required: No.", ["ignored"]
)
smtpclient_tlsrequiredno_ignored = Counter(
    "mox_smtpclient_tlsrequiredno_ignored", "Certificates accepted because of TLS-Required: No.", ["ignored"]
)
queue_requiretls_unsupported = Counter(
    "mox_queue_requiretls_unsupported", "Messages with REQUIRETLS to hosts that do not do it.", ["reason"]
)
queue_plaintext_fallback = Counter("mox_queue_plaintext_fallback", "Deliveries in clear after TLS failed.")
dmarc_evaluated = Counter(
    "mox_dmarcdb_policy_evaluated",
    "Messages that DMARC reports of others tell of.",
    ["domain", "disposition", "dkim", "spf"],
)
queue_hold = Gauge("mox_queue_hold", "Messages in the queue that are on hold.", multiprocess_mode="mostrecent")
queue_dmarc_report_failures = Counter("mox_queue_dmarcreport_failure", "DMARC reports that could not be delivered.")
_HTTP_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30, 60, 120)
_HTTP_LABELS = ["handler", "proto", "method", "code"]
http_requests = Histogram(
    "mox_httpserver_request_duration_seconds", "HTTP requests until the status.", _HTTP_LABELS, buckets=_HTTP_SECONDS
)
http_responses = Histogram(
    "mox_httpserver_response_duration_seconds", "HTTP requests until the end.", _HTTP_LABELS, buckets=_HTTP_SECONDS
)
authentication_ratelimited = Counter(
    "mox_authentication_ratelimited", "Log-ins refused after too many failures.", ["kind"]
)
_API_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30)
webapi_submissions = Counter("mox_webapi_submission", "Messages sent with the webapi.", ["result"])
webapi_errors = Counter("mox_webapi_errors", "Failures in sending with the webapi.", ["error"])
webapi_results = Counter("mox_webapi_results", "Calls of the webapi.", ["method", "result"])
webapi_seconds = Histogram("mox_webapi_duration_seconds", "Calls of the webapi.", ["method"], buckets=_API_SECONDS)
webhook_seconds = Histogram("mox_webhook_request_duration_seconds", "Calls of webhooks.", buckets=_API_SECONDS)
webhook_results = Counter("mox_webhook_results", "Calls of webhooks.", ["code"])


Labelled = TypeVar("Labelled", Counter, Histogram)
_labelled: dict[tuple[Counter | Histogram, tuple[str, ...]], Counter | Histogram] = {}


def labelled(metric: Labelled, *values: str) -> Labelled:
    """`metric.labels(*values)`, which takes a lock and longer than counting, looked up once. Not for gauges: their
    labels may be forgotten."""
    found = _labelled.get((metric, values))
    if found is None:
        found = _labelled[metric, values] = metric.labels(*values)
    return cast(Labelled, found)


MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def forget(gauge: Gauge, *labels: str) -> None:
    """Show a label no more. Processes that share their values cannot take one back: there it becomes -1."""
    if MULTIPROCESS_VARIABLE in os.environ:
        gauge.labels(*labels).set(-1)
    else:
        gauge.remove(*labels)


def process_ended(pid: int) -> None:
    """A worker is gone: its gauges count no more."""
    if MULTIPROCESS_VARIABLE in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]


def expose() -> bytes:
    """All metrics in the text format, of all processes."""
    if MULTIPROCESS_VARIABLE not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
