"""Content codings of a body: gzip, deflate, br and zstd, limited in size (RFC 9110 §8.4)."""

import json
import zlib
from functools import lru_cache

import zstandard

from analyzer import limits

LONGEST_REQUEST_BODY = 16_384  # bytes of a request's body that are kept to look for tokens


def decoded(body: bytes, codings: str) -> bytes | None:
    """`body` without its content codings (the field's value); None: undecodable or too long."""
    for coding in _codings(codings):
        try:
            out = _decode(body, coding)
        except (zlib.error, zstandard.ZstdError, ValueError):
            return None
        if out is None or len(out) > limits.BODY:
            return None
        body = out
    return body


@lru_cache(256)
def _codings(codings: str) -> tuple[str, ...]:
    """The codings of a field's value, the last one first: that one is undone first."""
    return tuple(reversed([c.strip() for c in codings.split(",") if c.strip()]))


def request_text(body: bytes, codings: str) -> bytes:
    """A request's body without its content codings; nothing where it is too long to be kept."""
    if len(body) > LONGEST_REQUEST_BODY:
        return b""
    return (decoded(body, codings) or b"") if codings else body


def is_whole(body: bytes, codings: str) -> bool:
    """Whether a body (as sent, without transfer coding) ends where a document does.

    That is the end of a JSON object or array that is all of it, or of an `html` element.
    """
    text = decoded(body, codings) if codings else body
    if not text:
        return False
    text = text.strip()
    if text[-7:].lower() == b"</html>":
        return True
    if (text[:1], text[-1:]) not in ((b"{", b"}"), (b"[", b"]")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _decode(body: bytes, coding: str) -> bytes | None:
    if coding in ("gzip", "x-gzip"):
        return zlib.decompressobj(31).decompress(body, limits.BODY + 1)
    if coding == "deflate":
        # Said to be zlib, often raw deflate (RFC 9110 §8.4.1.2).
        wrapped = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
        return zlib.decompressobj(15 if wrapped else -15).decompress(body, limits.BODY + 1)
    if coding == "zstd":
        stream = zstandard.ZstdDecompressor(max_window_size=8 << 20).stream_reader(
            body, read_across_frames=True
        )
        return stream.read(limits.BODY + 1)
    if coding == "br":
        return _brotli(body)
    return body if coding == "identity" else None


def _brotli(body: bytes) -> bytes | None:
    import brotli

    decoder, out = brotli.Decompressor(), []
    size = 0
    try:
        # In small steps, so that a bomb stops at the limit.
        part = decoder.process(body, output_buffer_limit=65_536)
        while True:
            size += len(part)
            out.append(part)
            if size > limits.BODY or decoder.is_finished() or not part:
                break
            part = decoder.process(b"", output_buffer_limit=65_536)
    except brotli.error:
        return None
    return b"".join(out)
