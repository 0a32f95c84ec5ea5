"""Results of TLS with other mail servers, as reports tell of them: model, merging, naming of failures. RFC 8460 §4.

The structures are the wire format of reports. Who records and sends them is `mox.reports`.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from mox.dns.resolver import DnsTemporary
from mox.net.tls import TlsFailure

# RFC 8446 §6
_ALERTS = {
    0: "close notify",
    10: "unexpected message",
    20: "bad record MAC",
    22: "record overflow",
    40: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "revoked certificate",
    45: "expired certificate",
    46: "unknown certificate",
    47: "illegal parameter",
    48: "unknown certificate authority",
    49: "access denied",
    50: "error decoding message",
    51: "error decrypting message",
    70: "protocol version not supported",
    71: "insufficient security level",
    80: "internal error",
    86: "inappropriate fallback",
    90: "user canceled",
    109: "missing extension",
    110: "unsupported extension",
    112: "unrecognized name",
    113: "bad certificate status response",
    115: "unknown PSK identity",
    116: "certificate required",
    120: "no application protocol",
}


class PolicyType(StrEnum):
    """RFC 8460 §4.2"""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


class FailureType(StrEnum):
    """RFC 8460 §4.3"""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"
    VALIDATION_FAILURE = "validation-failure"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"


class FailureDetails(msgspec.Struct, frozen=True, rename="kebab"):
    """Failures that have everything but their number in common."""

    result_type: str
    sending_mta_ip: str = ""
    receiving_mx_hostname: str = ""
    receiving_mx_helo: str = ""
    receiving_ip: str = ""
    failed_session_count: int = 0
    additional_information: str = ""
    failure_reason_code: str = ""


class ResultPolicy(msgspec.Struct, frozen=True, rename="kebab"):
    """The policy that sessions were judged by. `policy_domain` in A-labels."""

    policy_type: str
    policy_string: list[str] = []
    policy_domain: str = ""
    mx_host: list[str] = []


class Summary(msgspec.Struct, frozen=True, rename="kebab"):
    """Sessions."""

    total_successful_session_count: int = 0
    total_failure_session_count: int = 0


class PolicyResult(msgspec.Struct, frozen=True, rename="kebab"):
    """What happened under one policy."""

    policy: ResultPolicy
    summary: Summary = Summary()
    failure_details: list[FailureDetails] = []

    def add(self, success: int, failure: int, details: Iterable[FailureDetails] = ()) -> "PolicyResult":
        """With more sessions; counts never become negative, details are counted together."""
        summary = Summary(
            max(0, self.summary.total_successful_session_count + success),
            max(0, self.summary.total_failure_session_count + failure),
        )
        return PolicyResult(self.policy, summary, merge_details((*self.failure_details, *details)))


def merge_details(details: Iterable[FailureDetails]) -> list[FailureDetails]:
    """Equal ones as one, in order of first appearance."""
    counts: dict[FailureDetails, int] = {}
    for detail in details:
        key = msgspec.structs.replace(detail, failed_session_count=0)
        counts[key] = counts.get(key, 0) + detail.failed_session_count
    return [msgspec.structs.replace(key, failed_session_count=count) for key, count in counts.items()]


def merge(results: Sequence[PolicyResult], more: Iterable[PolicyResult]) -> list[PolicyResult]:
    """Results of equal policies as one."""
    merged = list(results)
    for new in more:
        for at, old in enumerate(merged):
            if old.policy == new.policy:
                summary = new.summary
                merged[at] = old.add(
                    summary.total_successful_session_count, summary.total_failure_session_count, new.failure_details
                )
                break
        else:
            merged.append(new)
    return merged


class Recorder:
    """The result of one policy while an attempt goes on. Replace `policy` when it becomes known."""

    def __init__(self, domain: str) -> None:
        self.policy = ResultPolicy("", policy_domain=domain)
        self.success = 0
        self.failure = 0
        self.details: list[FailureDetails] = []

    def set_policy(self, kind: PolicyType, domain: str, strings: Sequence[str] = (), mx: Sequence[str] = ()) -> None:
        """What sessions are judged by from now on."""
        self.policy = ResultPolicy(str(kind), list(strings), domain, list(mx))

    def add(self, success: int, failure: int, *details: FailureDetails) -> None:
        """Count sessions."""
        self.success = max(0, self.success + success)
        self.failure = max(0, self.failure + failure)
        self.details += details

    def result(self) -> PolicyResult | None:
        """None when no policy was found out."""
        if not self.policy.policy_type:
            return None
        return PolicyResult(self.policy).add(self.success, self.failure, self.details)


def dashes(text: str) -> str:
    """Words as part of a reason code."""
    return "-".join(text.lower().replace("/", " ").split())


def certificate_failure(kind: str) -> tuple[FailureType, str]:
    """Result type and reason code for what verification says of a certificate."""
    match kind:
        case "certificate-expired" | "certificate-not-yet-valid":
            return FailureType.CERTIFICATE_EXPIRED, ""
        case "certificate-name":
            return FailureType.CERTIFICATE_HOST_MISMATCH, ""
        case "certificate-issuer":
            return FailureType.CERTIFICATE_NOT_TRUSTED, ""
        case "certificate-revoked":
            return FailureType.CERTIFICATE_NOT_TRUSTED, "revoked"
        case "certificate":
            return FailureType.CERTIFICATE_NOT_TRUSTED, "invalid-certificate"
        case _:
            return FailureType.VALIDATION_FAILURE, "unknown-certificate-verification-error"


def handshake_failure(err: TlsFailure | None, timed_out: bool) -> tuple[FailureType, str]:
    """Result type and reason code for a handshake that failed otherwise than by our judgement of a certificate."""
    if timed_out:
        return FailureType.VALIDATION_FAILURE, "io-timeout-during-handshake"
    if err is None or err.kind == "eof":
        return FailureType.VALIDATION_FAILURE, "connection-closed-during-handshake"
    if err.kind.startswith("certificate"):
        return certificate_failure(err.kind)
    if err.kind in ("not-tls", "sslv2"):
        return FailureType.VALIDATION_FAILURE, "tls-record-header-error"
    if err.alert is not None:
        side = "remote" if err.from_peer else "local"
        return (
            FailureType.VALIDATION_FAILURE,
            f"tls-{side}-alert-{err.alert}-{dashes(_ALERTS.get(err.alert, 'unknown'))}",
        )
    return FailureType.VALIDATION_FAILURE, "tls-remote-error" if err.from_peer else ""


def dns_reason(err: DnsTemporary | None, prefix: str = "dns-extended-error") -> str:
    """Reason code for a DNS error that says more of itself (RFC 8914); empty for others."""
    if err is None or err.code is None:
        return ""
    text = dashes(err.code_text)
    return f"{prefix}-{err.code}-{text}" if text else f"{prefix}-{err.code}"
