"""DKIM: published messages, each way to fail, signing, dkimpy both ways."""

from dataclasses import replace
from functools import cache
from typing import Any

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from mox._rust import stage_bytes
from mox.dns.names import Domain
from mox.dns.static import StaticResolver
from mox.mailauth import dkim
from mox.mailauth.canon import BytesBody, MalformedHeader
from mox.mailauth.dkim import DkimResult, Policy, Selector, SignError, Verdict
from mox.mailauth.dkimkey import KeyRecordError, PrivateKey, parse_key_record, record_for
from mox.mailauth.dkimsignature import FIELD, parse_signature, render_signature
from mox.mailauth.taglist import TagError
from tests.conftest import DATA

NOW = 1_700_000_000
LENIENT = Policy(allows_sha1=True, allows_length=True)

MESSAGE = (
    b"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n"
    b"Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n"
    b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
)
# RFC 8463 appendix A.2, RFC 6376 appendix C.
KEYS = {
    "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test._domainkey.football.example.com": (
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
        "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
        "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
        "Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
    ),
    "brisbane._domainkey.example.com": (
        "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt"
        "IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi"
        "tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
    ),
}
RFC6376 = (
    b"DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
    b"      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
    b"      h=Received : From : To : Subject : Date : Message-ID;\r\n"
    b"      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    b"      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
    b"      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
    b"      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
    b"      4bmp/YzhwvcubU4=;\r\n"
    b"Received: from client1.football.example.com  [192.0.2.1]\r\n"
    b"      by submitserver.example.com with SUBMISSION;\r\n"
    b"      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
) + MESSAGE.replace(b"game.  Are", b"game. Are")


@cache
def rsa_key(bits: int = 1024) -> PrivateKey:
    return generate_private_key(65537, bits)


@cache
def ed_key() -> PrivateKey:
    return Ed25519PrivateKey.generate()


def parts(message: bytes) -> tuple[bytes, BytesBody]:
    header, separator, body = message.partition(b"\r\n\r\n")
    return header + separator, BytesBody(body)


def resolver_with(records: dict[str, str | list[str]], **options: Any) -> StaticResolver:
    return StaticResolver({k: {"TXT": [v] if isinstance(v, str) else v} for k, v in records.items()}, **options)


async def verify(
    message: bytes, records: dict[str, Any], policy: Policy = LENIENT, now: float = NOW, **options: Any
) -> list[DkimResult]:
    return await dkim.verify(resolver_with(records, **options), *parts(message), policy, now)


async def sign(message: bytes = MESSAGE, *selectors: Selector, domain: str = "example.org", now: float = NOW) -> bytes:
    return await dkim.sign(*parts(message), Domain(domain), selectors, "joe", now) + message


def published(name: str) -> bytes:
    """A file of the public DKIM data; the test skips where it is absent."""
    path = DATA / "dkim" / name
    if not path.exists():
        pytest.skip("shared/data is not here")
    return path.read_bytes()


def crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.mark.holds("smtp-in-3af6ac")
@pytest.mark.parametrize(
    ("message", "passes"),
    [
        (RFC6376, 1),
        ("rfc8463-example.msg", 2),
        ("rfc6376.signed.rsa.msg", 1),
        ("rfc6376.signed.msg", 2),
    ],
    ids=["rfc6376", "rfc8463", "simple", "two-simple"],
)
async def test_published_messages(message: bytes | str, passes: int) -> None:
    results = await verify(message if isinstance(message, bytes) else crlf(published(message)), KEYS)
    assert [r.status for r in results] == ["pass"] * passes, results


async def test_key_of_exim() -> None:
    message = crlf(published("ed25519test2.msg"))
    records = {"sed._domainkey.test.ex": published("eximtest.dns").decode().strip()}
    result = (await verify(message, records))[0]
    assert result.record is not None
    assert result.record.key_type == "ed25519"


ALL_SELECTORS = [
    ("rsa", "sha256", "relaxed", "relaxed", True),
    ("rsa", "sha1", "simple", "relaxed", False),
    ("rsa", "sha256", "relaxed", "simple", False),
    ("rsa", "sha256", "simple", "simple", True),
    ("ed25519", "sha256", "relaxed", "relaxed", True),
    ("ed25519", "sha256", "simple", "simple", False),
]


def selectors_and_records() -> tuple[list[Selector], dict[str, str]]:
    selectors, records = [], {}
    for number, (key_type, hash_name, header, body, sealed) in enumerate(ALL_SELECTORS):
        key = rsa_key() if key_type == "rsa" else ed_key()
        selectors.append(Selector(f"s{number}", key, hash_name, header, body, is_sealed=sealed))
        records[f"s{number}._domainkey.example.org"] = str(record_for(key, [hash_name]))
    return selectors, records


