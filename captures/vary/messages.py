"""HTTP/1.x messages of one direction of a connection, and what they look like when rewritten.

Law: the pieces of a parsed stream, put together, are the stream. A message is rewritten only in
what was asked for, and its framing (RFC 9112, section 6) is right afterwards: Content-Length is
that of the new body, chunked stays chunked in as many chunks. A message whose body is not whole
or has an encoding that isn't known keeps it octet for octet.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import brotli

_REQUEST = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\S+) (HTTP/1\.[01])\Z")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: .*)?\Z", re.DOTALL)
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(:[ \t]*)(.*?)([ \t]*)\Z", re.DOTALL)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})([ \t]*(?:;[^\r\n]*)?)\r\n")
HEAD_MOST = 65536

Field: TypeAlias = tuple[bytes, bytes, bytes, bytes]  # name, colon, value, what follows it


class Unclear(ValueError):
    """A stream that is not a plain sequence of messages; the argument says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response. `target` is empty in a response, `status` 0 in a request.

    `framing` is "length", "chunked", "close" or "none", and "raw" where the body was left as it
    is, in `chunks[0]`. `chunks` are the body's pieces as sent: one, unless chunked.
    """

    start: bytes  # the first line
    fields: tuple[Field, ...]
    framing: str = "none"
    chunks: tuple[bytes, ...] = ()
    extensions: tuple[bytes, ...] = ()  # of the chunks, and of the last one (of size zero)
    capitals: bool = False  # whether the sizes of chunks are in capitals
    trailer: bytes = b""  # behind the last chunk's line, with the empty line
    method: bytes = b""
    target: bytes = b""
    status: int = 0

    def values(self, name: bytes) -> list[bytes]:
        """The values of a field."""
        return [value for each, _, value, _ in self.fields if each.lower() == name]

    def with_values(self, change: Callable[[bytes, bytes], bytes]) -> "Message":
        """With every field's value as `change` makes it, given its name in lower case."""
        fields = tuple(
            (name, colon, change(name.lower(), value), end)
            for name, colon, value, end in self.fields
        )
        return self if fields == self.fields else replace(self, fields=fields)

    def with_target(self, target: bytes) -> "Message":
        """With another request target."""
        if target == self.target:
            return self
        method, _, version = self.start.split(b" ")
        return replace(self, target=target, start=b" ".join((method, target, version)))

    @property
    def media(self) -> str:
        """The media type, in lower case, without parameters."""
        kinds = self.values(b"content-type")
        return kinds[0].split(b";")[0].strip().lower().decode("latin-1") if kinds else ""

    @property
    def body(self) -> bytes | None:
        """The body with its content codings undone; None if it isn't there whole, or unknown."""
        if self.framing in ("none", "raw"):
            return None
        coding = b",".join(self.values(b"content-encoding")).strip().lower()
        try:
            return _decoded(b"".join(self.chunks), coding)
        except (ValueError, OSError, EOFError, zlib.error, brotli.error):
            return None

    def with_body(self, body: bytes) -> "Message":
        """With another body, in the same coding and framing."""
        coding = b",".join(self.values(b"content-encoding")).strip().lower()
        data = _encoded(body, coding)
        chunks = spread(data, [len(one) for one in self.chunks])
        return replace(self, chunks=tuple(chunks)).relength(len(data))

    def relength(self, length: int) -> "Message":
        """With the Content-Length that this body has, if the message says one."""
        if self.framing != "length":
            return self
        said = str(length).encode()
        return self.with_values(lambda name, was: said if name == b"content-length" else was)

    def pieces(self) -> list[bytes]:
        """What is sent: the head, then each chunk's line, data and end, or the body."""
        lines = [self.start] + [b"".join(one) for one in self.fields] + [b"", b""]
        out = [b"\r\n".join(lines)]
        if self.framing != "chunked":
            return out + [one for one in self.chunks if one]
        for data, extension in zip(self.chunks, self.extensions, strict=False):
            size = (b"%X" if self.capitals else b"%x") % len(data)
            out += [size + extension + b"\r\n", data, b"\r\n"]
        return [*out, b"0" + self.extensions[-1] + b"\r\n" + self.trailer]


@dataclass(frozen=True, slots=True)
class Part:
    """Octets `start` to `end` of a stream: a message in its old pieces, or none of them."""

    start: int
    end: int
    message: Message | None
    pieces: tuple[int, ...] = field(default=())  # the lengths of the old pieces


def requests(data: bytes) -> list[Part]:
    """The requests of a stream, and a last part that is not a whole one; Unclear if none are."""
    parts: list[Part] = []
    at = 0
    while at < len(data):
        head = _head(data, at)
        if head is None:
            break
        start, fields, body = head
        line = _REQUEST.match(start)
        if line is None:
            raise Unclear("no request line")
        said = Message(start, fields, method=line[1], target=line[2])
        parts.append(_framed(data, at, body, said, ends=False, bare=False))
        at = parts[-1].end
        if said.values(b"upgrade") or said.method == b"CONNECT":
            break  # what follows may be another protocol
    return _with_rest(parts, data, at)


