"""The cache of MTA-STS policies: what a delivery has to follow, and the daily refresh. RFC 8461 §3.3, §5.1, §10.2

A policy that was seen once is followed until it ends, also when DNS or HTTPS are made to fail by an attacker.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mox import log, metrics
from mox.dns.names import parse_domain
from mox.dns.resolver import Resolver
from mox.outbound import mtasts
from mox.outbound.mtasts import Fetch, Policy, StsError
from mox.outbound.records import now_ms
from mox.outbound.tlsresult import FailureDetails, FailureType, PolicyType, Recorder, dns_reason
from mox.store.engine import Engine, Tx

BACKOFF_MS = 5 * 60_000
UNUSED_MS = 180 * 86_400_000
# The last use is recorded no more often than this.
USE_PRECISION_MS = 3_600_000
REFRESH_AGE_MS = 12 * 3_600_000
REFRESH_INTERVAL_S = 86_400.0
REFRESH_SPREAD_S = 3 * 3600.0
REFRESH_TIMEOUT_S = 60.0
RECHECK_TIMEOUT_S = 30.0
FIRST_TIMEOUT_S = 60.0

_NONE = Policy("none", 0)
_logger = log.get("mtasts")


class StsTemporary(Exception):
    """Whether the domain has a policy cannot be found out now; nothing may be delivered without knowing."""


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A row of the cache."""

    domain: str
    inserted_ms: int
    valid_until_ms: int
    updated_ms: int
    used_ms: int
    backoff: bool
    record_id: str
    policy: Policy
    policy_text: str


_COLUMNS = "domain, inserted_ms, valid_until_ms, updated_ms, used_ms, backoff, record_id, policy, policy_text"


