"""Compression: Python's zlib and gzip as the other end."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox._rust import Deflate, GzipStream, Inflate, accepts_gzip


@given(st.lists(st.tuples(st.binary(max_size=2000), st.booleans())), st.integers(0, 9))
def test_gzip_is_read_by_zlib_after_every_flush(pieces: list[tuple[bytes, bool]], level: int) -> None:
    stream = GzipStream(level)
    reader = zlib.decompressobj(wbits=31)
    sent = got = wire = b""
    for data, flush in pieces:
        sent += data
        wire += (part := stream.write(data, flush))
        got += reader.decompress(part)
        if flush:
            assert got == sent
    wire += stream.finish()
    assert gzip.decompress(wire) == sent


@given(st.lists(st.binary(max_size=2000)), st.integers(1, 500))
def test_raw_deflate_both_ways(pieces: list[bytes], cut: int) -> None:
    ours, theirs = Deflate(6), zlib.compressobj(wbits=-15)
    reader, their_reader = Inflate(), zlib.decompressobj(wbits=-15)
    for data in pieces:
        assert their_reader.decompress(ours.write(data) + ours.flush()) == data
        # A partial flush (RFC 1979) does not end at a byte with a marker, and yet all data is there.
        wire = theirs.compress(data) + theirs.flush(zlib.Z_PARTIAL_FLUSH)
        assert b"".join(reader.feed(wire[i : i + cut]) for i in range(0, len(wire), cut)) == data


def test_output_is_bounded() -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    wire = compressor.compress(bytes(10_000_000)) + compressor.flush()
    reader = Inflate()
    total = len(reader.feed(wire, 1000))
    assert total <= 1000
    while reader.has_more:
        total += len(reader.feed(b"", 1 << 20))
    assert total == 10_000_000
    assert reader.done


def test_broken_data() -> None:
    with pytest.raises(ValueError, match="broken"):
        Inflate().feed(b"\xff" * 10)


def test_accept_encoding() -> None:
    assert accepts_gzip("deflate, gzip;q=0.1")
    assert not accepts_gzip("deflate, gzip;q=0")
