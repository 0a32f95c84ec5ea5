"""What new accounts and domains start with."""

import datetime

from mox.config.addresses import Address
from mox.config.domain import DKIMSection, Domain, MTASTSSection, ReportAddress, Selector
from mox.config.model import (
    Account,
    Destination,
    JunkFilterParams,
    JunkFilterSection,
    JunkFlagsSection,
    SubjectPassSection,
)
from mox.dns import names

SIGNATURE_LIFETIME = "72h"


def new_account(address: Address) -> Account:
    """An account with one address. It has no password, so nobody can log in yet."""
    return Account(
        Domain=address.domain.name,
        Destinations={str(address): Destination()},
        RejectsMailbox="Rejects",
        JunkFilter=JunkFilterSection(
            Threshold=0.95,
            Params=JunkFilterParams(Onegrams=True, MaxPower=0.01, TopWords=10, IgnoreWords=0.1, RareWords=2),
        ),
        AutomaticJunkFlags=JunkFlagsSection(
            Enabled=True,
            JunkMailboxRegexp="^(junk|spam)",
            NeutralMailboxRegexp="^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)",
        ),
        SubjectPass=SubjectPassSection(Period=datetime.timedelta(hours=12)),
        NoCustomPassword=True,
    )


def new_domain(
    domain: names.Domain,
    account: str,
    host: names.Domain,
    key_files: dict[str, str],
    now: datetime.datetime,
    *,
    is_disabled: bool = False,
    has_mtasts: bool = True,
) -> Domain:
    """A domain whose reports go to an account. `key_files` has the key of each selector; the first one signs."""
    policy = MTASTSSection(
        PolicyID=now.astimezone(datetime.UTC).strftime("%Y%m%dT%H%M%S"),
        Mode="enforce",
        MaxAge=datetime.timedelta(hours=24),
        MX=[host.ascii],
    )
    selectors = {name: Selector(Expiration=SIGNATURE_LIFETIME, PrivateKeyFile=file) for name, file in key_files.items()}
    return Domain(
        Disabled=is_disabled,
        ClientSettingsDomain=f"mail.{domain.name}",
        LocalpartCatchallSeparator="+",
        DKIM=DKIMSection(Selectors=selectors, Sign=list(key_files)[:1]),
        DMARC=ReportAddress(Localpart="dmarcreports", Account=account, Mailbox="DMARC"),
        MTASTS=policy if has_mtasts else None,
        TLSRPT=ReportAddress(Localpart="tlsreports", Account=account, Mailbox="TLSRPT"),
    )


def selector_names(now: datetime.datetime) -> tuple[str, str]:
    """Selectors of a new domain: the second is a spare to change to."""
    return f"{now.year}a", f"{now.year}b"
