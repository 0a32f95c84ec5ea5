"""Transport security with real peers: zones signed by knot and validated by unbound, policies over HTTPS, Postfix."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from mox.dns.system import SystemResolver
from mox.net.tls import ServerTls
from mox.outbound import danedial
from mox.outbound.danedial import DaneError
from mox.outbound.mtasts import HttpsFetcher, NoPolicy, PolicyFetch, PolicySyntax, StsError
from mox.outbound.mtastscache import PolicyCache
from mox.outbound.tlsresult import FailureType, PolicyType
from tests.interop.signed_zones import NEEDED, Zone, serving
from tests.interop.test_outgoing_peers import key_record, postfix, start
from tests.interop.test_smtp_peers import Postfix, wait_until
from tests.net.pki import Ca, Identity, self_signed
from tests.outbound.bench import CA, Bench, new, opened
from tests.smtp.fake_mx import FakeMx

__all__ = ["postfix"]

pytestmark = pytest.mark.interop

# A host of the zone, with TLSA records for its key.
HOST = "@ 300 MX 10 mx\nmx 300 A 127.0.0.1\n_25._tcp.mx 300 TLSA {}\n"
WRONG = "3 1 1 " + "ab" * 32


def use_real_dns(bench: Bench, name_server: str, port: int) -> SystemResolver:
    """Names by the name server; all of them are hosts here, on this port."""
    resolver = SystemResolver.from_servers([name_server])
    bench.use_dns(resolver)
    bench.dialer.ports["127.0.0.1"] = port
    return resolver


@NEEDED
async def test_dane_with_signed_zones(tmp_path: Path, postfix: Postfix) -> None:
    """Postfix behind DNSSEC: the right key is delivered to, a wrong one and a forged zone are not, and TLSA records of
    an unsigned zone mean nothing."""
    start(postfix)
    good = str(key_record(postfix, good=True))
    zones = {
        "good.test": Zone(HOST.format(good)),
        "wrong.test": Zone(HOST.format(WRONG)),
        "unusable.test": Zone(HOST.format(good.replace("3 1 1", "1 1 1"))),
        "forged.test": Zone(HOST.format(good), bogus=True),
        "plain.test": Zone(HOST.format(WRONG), signed=False),
    }
    with serving(tmp_path, zones) as name_server:
        async with opened(tmp_path) as bench:
            resolver = use_real_dns(bench, name_server, postfix.port)
            await bench.add(*(new(f"a@{name}") for name in zones))
            left = {m.recipient_domain: m.results[-1].error for m in await bench.run_due()}
            assert set(left) == {"wrong.test", "forged.test"}, left
            assert "dane verification" in left["wrong.test"] and "lookup" in left["forged.test"]
            results = {r.domain: r for r in bench.tls_results}
            (verified,) = results["good.test"].of_hosts
            assert verified.policy.policy_type == PolicyType.TLSA and verified.policy.policy_string == [good]
            assert verified.summary.total_successful_session_count == 1
            (refused,) = results["wrong.test"].of_hosts
            assert "dane-no-match" in {detail.failure_reason_code for detail in refused.failure_details}
        said: list[str] = []
        conn = await danedial.dial_mx(resolver, "good.test", "", "me.test", said.append, port=postfix.port)
        conn.abort()
        assert said[-1] == f"connected, verified with {good}"
        for name in ("wrong.test", "forged.test", "plain.test"):
            with pytest.raises(DaneError):
                await danedial.dial_mx(resolver, name, "", "me.test", said.append, port=postfix.port)
    wait_until("not accepted", lambda: postfix.log().count("(queue active)") == 3, postfix)


@dataclass
class Web:
    """What is answered to every request."""

    status: int = 200
    body: bytes = b""
    location: str = ""


@contextmanager
def https(identity: Identity, web: Web, folder: Path) -> Iterator[int]:
    """A web server for policies; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/.well-known/mta-sts.txt"
            self.send_response(web.status if found else 404)
            if web.location:
                self.send_header("Location", web.location)
            self.end_headers()
            self.wfile.write(web.body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    (folder / "web.pem").write_bytes(identity.chain_pem + identity.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "web.pem")

    class Server(ThreadingHTTPServer):
        def finish_request(self, request: object, client_address: object) -> None:
            try:
                with context.wrap_socket(request, server_side=True) as tls:  # type: ignore[call-overload]
                    super().finish_request(tls, client_address)
            except (ssl.SSLError, ConnectionError):
                # The client does not like our certificate, which is what some tests want.
                return

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Loopback(httpx.AsyncBaseTransport):
    """The network, with every name leading to one port here; certificates are still verified for the name."""

    def __init__(self, port: int) -> None:
        context = ssl.create_default_context(cadata=CA.pem.decode())
        self._inner, self._port = httpx.AsyncHTTPTransport(verify=context), port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


POLICY = b"version: STSv1\r\nmode: enforce\r\nmax_age: 86400\r\nmx: mx.d.test\r\n"
GOOD = CA.issue("mta-sts.d.test")


@pytest.mark.parametrize(
    ("identity", "web", "error"),
    [
        (GOOD, Web(200, POLICY), None),
        (CA.issue("mta-sts.other.test"), Web(200, POLICY), PolicyFetch),
        (CA.issue("mta-sts.d.test", days=(-10, -1)), Web(200, POLICY), PolicyFetch),
        (Ca().issue("mta-sts.d.test"), Web(200, POLICY), PolicyFetch),
        (self_signed("mta-sts.d.test"), Web(200, POLICY), PolicyFetch),
        (GOOD, Web(301, b"", "https://mta-sts.d.test/"), PolicyFetch),
        (GOOD, Web(404), NoPolicy),
        (GOOD, Web(500), PolicyFetch),
        (GOOD, Web(200, POLICY + b"x: " + b"y" * (64 << 10)), PolicySyntax),
    ],
    ids=["good", "name", "expired", "untrusted", "self-signed", "redirect", "404", "500", "large"],
)
async def test_policies_over_https(tmp_path: Path, identity: Identity, web: Web, error: type[StsError] | None) -> None:
    with https(identity, web, tmp_path) as port:
        transport = Loopback(port)
        fetcher = HttpsFetcher(transport=transport)
        if error is None:
            assert await fetcher.fetch("d.test") == POLICY.decode()
        else:
            with pytest.raises(error) as caught:
                await fetcher.fetch("d.test")
            if isinstance(caught.value, PolicyFetch):
                assert caught.value.certificate is (web.status == 200)
        await transport.aclose()


@pytest.mark.parametrize(
    ("identity", "mode", "delivered"),
    [
        (CA.issue("mx.d.test"), "enforce", True),
        (self_signed("mx.d.test"), "enforce", False),
        (CA.issue("mx.other.test"), "enforce", False),
        (self_signed("mx.d.test"), "testing", True),
        (None, "enforce", False),
        (None, "testing", True),
    ],
    ids=["verified", "self-signed", "other name", "testing", "no tls", "no tls, testing"],
)
async def test_mtasts_from_dns_to_delivery(
    tmp_path: Path, identity: Identity | None, mode: str, delivered: bool
) -> None:
    policy = POLICY.replace(b"enforce", mode.encode())
    mx = FakeMx(starttls="454 4.7.0 not now") if identity is None else FakeMx(tls=ServerTls([identity.pair]))
    with https(GOOD, Web(200, policy), tmp_path) as web_port:
        async with opened(tmp_path) as bench, mx.running() as port:
            bench.add_mx("d.test", "mx.d.test")
            bench.add_host("mx.d.test", "127.0.0.1", port)
            bench.dns.add("_mta-sts.d.test", "TXT", ["v=STSv1; id=1"])
            transport = Loopback(web_port)
            await bench.cache.close()
            bench.cache = PolicyCache(tmp_path, bench.dns, HttpsFetcher(transport=transport).fetch)
            await bench.add(new("a@d.test"))
            assert (await bench.run_due() == []) is delivered
            (results,) = bench.tls_results
            assert results.of_domain is not None and results.of_domain.policy.policy_type == PolicyType.STS
            assert results.of_domain.policy.policy_string == policy.decode().splitlines()
            failures = {d.result_type for d in results.of_domain.failure_details}
            if identity is None:
                assert failures == {FailureType.STARTTLS_NOT_SUPPORTED}
            await transport.aclose()
    assert len(mx.transactions) == int(delivered)
