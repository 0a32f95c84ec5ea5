"""Our resolver behind unbound, which validates what knot signs: AD bit, bogus zones, unsigned zones, truncation."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mox.dns.names import parse_ip
from mox.dns.resolver import DnsNotFound, DnsTemporary
from mox.dns.system import SystemResolver
from mox.mailauth import check
from mox.mailauth.canon import BytesBody

MISSING = [name for name in ("unbound", "knotd", "knotc", "keymgr") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed (`make peers`): {', '.join(MISSING)}"),
]

ZONE = """\
@ 300 SOA ns hostmaster 1 3600 600 86400 60
@ 300 NS ns
ns 300 A 127.0.0.1
@ 300 MX 10 mx
@ 300 TXT "v=spf1 mx -all"
_dmarc 300 TXT "v=DMARC1;p=reject"
mx 300 A 192.0.2.1
alias 300 CNAME mx
outside 300 CNAME mx.plain-zone.org.
_25._tcp.mx 300 TLSA 3 1 1 aabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccdd
big 300 TXT {big}
"""
BIG = " ".join(f'"{chr(97 + i % 26) * 250}"' for i in range(20))
SIGNED = {"signed-zone.org": "on", "bogus-zone.org": "on", "plain-zone.org": "off"}
ZONES = tuple(SIGNED)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_knot(folder: Path, port: int) -> subprocess.Popen[bytes]:
    (folder / "db").mkdir()
    for zone in ZONES:
        (folder / f"{zone}.zone").write_text(f"$ORIGIN {zone}.\n" + ZONE.format(big=BIG))
    zones = "".join(
        f"  - domain: {zone}\n    file: {folder}/{zone}.zone\n    dnssec-signing: {SIGNED[zone]}\n" for zone in ZONES
    )
    (folder / "knot.conf").write_text(
        f"server:\n  listen: 127.0.0.1@{port}\n  rundir: {folder}\n  udp-workers: 1\n  tcp-workers: 1\n"
        f"database:\n  storage: {folder}/db\n"
        "template:\n  - id: default\n    zonefile-sync: -1\n    zonefile-load: difference-no-serial\n"
        "    journal-content: all\n"
        f"zone:\n{zones}"
    )
    return subprocess.Popen(
        ["knotd", "-c", str(folder / "knot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for(condition: str, command: list[str], seconds: float = 20) -> str:
    """Output of `command` as soon as it holds `condition`."""
    until = time.monotonic() + seconds
    while True:
        output = subprocess.run(command, capture_output=True, check=False, timeout=10).stdout.decode()
        if condition in output:
            return output
        assert time.monotonic() < until, f"{command}: {output}"
        time.sleep(0.05)


def start_unbound(folder: Path, port: int, knot_port: int, anchors: list[str]) -> subprocess.Popen[bytes]:
    stubs = "".join(f'stub-zone:\n  name: "{zone}"\n  stub-addr: 127.0.0.1@{knot_port}\n' for zone in ZONES)
    (folder / "unbound.conf").write_text(
        "server:\n"
        f'  directory: "{folder}"\n  chroot: ""\n  username: ""\n  pidfile: ""\n  do-daemonize: no\n  use-syslog: no\n'
        f"  interface: 127.0.0.1\n  port: {port}\n  num-threads: 1\n  do-not-query-localhost: no\n  ede: yes\n"
        '  module-config: "validator iterator"\n  val-log-level: 0\n'
        + "".join(f'  trust-anchor: "{anchor}"\n' for anchor in anchors)
        + "remote-control:\n  control-enable: no\n"
        + stubs
    )
    return subprocess.Popen(
        ["unbound", "-d", "-c", str(folder / "unbound.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def name_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`127.0.0.1:port` of a validating resolver."""
    folder = tmp_path_factory.mktemp("dns")
    port, knot_port = free_port(), free_port()
    processes = [start_knot(folder, knot_port)]
    try:
        for zone in ZONES[:2]:
            ask = ["kdig", "+short", "@127.0.0.1", "-p", str(knot_port), zone, "DNSKEY"]
            wait_for("257 3", ask)
        config = str(folder / "knot.conf")
        signed, bogus = (wait_for(" DS ", ["keymgr", "-c", config, zone, "ds"]).splitlines()[0] for zone in ZONES[:2])
        # A trust anchor for another key makes a zone bogus.
        bogus = bogus[:-8] + ("00000000" if not bogus.endswith("00000000") else "11111111")
        processes.append(start_unbound(folder, port, knot_port, [signed, bogus]))
        wait_for("192.0.2.1", ["kdig", "+short", "@127.0.0.1", "-p", str(port), "mx.plain-zone.org", "A"])
        yield f"127.0.0.1:{port}"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


@pytest.fixture
def resolver(name_server: str) -> SystemResolver:
    return SystemResolver.from_servers([name_server])


async def test_signed_answers_are_authentic(resolver: SystemResolver) -> None:
    assert (await resolver.mx("signed-zone.org")).authentic
    assert (await resolver.a("alias.signed-zone.org")).authentic
    tlsa = await resolver.tlsa("_25._tcp.mx.signed-zone.org")
    assert tlsa.authentic
    assert tlsa.records[0].data == bytes.fromhex("aabbccdd" * 8)
    with pytest.raises(DnsNotFound) as caught:
        await resolver.a("absent.signed-zone.org")
    assert caught.value.authentic


async def test_unsigned_answers_are_not(resolver: SystemResolver) -> None:
    assert not (await resolver.mx("plain-zone.org")).authentic
    assert not (await resolver.a("outside.signed-zone.org")).authentic
    with pytest.raises(DnsNotFound) as caught:
        await resolver.a("absent.plain-zone.org")
    assert not caught.value.authentic


async def test_bogus_zone_is_a_temporary_error_that_names_dnssec(resolver: SystemResolver) -> None:
    with pytest.raises(DnsTemporary, match="SERVFAIL") as caught:
        await resolver.mx("bogus-zone.org")
    assert caught.value.is_dnssec_failure


async def test_ad_bit_is_not_believed_from_afar(name_server: str) -> None:
    believing = SystemResolver.from_servers([name_server, "192.0.2.53"])
    assert not (await believing.mx("signed-zone.org")).authentic


async def test_large_answer_comes_over_tcp(resolver: SystemResolver) -> None:
    assert len((await resolver.txt("big.signed-zone.org")).records[0]) == 20 * 250


async def test_checks_of_a_message(resolver: SystemResolver) -> None:
    facts = check.MessageFacts(
        *(parse_ip("192.0.2.1"), b"From: a@signed-zone.org\r\n\r\n", BytesBody(b""), "a", "signed-zone.org"),
        helo="mx.signed-zone.org",
        from_domain="signed-zone.org",
    )
    found = await check.authenticate(resolver, facts)
    assert (found.spf.status, found.spf.authentic) == ("pass", True)
    assert (found.dmarc.status, found.dmarc.authentic) == ("pass", True)


async def test_checks_of_a_message_of_a_bogus_zone(resolver: SystemResolver) -> None:
    facts = check.MessageFacts(
        *(parse_ip("192.0.2.1"), b"From: a@bogus-zone.org\r\n\r\n", BytesBody(b""), "a", "bogus-zone.org"),
        helo="mx.bogus-zone.org",
        from_domain="bogus-zone.org",
    )
    found = await check.authenticate(resolver, facts)
    assert (found.spf.status, found.dmarc.status, found.dmarc.rejects) == ("temperror", "temperror", False)