class PolicyCache:
    """Policies of a data directory."""

    def __init__(self, data_dir: Path, resolver: Resolver, fetch: Fetch) -> None:
        self._engine = Engine(data_dir / "mtasts.db", "mox.outbound.mtasts_migrations")
        self._resolver, self._fetch = resolver, fetch
        self._dice = random.Random()

    async def get(self, domain: str, recorder: Recorder) -> Policy | None:
        """The policy to follow for a recipient domain (ASCII), None for none; `recorder` learns of it for reports.
        Raises StsTemporary."""
        name = parse_domain(domain, lax=True).name
        cached = await self._engine.read(lambda tx: _find(tx, name))
        if cached is not None and cached.used_ms < now_ms() - USE_PRECISION_MS:
            await self._engine.write(lambda tx: _mark_used(tx, name))
        if cached is None:
            return await self._first(domain, name, recorder)
        if cached.backoff:
            metrics.mtasts_get.labels("backoff").inc()
            recorder.set_policy(PolicyType.STS, domain)
            recorder.add(0, 0, _detail("back-off-after-recent-fetch-error"))
            return None
        metrics.mtasts_get.labels("ok").inc()
        return await self._recheck(domain, name, cached, recorder)

    async def _first(self, domain: str, name: str, recorder: Recorder) -> Policy | None:
        record_id = ""
        started = time.monotonic()
        result = "lookuperror"
        try:
            async with asyncio.timeout(FIRST_TIMEOUT_S):
                record_id = (await mtasts.lookup_record(self._resolver, domain)).id
                result = "fetcherror"
                text = await self._fetch(domain)
                policy = mtasts.parse_policy(text)
                result = "ok"
        except TimeoutError as err:
            metrics.mtasts_get.labels("error").inc()
            raise StsTemporary(f"mta-sts policy of {name}: timeout") from err
        except mtasts.NoRecord:
            metrics.mtasts_get.labels("notfound").inc()
            recorder.set_policy(PolicyType.NONE, domain)
            return None
        except StsError as err:
            return await self._first_failed(domain, name, record_id, err, recorder)
        finally:
            metrics.mtasts_seconds.labels(result).observe(time.monotonic() - started)
        await self._engine.write(lambda tx: _put(tx, name, record_id, policy, text, False, policy.max_age_s * 1000))
        metrics.mtasts_get.labels("ok").inc()
        if policy.mode == "none":
            recorder.set_policy(PolicyType.NONE, domain)
            return None
        _record_policy(recorder, domain, policy, text)
        return policy

    async def _first_failed(
        self, domain: str, name: str, record_id: str, err: StsError, recorder: Recorder
    ) -> Policy | None:
        recorder.set_policy(PolicyType.STS, domain)
        recorder.add(0, 0, failure(err, fallback=False))
        if isinstance(err, mtasts.StsDnsError):
            metrics.mtasts_get.labels("error").inc()
            raise StsTemporary(f"mta-sts policy of {name}: {err}") from err
        metrics.mtasts_get.labels("notfound").inc()
        if isinstance(err, mtasts.NoPolicy | mtasts.PolicyFetch | mtasts.PolicySyntax):
            await self._engine.write(lambda tx: _put(tx, name, record_id, _NONE, "", True, BACKOFF_MS))
        return None

    async def _recheck(self, domain: str, name: str, cached: PolicyRecord, recorder: Recorder) -> Policy | None:
        """The record always tells whether the policy changed; a failure leaves the cached one in force."""
        policy, text = cached.policy, cached.policy_text
        try:
            async with asyncio.timeout(RECHECK_TIMEOUT_S):
                record = await mtasts.lookup_record(self._resolver, domain)
                if record.id != cached.record_id or not text:
                    text = await self._fetch(domain)
                    policy = mtasts.parse_policy(text)
                    max_age_ms = policy.max_age_s * 1000
                    await self._engine.write(lambda tx: _put(tx, name, record.id, policy, text, False, max_age_ms))
        except TimeoutError:
            recorder.add(0, 0, _detail(f"timeout{_FALLBACK if cached.policy.mode != 'none' else ''}"))
        except StsError as err:
            policy, text = cached.policy, cached.policy_text
            recorder.add(0, 0, failure(err, fallback=policy.mode != "none"))
        _record_policy(recorder, domain, policy, text)
        return policy if policy.mode != "none" else None

    async def list_all(self) -> list[PolicyRecord]:
        """All records, those used last first."""
        rows = await self._engine.read(
            lambda tx: tx.run(f"SELECT {_COLUMNS} FROM policies ORDER BY used_ms DESC, domain")
        )
        return [_record(row) for row in rows]

    async def run_refresh(self, stopping: asyncio.Event) -> None:
        """Refresh every day until `stopping` is set, first now."""
        while not stopping.is_set():
            await self.refresh()
            try:
                async with asyncio.timeout(REFRESH_INTERVAL_S):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def refresh(self, spread_s: float = REFRESH_SPREAD_S) -> None:
        """Forget policies that nobody uses, refresh the others, spread over `spread_s`."""
        now = now_ms()

        def pick(tx: Tx) -> list[PolicyRecord]:
            tx.run("DELETE FROM policies WHERE used_ms < ?", now - UNUSED_MS)
            rows = tx.run(f"SELECT {_COLUMNS} FROM policies WHERE updated_ms < ?", now - REFRESH_AGE_MS)
            return [_record(row) for row in rows]

        due = await self._engine.write(pick)
        self._dice.shuffle(due)
        interval_s = spread_s / len(due) if due else 0.0
        async with asyncio.TaskGroup() as group:
            for number, record in enumerate(due):
                wait_s = interval_s * (number + self._dice.uniform(0, 0.5)) if number else 0.0
                group.create_task(self._refresh_later(record, wait_s))

    async def _refresh_later(self, cached: PolicyRecord, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT_S):
                await self._refresh_one(cached)
        except TimeoutError:
            _logger.info("refreshing mta-sts policy", domain=cached.domain, err="timeout")
        except StsError as err:
            _logger.info("refreshing mta-sts policy", domain=cached.domain, err=str(err))

    async def _refresh_one(self, cached: PolicyRecord) -> None:
        domain = parse_domain(cached.domain, lax=True).ascii
        record_id = cached.record_id
        try:
            record = await mtasts.lookup_record(self._resolver, domain)
        except StsError as err:
            if cached.policy.mode == "none":
                if isinstance(err, mtasts.NoRecord):
                    await self._engine.write(lambda tx: tx.run("DELETE FROM policies WHERE domain = ?", cached.domain))
                return
        else:
            if record.id == record_id and not cached.backoff:
                await self._engine.write(lambda tx: _extend(tx, cached))
                return
            record_id = record.id
        text = await self._fetch(domain)
        policy = mtasts.parse_policy(text)
        await self._engine.write(lambda tx: _replace(tx, cached, record_id, policy, text))

    async def close(self) -> None:
        """Close the database."""
        await self._engine.close()


