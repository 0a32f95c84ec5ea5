"""TLS public keys that log in."""

import time

import msgspec

from mox.admin.context import Admin, RequestError, need_address
from mox.server.commands.domains import flag
from mox.server.control import Command, Commands, ControlError, Request
from mox.store import tlskeys

MAX_CERTIFICATE_BYTES = 64 * 1024


def commands(admin: Admin) -> Commands:
    """tlspubkeylist, tlspubkeyget, tlspubkeyadd, tlspubkeyrm."""

    async def list_all(request: Request) -> None:
        account = request.parameters[0]
        keys = await admin.store.read_auth(lambda tx: tlskeys.list_keys(tx, account or None))
        fields = "fingerprint, type, name, account, login address, no imap preauth"
        await request.print(f"# {fields} ({len(keys)})")
        for key in keys:
            name = msgspec.json.encode(key.name).decode()
            values = (key.fingerprint, key.type, name, key.account_name, key.login_address)
            await request.print("\t".join((*values, str(key.no_imap_preauth).lower())))

    async def get(request: Request) -> None:
        key = await _find(admin, request.parameters[0])
        await request.print(key.type, key.name, key.account_name, key.login_address, str(key.no_imap_preauth).lower())
        await request.write(key.cert_der)

    async def add(request: Request) -> None:
        login_address, name, no_imap_preauth = request.parameters
        der = b""
        async for chunk in request.input():
            der += chunk
            if len(der) > MAX_CERTIFICATE_BYTES:
                raise ControlError("the certificate is too large")
        address = need_address(login_address)
        found = admin.config.lookup_address(address.localpart, address.domain.ascii)
        if found is None or found.canonical != str(address):
            raise RequestError(f"{login_address!r} is not a login address, written as in the configuration")
        fingerprint, kind, common_name = tlskeys.parse_certificate(der)
        key = tlskeys.TlsPublicKey(
            fingerprint=fingerprint,
            created_ms=int(time.time() * 1000),
            type=kind,
            name=name or common_name,
            no_imap_preauth=flag(no_imap_preauth),
            cert_der=der,
            account_name=found.account,
            login_address=str(address),
        )
        await admin.store.write_auth(lambda tx: tlskeys.add(tx, key))

    async def remove(request: Request) -> None:
        key = await _find(admin, request.parameters[0])
        await admin.store.write_auth(lambda tx: tlskeys.remove(tx, key.account_name, key.fingerprint))

    return {
        "tlspubkeylist": Command(1, list_all),
        "tlspubkeyget": Command(1, get),
        "tlspubkeyadd": Command(3, add, takes_input=True),
        "tlspubkeyrm": Command(1, remove),
    }


async def _find(admin: Admin, fingerprint: str) -> tlskeys.TlsPublicKey:
    key = await admin.store.read_auth(lambda tx: tlskeys.find(tx, fingerprint))
    if key is None:
        raise RequestError(f"no TLS public key with fingerprint {fingerprint!r}")
    return key
