"""config ensureacmehostprivatekeys."""

import datetime
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mox.cli.command import Command, CommandError, Invocation
from mox.config.files import create_file
from mox.config.keys import HOST_RSA_BITS, HostKey, load_host_key
from mox.config.listener import Listener
from mox.config.live import Config
from mox.config.pem import PemError, render_pem
from mox.dns.names import parse_domain

RSA, ECDSA = "rsa2048", "ecdsap256"


def _ensure(invocation: Invocation) -> None:
    config = invocation.load_config()
    listeners = {n: o for n, o in config.static.Listeners.items() if o.TLS is not None and o.TLS.ACME}
    if not listeners:
        raise CommandError("no listener has TLS with ACME")
    for name, listener in sorted(listeners.items()):
        made = _missing_keys(config, listener)
        if not made:
            print(f"listener {name} has keys of both kinds")
            continue
        print(f"add to Listeners, {name}, TLS in mox.conf, then restart and add the TLSA records:\n")
        present = listener.TLS.HostPrivateKeyFiles if listener.TLS is not None else []
        print("HostPrivateKeyFiles:\n" + "".join(f"\t- {file}\n" for file in [*present, *made]))


def _missing_keys(config: Config, listener: Listener) -> list[str]:
    """Names of new key files, relative to mox.conf."""
    assert listener.TLS is not None
    folder = config.path.parent
    present = {_kind(key) for f in listener.TLS.HostPrivateKeyFiles if (key := load_host_key(folder / f)) is not None}
    host = parse_domain(listener.Hostname or config.static.Hostname)
    now = datetime.datetime.now().astimezone()
    made = []
    for kind in (RSA, ECDSA):
        if kind in present:
            continue
        cache = config.data_dir / "acme" / "keycerts" / listener.TLS.ACME
        key = _cached(cache / (host.ascii + ("+rsa" if kind == RSA else "")), kind) or _generate(kind)
        name = f"hostkeys/{host.name}.{now:%Y%m%dT%H%M%S}.{kind}.privatekey.pkcs8.pem"
        (folder / "hostkeys").mkdir(mode=0o700, exist_ok=True)
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        create_file(folder / name, render_pem("PRIVATE KEY", der), 0o600)
        print(f"wrote {folder / name}", file=sys.stderr)
        made.append(name)
    return made


def _kind(key: HostKey) -> str:
    return RSA if isinstance(key, rsa.RSAPrivateKey) else ECDSA


def _cached(path: Path, kind: str) -> HostKey | None:
    """The key of a certificate that ACME gave already, so that it stays valid."""
    try:
        key = load_host_key(path)
    except FileNotFoundError:
        return None
    except (OSError, PemError) as err:
        print(f"warning: not using {path}: {err}", file=sys.stderr)
        return None
    if key is None or _kind(key) != kind:
        print(f"warning: not using {path}: its key is of another kind", file=sys.stderr)
        return None
    return key


def _generate(kind: str) -> HostKey:
    if kind == RSA:
        return rsa.generate_private_key(public_exponent=65537, key_size=HOST_RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


COMMANDS = [
    Command(
        ("config", "ensureacmehostprivatekeys"),
        _ensure,
        """Make private keys for the host name that stay the same when certificates are renewed, for DANE.

For each listener with ACME that lacks an RSA-2048 or an ECDSA P-256 key, the key of the certificate in use is taken, or
a new one is made, and written to hostkeys/ beside mox.conf. Prints what to add to mox.conf. Afterwards restart, and add
the TLSA records that `mox config dnsrecords` prints.
""",
    )
]
