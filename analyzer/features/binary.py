"""Binary bodies in, shapes out: the kind of file by its first bytes, and protocol buffers.

Law: what a file is, its first bytes say, or nothing does. A message of protocol buffers names no
fields, but numbers and wire types are as good; a body is one only if it parses to its last byte.
"""

from typing import NamedTuple

from analyzer.features.shapes import MOST_KEYS, Object, Shape, merge_all

BINARY = "binary"
_DEEPEST = 2  # messages inside of one another that are told apart
_MOST_FIELDS = 4_096  # read of one message; the rest is taken to be like them
_MOST_FRAMES = 1_024  # of gRPC
_LARGEST_FIELD = (1 << 29) - 1
_LARGEST_GUESSED = 64  # field number of a message that nobody says is one


class _Kind(NamedTuple):
    """A kind of file: where which bytes stand."""

    name: str
    at: int
    magic: bytes


_KINDS = tuple(
    _Kind(name, at, magic)
    for name, at, magic in (
        ("png", 0, b"\x89PNG\r\n\x1a\n"),
        ("jpeg", 0, b"\xff\xd8\xff"),
        ("gif", 0, b"GIF8"),
        ("webp", 8, b"WEBP"),
        ("avif", 4, b"ftypavif"),
        ("heic", 4, b"ftyphei"),
        ("mp4", 4, b"ftyp"),
        ("bmp", 0, b"BM"),
        ("icon", 0, b"\x00\x00\x01\x00"),
        ("tiff", 0, b"II*\x00"),
        ("tiff", 0, b"MM\x00*"),
        ("pdf", 0, b"%PDF-"),
        ("zip", 0, b"PK\x03\x04"),
        ("zip", 0, b"PK\x05\x06"),
        ("gzip", 0, b"\x1f\x8b\x08"),
        ("zstd", 0, b"\x28\xb5\x2f\xfd"),
        ("bzip2", 0, b"BZh"),
        ("xz", 0, b"\xfd7zXZ\x00"),
        ("7z", 0, b"7z\xbc\xaf\x27\x1c"),
        ("wasm", 0, b"\x00asm"),
        ("elf", 0, b"\x7fELF"),
        ("webm", 0, b"\x1a\x45\xdf\xa3"),
        ("ogg", 0, b"OggS"),
        ("woff", 0, b"wOFF"),
        ("woff2", 0, b"wOF2"),
        ("sqlite", 0, b"SQLite format 3\x00"),
        ("parquet", 0, b"PAR1"),
    )
)
_NAMED = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/bmp": "bmp",
    "image/x-icon": "icon",
    "image/vnd.microsoft.icon": "icon",
    "image/tiff": "tiff",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/x-zip-compressed": "zip",
    "application/gzip": "gzip",
    "application/x-gzip": "gzip",
    "application/zstd": "zstd",
    "application/wasm": "wasm",
}


def said(media_type: str) -> str | None:
    """The kind of file that a media type says a body is."""
    return _NAMED.get(media_type)


def kind_of(body: bytes) -> str | None:
    """The kind of file that the first bytes say a body is."""
    for name, at, magic in _KINDS:
        if body.startswith(magic, at):
            return name
    return None


def is_text(body: bytes) -> bool:
    """Whether a body is a text: UTF-8 without control characters, by its first bytes."""
    start = body[:1024]
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in start):
        return False
    try:
        start.decode()
    except UnicodeDecodeError as error:
        # A character may be cut where the look ends.
        return len(body) > len(start) and error.start >= len(start) - 3
    return True


# --- protocol buffers ----------------------------------------------------------------------------

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types that are in use
_NAMES = {_VARINT: "varint", _FIXED64: "fixed64", _FIXED32: "fixed32"}


def protobuf_shape(body: bytes, *, guessed: bool = False) -> Shape | None:
    """Field numbers with their wire types; None where the body is no such message.

    A `guessed` one, which nothing says is a message, has to look as encoders write them: two
    fields at least, small numbers in order, and texts or messages for bytes.
    Source: Protocol Buffers, Encoding.
    """
    return _message(body, 0, guessed)


def _message(body: bytes, depth: int, guessed: bool) -> Shape | None:
    fields: dict[str, set[Shape]] = {}
    at, end, latest = 0, len(body), 0
    for count in range(_MOST_FIELDS):
        if at >= end:
            if guessed and depth == 0 and count < 2:
                return None
            break
        tag, at = _varint(body, at)
        number, wire = tag >> 3, tag & 7
        if at < 0 or not 0 < number <= _LARGEST_FIELD:
            return None
        if guessed and not latest <= number <= _LARGEST_GUESSED:
            return None
        latest = number
        shape: Shape | None
        if wire == _BYTES:
            size, at = _varint(body, at)
            if at < 0 or size > end - at:
                return None
            shape = _bytes(body[at : at + size], depth, guessed)
            at += size
            if shape is None:
                return None
        elif wire in _NAMES:
            shape = _NAMES[wire]
            if wire == _VARINT:
                _, at = _varint(body, at)
            else:
                at += 8 if wire == _FIXED64 else 4
            if not 0 <= at <= end:
                return None
        else:
            return None
        name = str(number)
        if name in fields or len(fields) < MOST_KEYS:
            fields.setdefault(name, set()).add(shape)
    return _merged(fields)


def _merged(fields: dict[str, set[Shape]]) -> Shape:
    merged = ((name, merge_all(shapes)) for name, shapes in sorted(fields.items()))
    return Object(tuple((name, shape, False) for name, shape in merged if shape is not None))


def _bytes(value: bytes, depth: int, guessed: bool) -> Shape | None:
    """What a length-delimited field holds: a text, a message or other bytes."""
    # A message begins with a tag, which for the first few fields is a control character.
    if is_text(value) and (not value or value[0] >= 32):
        return "string"
    if depth + 1 < _DEEPEST:
        inner = _message(value, depth + 1, guessed)
        if inner is not None:
            return inner
    return None if guessed and not is_text(value) else "bytes"


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A number of up to ten bytes, seven bits each, and where it ends; -1: it doesn't."""
    value = shift = 0
    for place in range(at, min(at + 10, len(body))):
        byte = body[place]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place + 1
        shift += 7
    return 0, -1


def grpc_shape(body: bytes) -> Shape | None:
    """The messages of a gRPC or gRPC-Web body merged, and whether trailers follow them.

    Each has a byte of flags and its size in four (gRPC over HTTP2; PROTOCOL-WEB). None where the
    body is not made of such frames.
    """
    messages: set[Shape] = set()
    trailers = False
    at = 0
    for _ in range(_MOST_FRAMES):
        if at >= len(body):
            break
        size = int.from_bytes(body[at + 1 : at + 5], "big")
        flags, start = body[at], at + 5
        at = start + size
        if at > len(body) or flags & 0x7E:
            return None
        if flags & 0x80:
            trailers = True
        else:
            coded = flags & 1
            shape = None if coded else protobuf_shape(body[start:at])
            messages.add("bytes" if shape is None else shape)
    merged = merge_all(messages)
    found = [("message", merged, False)] if merged is not None else []
    return Object((*found, *([("trailers", "text", False)] if trailers else [])))
