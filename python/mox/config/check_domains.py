"""Checks of domains in domains.conf; what follows from them goes into the tables."""

import re
from pathlib import Path

from mox.config.domain import MTASTS_MODES, Domain, MTASTSSection
from mox.config.keys import load_selectors
from mox.config.model import Dynamic, Static
from mox.config.problems import Problems
from mox.config.routing import compile_routes
from mox.config.tables import Tables
from mox.config.values import check_canonical_domain, check_domain, check_nfc, check_unique

# RFC 8461 §3.1
_POLICY_ID = re.compile(r"[a-zA-Z0-9]{1,32}")


def check_domains(static: Static, dynamic: Dynamic, folder: Path, tables: Tables, problems: Problems) -> None:
    """Key files are relative to `folder`."""
    has_mtasts = any(listener.MTASTSHTTPS.Enabled for listener in static.Listeners.values())
    for key, domain in dynamic.Domains.items():
        where = f"Domains.{key}"
        name = check_canonical_domain(where, key, problems)
        _check_client_settings(where, domain, key, tables, problems)
        _check_separators(where, domain, problems)
        if domain.MTASTS is not None:
            _check_mtasts(f"{where}.MTASTS", domain.MTASTS, has_mtasts, problems)
        for target in (domain.DMARC, domain.TLSRPT):
            if target is not None:
                check_nfc(f"{where}.DMARC" if target is domain.DMARC else f"{where}.TLSRPT", target.Mailbox, problems)
        selectors = load_selectors(f"{where}.DKIM", domain.DKIM, folder, problems)
        routes = compile_routes(f"{where}.Routes", domain.Routes, static.Transports, problems)
        if name is not None:
            tables.selectors[name.name] = selectors
            tables.domain_routes[name.ascii] = routes


def _check_client_settings(where: str, domain: Domain, key: str, tables: Tables, problems: Problems) -> None:
    if not domain.ClientSettingsDomain:
        return
    name = check_domain(f"{where}.ClientSettingsDomain", domain.ClientSettingsDomain, problems)
    if name is not None:
        tables.client_settings_domains.setdefault(name.ascii, key)


def _check_separators(where: str, domain: Domain, problems: Problems) -> None:
    if domain.LocalpartCatchallSeparator and domain.LocalpartCatchallSeparators:
        problems.add(
            f"{where}.LocalpartCatchallSeparators", "excludes LocalpartCatchallSeparator; list all separators here"
        )
    check_unique(f"{where}.LocalpartCatchallSeparators", domain.LocalpartCatchallSeparators, problems)
    if "" in domain.LocalpartCatchallSeparators:
        problems.add(f"{where}.LocalpartCatchallSeparators", "an empty separator would cut off every localpart")


def _check_mtasts(where: str, policy: MTASTSSection, is_served: bool, problems: Problems) -> None:
    if not is_served:
        problems.add(where, "no listener in mox.conf has MTASTSHTTPS, which serves the policy")
    if not _POLICY_ID.fullmatch(policy.PolicyID):
        problems.add(f"{where}.PolicyID", f"{policy.PolicyID!r} is not 1 to 32 letters and digits")
    if policy.Mode not in MTASTS_MODES:
        problems.add(f"{where}.Mode", f"unknown mode {policy.Mode!r}; use {', '.join(MTASTS_MODES)}")
    for name in policy.MX:
        check_domain(f"{where}.MX", name.removeprefix("*."), problems)
