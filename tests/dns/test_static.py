"""The resolver that answers from a table keeps to the rules of the real one."""

import pytest

from mox.dns.names import parse_ip
from mox.dns.resolver import DnsNotFound, DnsTemporary, Mx
from mox.dns.static import StaticResolver

ZONE: dict[str, dict[str, list[object]]] = {
    "example.org": {"A": ["10.0.0.1"], "TXT": ["text"], "MX": [Mx(10, "mx.example.org")]},
    "alias.example.org": {"CNAME": ["Example.org"]},
    "loop.example.org": {"CNAME": ["loop.example.org"]},
    "six.example.org": {"AAAA": ["fd00::1"]},
}


async def test_answers_follow_aliases_and_ignore_case() -> None:
    resolver = StaticResolver(ZONE)
    assert list((await resolver.txt("ALIAS.example.org")).records) == ["text"]
    assert list((await resolver.cname("alias.example.org")).records) == ["Example.org"]
    assert [str(ip) for ip in (await resolver.ips("six.example.org")).records] == ["fd00::1"]


@pytest.mark.parametrize("name", ["absent.org", "six.example.org", "a..b"])
async def test_not_found(name: str) -> None:
    with pytest.raises(DnsNotFound):
        await StaticResolver(ZONE).mx(name)


async def test_alias_loop_and_scripted_failures_are_temporary() -> None:
    resolver = StaticResolver(ZONE, fail=[("TXT", "example.org"), ("*", "six.example.org")])
    for name in ("loop.example.org", "example.org", "alias.example.org", "six.example.org"):
        with pytest.raises(DnsTemporary):
            await resolver.txt(name)
    assert (await resolver.a("example.org")).records


async def test_one_family_failing_does_not_hide_the_other() -> None:
    answer = await StaticResolver(ZONE, fail=[("AAAA", "example.org")]).ips("example.org")
    assert [str(ip) for ip in answer.records] == ["10.0.0.1"]
    with pytest.raises(DnsTemporary):
        await StaticResolver(ZONE, fail=[("A", "six.example.org"), ("AAAA", "six.example.org")]).ips("six.example.org")
    with pytest.raises(DnsTemporary):
        await StaticResolver(ZONE, fail=[("A", "absent.org")]).ips("absent.org")


@pytest.mark.parametrize("authentic", [True, False])
async def test_authentic_with_exceptions_counts_every_step(authentic: bool) -> None:
    resolver = StaticResolver(ZONE, authentic=authentic, exceptions=[("TXT", "example.org")])
    assert (await resolver.a("example.org")).authentic == authentic
    assert (await resolver.txt("example.org")).authentic != authentic
    assert not (await resolver.txt("alias.example.org")).authentic


async def test_ptr() -> None:
    resolver = StaticResolver()
    ip = parse_ip("192.0.2.1")
    resolver.add_ptr(ip, "host.example.org", "bad name")
    assert list((await resolver.ptr(ip)).records) == ["host.example.org"]