def responses(data: bytes, asked: Sequence[bytes], closed: bool) -> list[Part]:
    """The responses of a stream to requests with these methods; `closed` if a FIN ended it."""
    parts: list[Part] = []
    at = number = 0
    while at < len(data):
        head = _head(data, at)
        if head is None:
            break
        start, fields, body = head
        line = _STATUS.match(start)
        if line is None:
            raise Unclear("no status line")
        status = int(line[1])
        method = asked[number] if number < len(asked) else b"GET"
        said = Message(start, fields, status=status)
        follows = data[body : body + 7]
        silent = status < 200 or status in (204, 304)
        bare = silent or (method == b"HEAD" and follows in (b"", b"HTTP/1."))
        parts.append(_framed(data, at, body, said, ends=closed, bare=bare))
        at = parts[-1].end
        number += status >= 200
        if status == 101:
            break
    return _with_rest(parts, data, at)


def spread(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Data in as many pieces as there are sizes, in proportion, none of them empty if possible."""
    total, done, out, at = sum(sizes), 0, [], 0
    for number, size in enumerate(sizes):
        done += size
        left = len(sizes) - number - 1
        end = round(len(data) * done / total) if total else len(data)
        end = max(min(at + 1, len(data)), min(end, len(data) - left)) if left else len(data)
        out.append(data[at:end])
        at = end
    return out


def _with_rest(parts: list[Part], data: bytes, at: int) -> list[Part]:
    if at < len(data):
        if not parts and not data[:8].startswith((b"HTTP/1.", *_METHODS)):
            raise Unclear("not HTTP")
        parts.append(Part(at, len(data), None))
    return parts


_METHODS = tuple(
    f"{one} ".encode() for one in ("GET", "PUT", "POST", "HEAD", "PATCH", "DELETE", "OPTIONS")
)


def _head(data: bytes, at: int) -> tuple[bytes, tuple[Field, ...], int] | None:
    """The first line, the fields and where the body begins; None if the head isn't whole."""
    end = data.find(b"\r\n\r\n", at, at + HEAD_MOST)
    if end < 0:
        if len(data) - at >= HEAD_MOST or b"\0" in data[at : at + 64]:
            raise Unclear("no head")
        return None
    start, *lines = data[at:end].split(b"\r\n")
    fields = []
    for line in lines:
        parsed = _FIELD.match(line)
        if parsed is None:
            raise Unclear("a field that is none")
        fields.append((parsed[1], parsed[2], parsed[3], parsed[4]))
    return start, tuple(fields), end + 4


def _framed(data: bytes, at: int, body: int, said: Message, ends: bool, bare: bool) -> Part:
    """The message whose head is data[at:body], with its body (RFC 9112, section 6.3)."""
    codings = b",".join(said.values(b"transfer-encoding")).strip().lower()
    lengths = set(said.values(b"content-length"))
    head = body - at
    if bare:
        return Part(at, body, said, (head,))
    if codings:
        if codings != b"chunked" or lengths:
            raise Unclear("a framing that is not clear")
        return _chunked(data, at, body, said)
    if lengths:
        if len(lengths) > 1 or not all(one.isdigit() for one in lengths):
            raise Unclear("a length that is none")
        end = body + int(lengths.pop())
        whole = end <= len(data)
        end = min(end, len(data))
        content = data[body:end]
        message = replace(said, framing="length" if whole else "raw", chunks=(content,))
        return Part(at, end, message, (head, end - body) if content else (head,))
    if said.status == 0:
        return Part(at, body, said, (head,))
    content = data[body:]
    message = replace(said, framing="close" if ends else "raw", chunks=(content,))
    return Part(at, len(data), message, (head, len(content)) if content else (head,))


def _chunked(data: bytes, at: int, body: int, said: Message) -> Part:
    chunks: list[bytes] = []
    extensions: list[bytes] = []
    sizes, where = [body - at], body
    capitals = False
    while line := _CHUNK.match(data, where):
        size, start = int(line[1], 16), line.end()
        extensions.append(line[2])
        if size == 0:
            end = start + 2 if data[start : start + 2] == b"\r\n" else 0
            if not end and (found := data.find(b"\r\n\r\n", start, start + HEAD_MOST)) > 0:
                end = found + 4
            if not end or line[1] != b"0":
                break
            sizes.append(end - where)
            message = replace(
                said,
                framing="chunked",
                chunks=tuple(chunks),
                extensions=tuple(extensions),
                capitals=capitals,
                trailer=data[start:end],
            )
            return Part(at, end, message, tuple(sizes))
        if data[start + size : start + size + 2] != b"\r\n":
            break
        if line[1].upper() != b"%X" % size:
            break  # a spelling of the size that would not be written again
        capitals |= line[1] != b"%x" % size
        sizes += [start - where, size, 2]
        chunks.append(data[start : start + size])
        where = start + size + 2
    if _CHUNK.match(data, where) is None and len(data) - where > 12:
        raise Unclear("a chunk that is none")
    message = replace(said, framing="raw", chunks=(data[body:],))
    return Part(at, len(data), message, (body - at, len(data) - body))


def _decoded(data: bytes, coding: bytes) -> bytes:
    if coding in (b"gzip", b"x-gzip"):
        return gzip.decompress(data)
    if coding == b"br":
        return bytes(brotli.decompress(data))
    if coding == b"deflate":
        return zlib.decompress(data)
    if coding not in (b"", b"identity"):
        raise ValueError("an encoding that isn't known")
    return data


def _encoded(data: bytes, coding: bytes) -> bytes:
    if coding in (b"gzip", b"x-gzip"):
        return gzip.compress(data, mtime=0)
    if coding == b"br":
        return bytes(brotli.compress(data))
    return zlib.compress(data) if coding == b"deflate" else data
