"""What strangers may send takes no time out of proportion, and no exception but the documented ones."""

import contextlib
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.dns.names import DomainError, parse_domain, parse_ip
from mox.dns.static import StaticResolver
from mox.mailauth import arc, authres, check, receivedspf
from mox.mailauth.arc import ArcStatus
from mox.mailauth.canon import BytesBody, MalformedHeader, split_header
from mox.mailauth.dkimkey import KeyRecordError, parse_key_record
from mox.mailauth.dkimsignature import parse_signature
from mox.mailauth.dmarcrecord import DmarcSyntaxError, parse_record
from mox.mailauth.spfmacro import MacroError, parse_macro_string
from mox.mailauth.spfrecord import SpfSyntaxError
from mox.mailauth.spfrecord import parse_record as parse_spf
from mox.mailauth.taglist import TagError

SIZE = 32 * 1024
ALLOWED = (TagError, KeyRecordError, DmarcSyntaxError, SpfSyntaxError, MacroError, DomainError)
ALLOWED += (authres.AuthResultsError, receivedspf.ReceivedSpfError, MalformedHeader)

PARSERS: dict[str, Callable[[str], object]] = {
    "signature": lambda text: parse_signature(b"DKIM-Signature: " + text.encode()),
    "key": lambda text: parse_key_record("v=DKIM1;" + text),
    "dmarc": lambda text: parse_record("v=DMARC1;" + text),
    "spf": lambda text: parse_spf("v=spf1 " + text),
    "macro": lambda text: parse_macro_string(text, is_text=True),
    "authres": authres.parse,
    "authres-method": lambda text: authres.parse("h; m=" + text),
    "received-spf": lambda text: receivedspf.parse("pass " + text),
    "domain": parse_domain,
    "header": lambda text: split_header(text.encode()),
}
INPUTS = {
    "spaces": "p=x" + " " * SIZE + "y",
    "spaces-before": " " * SIZE + "p=x",
    "folds": "p=x" + "\r\n " * SIZE + "y",
    "semicolons": ";" * SIZE,
    "colons": "h=" + ":" * SIZE,
    "macros-without-end": "a:" + "%{" * SIZE,
    "macros": "exists:" + "%{ir}" * SIZE,
    "percent": "a:" + "%" * SIZE,
    "dots": "a:" + "a." * SIZE,
    "slashes": "a" + "/" * SIZE,
    "digits": "exists:%{i" + "9" * SIZE + "}.org",
    "terms": "a " * SIZE,
    "quotes": '"' * SIZE,
    "backslashes": '"' + "\\" * SIZE,
    "comments": "(" * SIZE,
    "comment": "(" + "\\)" * SIZE,
    "unicode": "\u0301ü" * SIZE,
    "joiners": "a\u200d" * SIZE,
    "equals": "=" * SIZE,
    "words": "x=" + "a b " * SIZE,
    "fields": "a:\r\n" * SIZE + "\r\n",
}


@pytest.mark.parametrize("text", INPUTS.values(), ids=INPUTS.keys())
@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS.keys())
def test_parsers_are_quick(parse: Callable[[str], object], text: str) -> None:
    started = time.process_time()
    with contextlib.suppress(*ALLOWED):
        parse(text)
    assert time.process_time() - started < 2


async def test_many_fields_and_signed_names_are_bounded() -> None:
    names = ":".join(["From", "Subject"] + [f"x{i}" for i in range(498)])
    field = f"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x; h={names}; bh={'A' * 43}=; b=YQ==\r\n".encode()
    header = field * 20 + b"x: y\r\n" * 9000 + b"From: a@example.com\r\n\r\n"
    started = time.process_time()
    facts = check.MessageFacts(parse_ip("192.0.2.1"), header, BytesBody(b"x\r\n" * 100_000))
    found = await check.authenticate(StaticResolver(), facts)
    assert time.process_time() - started < 2
    assert {result.status for result in found.dkim} == {"permerror"}


ARC_SET = (
    b"ARC-Seal: i=%d; a=rsa-sha256; cv=%s; d=example.org; s=s; b=AAAA\r\n"
    b"ARC-Message-Signature: i=%d; a=rsa-sha256; d=example.org; s=s; h=From; bh=" + b"A" * 43 + b"=; b=AAAA\r\n"
    b"ARC-Authentication-Results: i=%d; example.org; none\r\n"
)


def arc_set(instance: int) -> bytes:
    return ARC_SET % (instance, b"pass" if instance > 1 else b"none", instance, instance)


@pytest.mark.parametrize(
    ("sets", "problem"), [(50, "no key record"), (51, "more than 50 sets"), (5000, "more than 50 sets")]
)
async def test_length_of_arc_chains(sets: int, problem: str) -> None:
    """RFC 8617 §5.2."""
    header = b"".join(arc_set(instance) for instance in range(min(sets, 3000), 0, -1)) + b"From: a@example.org\r\n\r\n"
    result = await arc.verify(StaticResolver(), header, BytesBody(b""))
    assert (result.status, problem in result.problem) == (ArcStatus.FAIL, True), result.problem


@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([arc_set(1), arc_set(2), arc_set(1)[:60] + b"\r\n"]), max_size=6)
)
async def test_any_arc_fields_give_a_result_or_no_header(fields: list[bytes]) -> None:
    header = b"".join(b"ARC-Seal: " + f + b"\r\n" if not f.startswith(b"ARC") else f for f in fields) + b"\r\n"
    with contextlib.suppress(MalformedHeader):
        assert (await arc.verify(StaticResolver(), header, BytesBody(b""))).status in ArcStatus
