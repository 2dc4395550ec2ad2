"""Content codings: what they decode to, damage, and bombs."""

import gzip
import tracemalloc
import zlib
from functools import partial

import brotli
import pytest
import zstandard

from analyzer.http.content import decoded
from analyzer.limits import BODY as LONGEST_BODY

packed = partial(gzip.compress, compresslevel=1, mtime=0)

BODY = b'{"name": "wrangler", "rides": [1, 2, 3]}' * 20
RAW = zlib.compressobj(9, zlib.DEFLATED, -15)
RAW_DEFLATE = RAW.compress(BODY) + RAW.flush()
ZSTD = zstandard.ZstdCompressor().compress(BODY)


@pytest.mark.parametrize(
    ("codings", "body"),
    [
        ("gzip", packed(BODY)),
        ("x-gzip", packed(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", RAW_DEFLATE),
        ("br", brotli.compress(BODY)),
        ("zstd", ZSTD),
        ("identity", BODY),
        ("", BODY),
        (" gzip , ", packed(BODY)),
        ("deflate, gzip", packed(zlib.compress(BODY))),
        ("identity, br", brotli.compress(BODY)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_decodes(codings: str, body: bytes) -> None:
    assert decoded(body, codings) == BODY


@pytest.mark.parametrize(
    ("codings", "body"),
    [
        ("gzip", b"not gzip at all"),
        ("gzip", b"\x1f\x8b\x08" + bytes(20)),
        ("deflate", b"\xff\xff\xff\xff"),
        ("br", b"\xff\xff\xff\xff not brotli"),
        ("zstd", b"not zstd"),
        ("compress", BODY),
        ("aes128gcm", BODY),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_decode_is_none(codings: str, body: bytes) -> None:
    assert decoded(body, codings) is None


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_cut_bodies_do_not_raise(coding: str) -> None:
    whole = {
        "gzip": packed(BODY),
        "deflate": zlib.compress(BODY),
        "br": brotli.compress(BODY),
        "zstd": ZSTD,
    }[coding]
    for size in range(len(whole)):
        found = decoded(whole[:size], coding)
        assert found is None or BODY.startswith(found)


ZEROS = bytes(200 << 20)


@pytest.mark.parametrize(
    ("coding", "bomb"),
    [
        ("gzip", packed(ZEROS)),
        ("deflate", zlib.compress(ZEROS, 1)),
        ("br", brotli.compress(ZEROS, quality=1)),
        ("zstd", zstandard.ZstdCompressor(1).compress(ZEROS)),
        ("gzip, gzip", packed(packed(ZEROS))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bombs_stop_at_the_limit(coding: str, bomb: bytes) -> None:
    tracemalloc.start()
    assert decoded(bomb, coding) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * LONGEST_BODY


@pytest.mark.parametrize("extra", [0, 1])
def test_the_limit_is_exact(extra: int) -> None:
    body = bytes(LONGEST_BODY + extra)
    for coding, body_packed in (
        ("gzip", packed(body)),
        ("br", brotli.compress(body, quality=1)),
        ("zstd", zstandard.ZstdCompressor().compress(body)),
    ):
        assert (decoded(body_packed, coding) == body) is (not extra), coding
