"""Changing one account or one domain inside of the configuration, without touching what others read."""

from collections.abc import Callable

import msgspec

from mox.admin.context import RequestError
from mox.config.model import Account, Domain, Dynamic


def edit_account(name: str, edit: Callable[[Account], Account]) -> Callable[[Dynamic], Dynamic]:
    """A change of one account. The change raises RequestError if there is no such account."""

    def change(dynamic: Dynamic) -> Dynamic:
        account = dynamic.Accounts.get(name)
        if account is None:
            raise RequestError(f"no such account {name!r}")
        return msgspec.structs.replace(dynamic, Accounts={**dynamic.Accounts, name: edit(account)})

    return change


def edit_domain(name: str, edit: Callable[[Domain], Domain]) -> Callable[[Dynamic], Dynamic]:
    """A change of one domain, named in Unicode. The change raises RequestError if there is no such domain."""

    def change(dynamic: Dynamic) -> Dynamic:
        domain = dynamic.Domains.get(name)
        if domain is None:
            raise RequestError(f"no such domain {name!r}")
        return msgspec.structs.replace(dynamic, Domains={**dynamic.Domains, name: edit(domain)})

    return change
