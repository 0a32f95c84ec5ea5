"""Methods on the suppression list of the account (spec/webapi.md section 7)."""

from datetime import UTC, datetime

from mox.config.addresses import Address, AddressError, parse_address
from mox.outbound import suppression
from mox.outbound.composed import to_path
from mox.outbound.suppression import SuppressionError
from mox.web.webapi.api import Call
from mox.web.webapi.errors import ApiError
from mox.webapi import types
from mox.webapi.types import Code, Empty


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except AddressError as err:
        raise ApiError(Code.BAD_ADDRESS, f"parsing address {text[:300]!r}: {err}") from err


async def suppression_list(call: Call, _request: types.SuppressionListRequest) -> types.SuppressionListResult:
    """SuppressionList"""
    found = await call.context.queue.read(lambda tx: suppression.list_all(tx, call.account))
    return types.SuppressionListResult(
        [
            types.Suppression(
                ID=entry.id,
                Created=datetime.fromtimestamp(entry.created_ms / 1000, UTC),
                Account=entry.account,
                BaseAddress=entry.base_address,
                OriginalAddress=entry.original_address,
                Manual=entry.manual,
                Reason=entry.reason,
            )
            for entry in found
        ]
    )


async def suppression_add(call: Call, request: types.SuppressionAddRequest) -> Empty:
    """SuppressionAdd"""
    path = to_path(_address(request.EmailAddress))
    try:
        await call.context.queue.record(
            lambda tx: suppression.add(tx, call.account, path, request.Manual, request.Reason)
        )
    except SuppressionError as err:
        raise ApiError(Code.ERROR, str(err)) from err
    return Empty()


async def suppression_remove(call: Call, request: types.SuppressionRemoveRequest) -> Empty:
    """SuppressionRemove"""
    path = to_path(_address(request.EmailAddress))
    try:
        await call.context.queue.record(lambda tx: suppression.remove(tx, call.account, path))
    except SuppressionError as err:
        raise ApiError(Code.ERROR, str(err)) from err
    return Empty()


async def suppression_present(call: Call, request: types.SuppressionPresentRequest) -> types.SuppressionPresentResult:
    """SuppressionPresent"""
    path = to_path(_address(request.EmailAddress))
    found = await call.context.queue.read(lambda tx: suppression.lookup(tx, call.account, path))
    return types.SuppressionPresentResult(found is not None)