@pytest.mark.holds("smtp-in-3af6ac")
@pytest.mark.parametrize(
    "message",
    [MESSAGE, MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", MESSAGE + b"\r\n\r\n \t\r\n", MESSAGE + b"no end"],
    ids=["text", "no-body", "empty-lines", "no-line-end"],
)
async def test_sign_with_every_kind_of_selector_and_verify(message: bytes) -> None:
    selectors, records = selectors_and_records()
    signed = await sign(message, *selectors)
    results = await verify(signed, records, authentic=True)
    assert [(r.status, r.authentic) for r in results] == [("pass", True)] * len(selectors), results
    changed = await verify(signed.replace(b"dinner", b"supper"), records)
    assert {r.status for r in changed} == {"fail"}
    appended = await verify(signed + b"x\r\n", records)
    assert {r.status for r in appended} == {"fail"}


@pytest.mark.parametrize(("sealed", "status"), [(True, "fail"), (False, "pass")], ids=["sealed", "not"])
async def test_a_sealed_field_cannot_be_added(sealed: bool, status: str) -> None:
    signed = await sign(MESSAGE, Selector("s", ed_key(), is_sealed=sealed))
    records = {"s._domainkey.example.org": str(record_for(ed_key()))}
    result = (await verify(b"Subject: other\r\n" + signed, records))[0]
    assert result.status == status


@pytest.mark.holds("smtp-in-edc48c")
@pytest.mark.parametrize(
    "header",
    [b"Subject: x\r\n\r\n", b"From: a@b.org\r\nFrom: a@b.org\r\n\r\n"],
    ids=["none", "two-even-identical"],
)
async def test_only_a_message_with_one_from_field_is_signed(header: bytes) -> None:
    with pytest.raises(SignError, match="exactly one From"):
        await sign(header, Selector("s", ed_key()))


async def test_signing_needs_from_among_the_fields_and_a_proper_header() -> None:
    with pytest.raises(SignError, match="does not sign From"):
        await sign(MESSAGE, Selector("s", ed_key(), headers=["Subject"]))
    for header in (b"From: a@b.org\r\n", b" x\r\n\r\n", b"From a\r\n\r\n", b"From: a\n\n"):
        with pytest.raises(MalformedHeader):
            await sign(header, Selector("s", ed_key()))


async def test_signed_field_has_its_tags_in_order_and_short_lines() -> None:
    signed = await sign(MESSAGE, Selector("sel", rsa_key(2048), lifetime_s=3600))
    field = signed.partition(b"\r\nFrom:")[0].decode() + "\r\n"
    assert all(len(line) <= 77 for line in field.splitlines())
    tags = [part.strip().partition("=")[0] for part in field.partition(":")[2].split(";")]
    assert tags == ["v", "d", "s", "i", "a", "c", "t", "x", "h", "bh", "b"]
    parsed = parse_signature(field.encode())
    assert (parsed.signed_at, parsed.expires_at, parsed.identity) == (NOW, NOW + 3600, "joe@example.org")
    assert parsed.headers.count("from") == 2
    assert parsed.headers.count("cc") == 1


class Case:
    """A change to a good signature or its key record, and what becomes of it."""

    def __init__(self, status: str, problem: str, policy: Policy = LENIENT, now: float = NOW, **changes: Any) -> None:
        self.status, self.problem, self.policy, self.now, self.changes = status, problem, policy, now, changes


STRICT = Policy()
CASES = {
    "good": Case("pass", ""),
    "unsigned-from": Case("permerror", "From is not", headers=("subject",)),
    "expired": Case("permerror", "expired", expires_at=NOW - 1, signed_at=NOW - 9),
    "expires-later": Case("pass", "", expires_at=NOW + 1),
    "public-suffix": Case("permerror", "public suffix", domain=Domain("co.uk"), identity_domain=None),
    "top-level": Case("permerror", "public suffix", domain=Domain("localhost"), identity_domain=None),
    "localserve": Case("pass", "", Policy(domains=["localhost"]), domain=Domain("localhost"), identity_domain=None),
    "unknown-hash": Case("permerror", "unknown hash", hash_name="sha512"),
    "unknown-key-type": Case("permerror", "unknown algorithm", key_type="dsa"),
    "unknown-canon": Case("permerror", "unknown canonicalization", body_canon="nofws"),
    "sha1": Case("policy", "sha1", STRICT, key_type="rsa", hash_name="sha1", body_hash=b"x" * 20),
    "length": Case("policy", "only part", STRICT, length=3),
    "length-allowed": Case("fail", "body hash", length=3),
    "subject-unsigned": Case("policy", "Subject", STRICT, headers=("from", "date")),
    "no-record": Case("permerror", "no key record", record=None),
    "dns-failure": Case("temperror", "looking up", fail=True),
    "record-revoked": Case("permerror", "revoked", record="v=DKIM1;k=ed25519;p="),
    "record-broken": Case("permerror", "no p=", record="v=DKIM1;k=rsa"),
    "record-broken-without-version": Case("permerror", "no p=", record="k=rsa"),
    "record-bad-base64": Case("permerror", "bad base64", record="v=DKIM1;p=_"),
    "record-bad-key": Case("permerror", "no valid key", record="v=DKIM1;p=YWJj"),
    "record-other-version": Case("temperror", "no DKIM record", record="v=DKIM2;p=YWJj"),
    "record-of-something-else": Case("temperror", "no DKIM record", record="some text"),
    "records-equal": Case("temperror", "more than one", record=["{good}", "{good}"]),
    "records-other-text-beside": Case("pass", "", record=["{good}", "some text"]),
    "records-broken-beside": Case("permerror", "no p=", record=["{good}", "v=DKIM1"]),
    "record-hash": Case("permerror", "not for this hash", record="{good};h=sha1"),
    "record-hashes": Case("pass", "", record="{good};h=SHA1:SHA256;"),
    "record-key-type": Case("permerror", "another type", record="{rsa}"),
    "record-other-service": Case("permerror", "not for mail", record="{good};s=tlsrpt"),
    "record-services": Case("pass", "", record="{good};s=tlsrpt:email"),
    "record-strict": Case("permerror", "subdomains", record="{good};t=s", identity_domain=Domain("x.example.org")),
    "record-strict-and-equal": Case("pass", "", record="{good};t=s", identity_domain=Domain("example.org")),
    "record-testing": Case("none", "body hash", record="{good};t=y:s", body_hash=b"x" * 32),
    "record-testing-good": Case("pass", "", record="{good};t=y"),
    "record-testing-ignored": Case("fail", "hash", Policy(True), record="{good};t=y", body_hash=b"x" * 32),
    "record-with-end-and-space": Case("pass", "", record="{good} ; \t"),
    "body-hash": Case("fail", "body hash", body_hash=b"x" * 32),
}


@pytest.mark.holds("smtp-in-3af6ac")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_each_way_to_fail(case: Case) -> None:
    changes = dict(case.changes)
    record, fail = changes.pop("record", "{good}"), changes.pop("fail", False)
    header, body = parts(MESSAGE)
    good = parse_signature((await sign(MESSAGE, Selector("s", ed_key()))).partition(b"\r\nFrom:")[0] + b"\r\n")
    unsigned = replace(good, **changes, signature=b"")
    if (unsigned.key_type, unsigned.hash_name) == ("ed25519", "sha256"):
        data = dkim.signed_data(header, unsigned.headers, render_signature(unsigned), unsigned.header_canon)
        signed = replace(unsigned, signature=dkim.make_signature(ed_key(), "sha256", data))
    else:
        signed = replace(unsigned, signature=b"x" * 64)
    texts = [] if record is None else [record] if isinstance(record, str) else record
    values = {"good": str(record_for(ed_key(), [])), "rsa": str(record_for(rsa_key()))}
    name = f"s._domainkey.{signed.domain.ascii}"
    resolver = StaticResolver(
        {name: {"TXT": [text.format_map(values) for text in texts]}}, fail=[("TXT", name)] if fail else []
    )
    (result,) = await dkim.verify(resolver, render_signature(signed) + header, body, case.policy, case.now)
    assert (result.status, case.problem in result.problem) == (case.status, True), result


WEAK = {
    512: "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKcfne/1CWGUlWf5w5T+theZnvOdq+YGjy1+F0YkyGzxwg+HzX9fDCExLH+W+YzEPvvVV+oa/o1J"
    "lPL2fLhFXc0CAwEAAQ==",
    768: "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAMfXO5+rP+ygweLinR/CSUG6EO9ZQBhvgoCk6smIjU5vOAHXFiZf7ZKdhA5hVeltfuGbQdU7Ypo"
    "WxWHFPfa6Lg+3BdO/TDg1SBSSCTPFLomSk6j0UE/Uo/4dzm6KWl2GNwIDAQAB",
}


@pytest.mark.parametrize("bits", WEAK)
async def test_weak_rsa_keys_are_refused(bits: int) -> None:
    """RFC 8301 §3.2."""
    signed = await sign(MESSAGE, Selector("s", rsa_key()))
    (result,) = await verify(signed, {"s._domainkey.example.org": f"v=DKIM1;p={WEAK[bits]}"})
    assert (result.status, result.problem) == ("permerror", f"RSA key of {bits} bits; allowed are 1024 to 8192")


def test_unknown_query_method() -> None:
    signature = parse_signature(f"{FIELD}: {TAGS}; q=http:dns/srv\r\n".encode())
    with pytest.raises(Verdict, match="unknown query"):
        dkim.check_signature(signature, LENIENT, NOW)
    dkim.check_signature(replace(signature, query_methods=("http", "dns/txt")), LENIENT, NOW)


@pytest.mark.parametrize(("excess", "status"), [(0, "pass"), (1, "permerror")])
async def test_partial_body_where_allowed(excess: int, status: str) -> None:
    """RFC 6376 §3.5: l= counts octets of the canonical body, and may not exceed it."""
    header, body = parts(MESSAGE)
    good = parse_signature((await sign(MESSAGE, Selector("s", ed_key()))).partition(b"\r\nFrom:")[0] + b"\r\n")
    ((_, size),) = body.body_hashes([dkim.body_spec(good)])
    unsigned = replace(good, length=size + excess, signature=b"")
    data = dkim.signed_data(header, unsigned.headers, render_signature(unsigned), "relaxed")
    field = render_signature(replace(unsigned, signature=dkim.make_signature(ed_key(), "sha256", data)))
    message = field + MESSAGE + (b"" if excess else b"added\r\n")
    (result,) = await verify(message, {"s._domainkey.example.org": str(record_for(ed_key()))})
    assert result.status == status, result


async def test_a_staged_message_is_a_body() -> None:
    """As it comes from SMTP: in memory, or in a temporary file."""
    message = MESSAGE + b"A line of text.\r\n" * 100_000
    signed = await sign(message, Selector("s", ed_key()), Selector("t", ed_key(), body_canon="simple"))
    records = {f"{name}._domainkey.example.org": str(record_for(ed_key())) for name in "st"}
    header, _ = parts(signed)
    results = await dkim.verify(resolver_with(records), header, stage_bytes(signed), LENIENT, NOW)
    assert [r.status for r in results] == ["pass", "pass"], results


async def test_number_of_signatures_is_bounded() -> None:
    signed = await sign(MESSAGE, Selector("s", ed_key()))
    field = signed[: len(signed) - len(MESSAGE)]
    results = await verify(field * 50 + MESSAGE, {"s._domainkey.example.org": str(record_for(ed_key()))})
    assert [r.status for r in results] == ["pass"] * dkim.MAX_SIGNATURES


async def test_malformed_signatures_do_not_hide_good_ones() -> None:
    signed = await sign(MESSAGE, Selector("s", ed_key()))
    bad = b"DKIM-Signature: v=1; a=rsa-sha256\r\nDKIM-Signature:\r\n"
    results = await verify(bad + signed, {"s._domainkey.example.org": str(record_for(ed_key()))})
    assert [r.status for r in results] == ["permerror", "permerror", "pass"]


TAGS = "v=1; a=ed25519-sha256; d=example.org; s=sel; h=From:Subject; bh=" + "A" * 43 + "=; b=AAAA"


@pytest.mark.parametrize(
    "change",
    [
        *(("v=1", "v=2"), ("v=1", "v=1; v=1"), ("a=", "A="), ("b=AAAA", "b="), ("b=AAAA", "b=A"), ("b=AAAA", "b=!")),
        *(("d=example.org", "d=exa mple.org"), ("d=example.org", "d=bücher.example"), ("d=example.org", "d=")),
        *(("s=sel", "s="), ("s=sel", "s=a b"), ("s=sel", "s=-a"), ("s=sel", "s=a..b"), ("h=From:Subject", "H=From")),
        *(("bh=A", "bh=AAAA"), ("v=1", "v=1; l=x"), ("v=1", "v=1; l=" + "9" * 77)),
        *(
            ("v=1", "v=1; t=9; x=9"),
            ("v=1", "v=1; t=-1"),
            ("v=1", "v=1; x=1234567890123"),
            ("v=1", "v=1; i=example.org"),
        ),
        *(("v=1", "v=1; i=@xexample.org"), ("v=1", "v=1; i=@org"), ("v=1", "v=1; i==XX@example.org"), ("v=1", "v=1;;")),
        *(("v=1", "; v=1"), ("v=1", "v=1; 1x=y"), ("a=ed25519-sha256", "a=ed25519"), ("s=sel", "s=sel; q\0=x")),
    ],
    ids=lambda change: f"{change[0]}->{change[1]}"[:40],
)
def test_malformed_signature_fields(change: tuple[str, str]) -> None:
    assert change[0] in TAGS
    with pytest.raises(TagError):
        parse_signature(f"{FIELD}: {TAGS.replace(*change)}\r\n".encode())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("v=1", "v=1; unknown=x; z=From:a=20b|\r\n To:c"), {}),
        (("b=AAAA", "b=AA\r\n\tAA ;\r\n "), {}),
        (("s=sel", "s=Sel_1.A"), {"selector": "sel_1.a"}),
        (("v=1", "v=1; i=joe=3Bx@x.example.org"), {"identity": "joe;x@x.example.org"}),
        (("v=1", "v=1; i=@example.org"), {"identity_localpart": None, "is_strictly_identified": True}),
        (("v=1", "v=1; i=jürgen@example.org"), {"identity_localpart": "jürgen"}),
        (("v=1", "v=1; c=Relaxed"), {"header_canon": "relaxed", "body_canon": "simple"}),
        (("a=ed25519-sha256", "a=RSA-SHA256"), {"algorithm": "rsa-sha256"}),
        (("h=From:Subject", "h= From :\r\n Subject"), {"headers": ("from", "subject")}),
        (("v=1", "v=1; l=" + "1" * 76), {"length": int("1" * 76)}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_signature_fields(change: tuple[str, str], expected: dict[str, Any]) -> None:
    signature = parse_signature(f"{FIELD}: {TAGS.replace(*change)}\r\n".encode())
    assert {name: getattr(signature, name) for name in expected} == expected


@pytest.mark.parametrize("name", ["badk.txt", "badversion.txt", "test_bad.txt"])
def test_key_records_of_dkimpy_that_must_be_refused(name: str) -> None:
    with pytest.raises(KeyRecordError):
        parse_key_record(published(name).decode().strip())


@pytest.mark.parametrize("name", ["test.txt", "test2.txt", "2048_testkey_wo_markers.pub.rsa.txt", "test_tlsrpt.txt"])
def test_key_records_of_dkimpy(name: str) -> None:
    text = published(name).decode().strip()
    record = parse_key_record(text if "p=" in text else f"v=DKIM1; p={text}")
    assert record.rsa_bits in (1024, 2048)
    assert record.allows_service("email") == ("tlsrpt" not in name)


def test_key_record_rendering() -> None:
    text = str(record_for(ed_key(), ["sha1", "sha256"], ["s"]))
    assert text.startswith("v=DKIM1;h=sha1:sha256;k=ed25519;t=s;p=")
    assert str(parse_key_record(text)) == text
    record = replace(record_for(rsa_key(), []), notes="a;b c=ü", services=("email",))
    assert "n=a=3Bb=20c=3D=C3=BC;s=email;p=" in str(record)
    assert parse_key_record(str(record)).notes == "a;b c=ü"


async def test_dkimpy_verifies_ours() -> None:
    selectors, records = selectors_and_records()
    for selector in selectors:
        if selector.hash_name == "sha1":
            continue
        signed = await sign(MESSAGE, selector)
        text = records[f"{selector.name}._domainkey.example.org"].encode()
        assert dkimpy.verify(signed, dnsfunc=lambda name, timeout=5, text=text: text)


@pytest.mark.parametrize("canon", [b"simple", b"relaxed"])
async def test_we_verify_dkimpys(canon: bytes) -> None:
    pem = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    field = dkimpy.sign(MESSAGE, b"s", b"example.org", pem, canonicalize=(canon, canon))
    (result,) = await verify(field + MESSAGE, {"s._domainkey.example.org": str(record_for(rsa_key()))})
    assert result.status == "pass", result


@given(st.binary(max_size=200) | st.text("v=1;abhdst \r\n\t:@.xlqi0", max_size=100).map(str.encode))
def test_any_signature_field_parses_or_is_refused(value: bytes) -> None:
    try:
        signature = parse_signature(b"DKIM-Signature: " + value)
    except TagError:
        return
    assert signature.signature


@given(st.text(max_size=100) | st.text("v=DKIM1;pknst \t:*yrsa0", max_size=60))
def test_any_key_record_parses_or_is_refused(text: str) -> None:
    try:
        parse_key_record(text)
    except KeyRecordError:
        return


@given(st.binary(max_size=300))
async def test_any_header_gives_results_or_is_refused(header: bytes) -> None:
    try:
        await dkim.verify(resolver_with({}), b"DKIM-Signature: v=1\r\n" + header + b"\r\n\r\n", BytesBody(b""))
    except MalformedHeader:
        return
