"""SPF: may this address send mail for this domain? RFC 7208.

`verify` picks the identity (§2), evaluates the record with its includes and redirects (§4.6) within the limits of
§4.6.4, and fetches the domain's explanation of a failure (§6.2). Records are parsed in `spfrecord`, macros expanded in
`spfmacro`.
"""

import enum
from dataclasses import replace

from msgspec import Struct

from mox.dns.names import MAX_LABEL, IPAddress, is_same_or_below, is_valid_name
from mox.dns.resolver import Answer, DnsNotFound, DnsTemporary, Kind, Mx, Resolver
from mox.mailauth.spfmacro import (
    MacroError,
    MacroString,
    MacroValues,
    expand,
    expand_domain,
    parse_macro_string,
    uses_letter,
)
from mox.mailauth.spfrecord import Directive, Record, SpfSyntaxError, is_spf, parse_record

MAX_TERMS = 10
MAX_VOID_LOOKUPS = 2
MAX_HOSTS = 10
MAX_EXPLANATION = 800
_MAX_LABELS = 127


class SpfStatus(enum.StrEnum):
    """RFC 7208 §2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class SpfIdentity(enum.StrEnum):
    """Whose domain was checked; `UNKNOWN` when there is none."""

    UNKNOWN = ""
    MAILFROM = "mailfrom"
    HELO = "helo"


_QUALIFIERS = {"+": SpfStatus.PASS, "-": SpfStatus.FAIL, "~": SpfStatus.SOFTFAIL, "?": SpfStatus.NEUTRAL}


class SpfFacts(Struct, frozen=True):
    """What is known of the session. Domains in ASCII; `mail_from_domain` empty for `<>`, `helo` for an IP literal."""

    remote_ip: IPAddress
    mail_from_localpart: str = ""
    mail_from_domain: str = ""
    helo: str = ""
    receiver: str = "unknown"


class SpfResult(Struct, frozen=True):
    """The verdict. `mechanism` is the one that decided, or "default"; `problem` says what is wrong, for errors.

    `explanation` is the domain's own text for a failure, printable ASCII, bounded. `authentic`: all DNS answers were.
    """

    status: SpfStatus
    identity: SpfIdentity = SpfIdentity.UNKNOWN
    domain: str = ""
    mechanism: str = ""
    explanation: str = ""
    problem: str = ""
    authentic: bool = False


class _TempError(Exception):
    pass


class _PermError(Exception):
    pass


class _Outcome(Struct, frozen=True):
    """Of one record: what decided, and the record and domain it stood in, for the explanation."""

    status: SpfStatus
    mechanism: str = ""
    record: Record | None = None
    domain: str = ""
    problem: str = ""


async def verify(resolver: Resolver, facts: SpfFacts) -> SpfResult:
    """Check MAIL FROM, or HELO for the null path. Raises nothing, whatever DNS or the peer says. RFC 7208 §2.4."""
    if facts.mail_from_domain:
        identity, domain, localpart = SpfIdentity.MAILFROM, facts.mail_from_domain, facts.mail_from_localpart
    elif facts.helo:
        identity, domain, localpart = SpfIdentity.HELO, facts.helo, ""
    else:
        return SpfResult(SpfStatus.NONE, problem="no domain to check")
    domain = domain.lower()
    localpart = localpart or "postmaster"
    values = MacroValues(facts.remote_ip, localpart, domain, domain, facts.helo or domain, facts.receiver)
    evaluation = _Evaluation(resolver, values)
    try:
        outcome = await evaluation.check_host(domain)
    except _TempError as err:
        outcome = _Outcome(SpfStatus.TEMPERROR, problem=str(err))
    except _PermError as err:
        outcome = _Outcome(SpfStatus.PERMERROR, problem=str(err))
    authentic = evaluation.authentic
    explanation = await evaluation.explain(outcome) if outcome.status is SpfStatus.FAIL else ""
    return SpfResult(outcome.status, identity, domain, outcome.mechanism, explanation, outcome.problem, authentic)


async def lookup(resolver: Resolver, domain: str) -> tuple[str, Record, bool]:
    """(text, record, authentic) of a domain. Raises DnsNotFound without record, DnsTemporary, SpfSyntaxError."""
    answer = await resolver.txt(domain)
    texts = [text for text in answer.records if is_spf(text)]
    if not texts:
        raise DnsNotFound(f"no SPF record for {domain}", answer.authentic, answer.expires)
    if len(texts) > 1:
        raise SpfSyntaxError("more than one SPF record")
    return texts[0], parse_record(texts[0]), answer.authentic


class _Evaluation:
    """Counters of one check, shared by all its records."""

    def __init__(self, resolver: Resolver, values: MacroValues) -> None:
        self._resolver = resolver
        self._values = values
        self._terms = 0
        self._voids = 0
        self._validated: dict[str, str] = {}
        self.authentic = True

    async def check_host(self, domain: str) -> _Outcome:
        """RFC 7208 §4.3-4.7. Raises _TempError and _PermError."""
        if not _is_checkable(domain):
            return _Outcome(SpfStatus.NONE, problem=f"{domain!r} is no domain name")
        try:
            _, record, authentic = await lookup(self._resolver, domain)
        except DnsNotFound as err:
            self.authentic = self.authentic and err.authentic
            return _Outcome(SpfStatus.NONE, problem="no SPF record")
        except DnsTemporary as err:
            self.authentic = False
            raise _TempError(str(err)) from err
        except SpfSyntaxError as err:
            raise _PermError(f"record of {domain}: {err}") from err
        self.authentic = self.authentic and authentic
        for directive in record.directives:
            if await self._matches(directive, domain):
                return _Outcome(_QUALIFIERS[directive.qualifier], str(directive), record, domain)
        if record.redirect is None:
            return _Outcome(SpfStatus.NEUTRAL, "default", record, domain)
        return await self._redirect(record.redirect, domain)

    async def _redirect(self, target: MacroString, domain: str) -> _Outcome:
        """RFC 7208 §6.1."""
        self._count_term()
        name = await self._target(target, domain)
        outcome = await self.check_host(name)
        if outcome.status is SpfStatus.NONE:
            raise _PermError(f"redirect to {name!r}, which has no record")
        return outcome

    async def _matches(self, directive: Directive, domain: str) -> bool:
        """RFC 7208 §5."""
        ip = self._values.ip
        match directive.mechanism:
            case "all":
                return True
            case "ip4" | "ip6":
                return directive.network is not None and ip in directive.network
        self._count_term()
        name = await self._target(directive.domain, domain) if directive.domain else domain
        match directive.mechanism:
            case "include":
                return await self._include(name)
            case "a":
                return any(directive.covers(ip, found) for found in await self._addresses(name, ip.version))
            case "mx":
                return await self._mx(directive, name)
            case "ptr":
                return any(is_same_or_below(found, name.lower()) for found in await self._validated_names(name))
            case _:
                # exists: an A record whatever the client's family, §5.7.
                return bool(await self._addresses(name, 4, only_family=True))

    async def _include(self, name: str) -> bool:
        """RFC 7208 §5.2."""
        outcome = await self.check_host(name)
        if outcome.status is SpfStatus.NONE:
            raise _PermError(f"include of {name!r}, which has no record")
        return outcome.status is SpfStatus.PASS

    async def _mx(self, directive: Directive, name: str) -> bool:
        """RFC 7208 §5.4, §4.6.4: more hosts than the limit are an error unless an earlier one matches."""
        answer = await self._ask(name, Kind.MX)
        if answer is None:
            return False
        records = sorted((r for r in answer.records if isinstance(r, Mx)), key=lambda record: record.preference)
        for count, host in enumerate(record.host for record in records if record.host != "."):
            if count == MAX_HOSTS:
                raise _PermError(f"more than {MAX_HOSTS} MX hosts at {name}")
            ip = self._values.ip
            if any(directive.covers(ip, found) for found in await self._addresses(host, ip.version)):
                return True
        return False

    def _count_term(self) -> None:
        if self._terms >= MAX_TERMS:
            raise _PermError(f"more than {MAX_TERMS} terms that need DNS")
        self._terms += 1

    def _count_void(self, name: str) -> None:
        self._voids += 1
        if self._voids > MAX_VOID_LOOKUPS:
            raise _PermError(f"more than {MAX_VOID_LOOKUPS} look-ups without an answer, the last of {name}")

    async def _ask(self, name: str, kind: Kind) -> Answer[object] | None:
        """Records, or None; a void look-up is counted. A name that cannot exist is no look-up (§4.8)."""
        if not is_valid_name(name):
            return None
        try:
            answer = await self._resolver.lookup(name, kind)
        except DnsNotFound as err:
            self.authentic = self.authentic and err.authentic
            self._count_void(name)
            return None
        except DnsTemporary as err:
            self.authentic = False
            raise _TempError(str(err)) from err
        self.authentic = self.authentic and answer.authentic
        return answer

    async def _addresses(self, name: str, version: int, only_family: bool = False) -> tuple[IPAddress, ...]:
        """Addresses of the family. Absence counts as void only when the other family has none either."""
        if not is_valid_name(name):
            return ()
        kinds = (Kind.A, Kind.AAAA) if version == 4 else (Kind.AAAA, Kind.A)
        try:
            answer = await self._resolver.lookup(name, kinds[0])
        except DnsNotFound as err:
            self.authentic = self.authentic and err.authentic
        except DnsTemporary as err:
            self.authentic = False
            raise _TempError(str(err)) from err
        else:
            self.authentic = self.authentic and answer.authentic
            return tuple(record for record in answer.records if isinstance(record, IPAddress))
        if only_family or not await self._exists(name, kinds[1]):
            self._count_void(name)
        return ()

    async def _exists(self, name: str, kind: Kind) -> bool:
        """Whether the other family may have addresses; an unanswered question is not held against the domain."""
        try:
            await self._resolver.lookup(name, kind)
        except DnsNotFound:
            return False
        except DnsTemporary:
            return True
        return True

    async def _target(self, spec: MacroString, domain: str) -> str:
        validated = ""
        if uses_letter(spec, "p"):
            self._count_term()
            validated = await self._validated_name(domain)
        return expand_domain(spec, replace(self._values, domain=domain), validated).lower()

    async def _validated_names(self, near: str) -> list[str]:
        """Names of the client that lead back to it, those at or below `near` first. RFC 7208 §5.5."""
        ip = self._values.ip
        try:
            answer = await self._resolver.ptr(ip)
        except DnsNotFound as err:
            self.authentic = self.authentic and err.authentic
            self._count_void(str(ip))
            return []
        except DnsTemporary:
            self.authentic = False
            return []
        self.authentic = self.authentic and answer.authentic
        validated = []
        for name in answer.records[:MAX_HOSTS]:
            try:
                if ip in await self._addresses(name, ip.version):
                    validated.append(name.lower())
            except _TempError:
                continue
        near = near.lower()
        return sorted(validated, key=lambda name: (name != near, not is_same_or_below(name, near)))

    async def _validated_name(self, domain: str) -> str:
        """What `%{p}` stands for. RFC 7208 §7.3."""
        if domain not in self._validated:
            names = await self._validated_names(domain)
            self._validated[domain] = names[0] if names else "unknown"
        return self._validated[domain]

    async def explain(self, outcome: _Outcome) -> str:
        """The text of exp=, or nothing if anything about it is wrong. RFC 7208 §6.2. Counters start anew."""
        if outcome.record is None or outcome.record.explanation is None:
            return ""
        self._terms = self._voids = 0
        values = replace(self._values, domain=outcome.domain)
        try:
            name = await self._target(outcome.record.explanation, outcome.domain)
            answer = await self._resolver.txt(name)
            if len(answer.records) != 1:
                return ""
            string = parse_macro_string(answer.records[0], is_text=True)
            validated = await self._validated_name(outcome.domain) if uses_letter(string, "p") else ""
        except (DnsNotFound, DnsTemporary, MacroError, _PermError, _TempError):
            return ""
        return _printable(expand(string, values, validated))


def _printable(text: str) -> str:
    """A stranger's text for logs and replies: all of it printable ASCII, and not too long, or nothing."""
    if any(not " " <= char <= "~" for char in text):
        return ""
    return text if len(text) <= MAX_EXPLANATION else text[: MAX_EXPLANATION - 3] + "..."


def _is_checkable(domain: str) -> bool:
    """RFC 7208 §4.3: a name with at least two labels of allowed sizes."""
    labels = domain.split(".")
    sizes_fit = all(0 < len(label) <= MAX_LABEL for label in labels)
    return sizes_fit and 1 < len(labels) <= _MAX_LABELS and is_valid_name(domain)