_FALLBACK = "+fallback-to-cached-policy"


def failure(err: StsError, fallback: bool) -> FailureDetails:
    """How a report names a policy that could not be had."""
    match err:
        case mtasts.NoRecord():
            kind, reason = FailureType.STS_POLICY_FETCH_ERROR, "no-mta-sts-dns-txt-record"
        case mtasts.MultipleRecords():
            kind, reason = FailureType.STS_POLICY_FETCH_ERROR, "multiple-mta-sts-records"
        case mtasts.StsDnsError():
            kind, reason = FailureType.STS_POLICY_FETCH_ERROR, dns_reason(err.dns) or "dns-lookup"
        case mtasts.RecordSyntax():
            kind, reason = FailureType.STS_POLICY_FETCH_ERROR, "record-syntax-error"
        case mtasts.NoPolicy():
            kind, reason = FailureType.STS_POLICY_FETCH_ERROR, "no-policy-served"
        case mtasts.PolicyFetch(certificate=True):
            kind, reason = FailureType.STS_WEBPKI_INVALID, "certificate-not-trusted"
        case mtasts.PolicySyntax():
            kind, reason = FailureType.STS_POLICY_INVALID, "policy-syntax-error"
        case _:
            kind, reason = FailureType.STS_POLICY_FETCH_ERROR, "cannot-fetch-policy"
    return FailureDetails(str(kind), failure_reason_code=reason + (_FALLBACK if fallback else ""))


def _detail(reason: str) -> FailureDetails:
    return FailureDetails(str(FailureType.STS_POLICY_FETCH_ERROR), failure_reason_code=reason)


def _record_policy(recorder: Recorder, domain: str, policy: Policy, text: str) -> None:
    recorder.set_policy(PolicyType.STS, domain, text.replace("\r", "").strip("\n").split("\n"), policy.mx)


def _record(row: tuple[Any, ...]) -> PolicyRecord:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return PolicyRecord(**{**values, "policy": msgspec.json.decode(values["policy"], type=Policy)})


def _find(tx: Tx, name: str) -> PolicyRecord | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM policies WHERE domain = ? AND valid_until_ms > ?", name, now_ms())
    return None if row is None else _record(row)


def _mark_used(tx: Tx, name: str) -> None:
    tx.run("UPDATE policies SET used_ms = ? WHERE domain = ?", now_ms(), name)


def _put(tx: Tx, name: str, record_id: str, policy: Policy, text: str, backoff: bool, valid_ms: int) -> None:
    now = now_ms()
    tx.run("DELETE FROM policies WHERE domain = ?", name)
    tx.run(
        f"INSERT INTO policies ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        name,
        now,
        now + valid_ms,
        now,
        now,
        int(backoff),
        record_id,
        msgspec.json.encode(policy).decode(),
        text,
    )


def _extend(tx: Tx, cached: PolicyRecord) -> None:
    now = now_ms()
    tx.run(
        "UPDATE policies SET updated_ms = ?, valid_until_ms = ? WHERE domain = ? AND updated_ms = ?",
        now,
        now + cached.policy.max_age_s * 1000,
        cached.domain,
        cached.updated_ms,
    )


def _replace(tx: Tx, cached: PolicyRecord, record_id: str, policy: Policy, text: str) -> None:
    """Unless a delivery was faster. Being refreshed is not being used."""
    now = now_ms()
    tx.run(
        "UPDATE policies SET updated_ms = ?, valid_until_ms = ?, backoff = 0, record_id = ?, policy = ?, "
        "policy_text = ? WHERE domain = ? AND updated_ms = ?",
        now,
        now + policy.max_age_s * 1000,
        record_id,
        msgspec.json.encode(policy).decode(),
        text,
        cached.domain,
        cached.updated_ms,
    )
