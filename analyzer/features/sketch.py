"""What a response says, place by place, in 32 bytes: so two are compared without being read again.

Law: a pure function of the text. Each place (a key of a JSON object with all keys above it, the nth
text behind a tag, a line) falls into one of `WIDTH` buckets, and each bucket has a number from 1 to
255 for the value of the first place in it that has one; 0 where there is none. So equal values at
one place give equal numbers, different ones hardly ever do (one in 255), and a place that another
one hides tells nothing. What says little (true, false, null, an empty text) does not count.

The kernel `sketches` gives the same. Source: feature hashing (Weinberger and others, 2009).
"""

import re
from collections.abc import Iterator
from itertools import islice
from struct import Struct
from zlib import crc32

WIDTH = 32
LONGEST = 65_536  # bytes of a text that are looked at
DEEPEST = 32  # objects and arrays inside of one another
MOST_LINES = 64

# The tokens of a JSON text; a string that does not end is one up to the end.
_JSON = re.compile(rb'"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|([{}\[\]:,])|([^\s{}\[\]:,"]+)', re.DOTALL)
_WORDS = Struct(f"<{WIDTH // 8}Q")
_TAG_NAME = re.compile(rb"[A-Za-z0-9]*")
_BLANKS = b" \t\n\r\f\v"
_SAY_LITTLE = (b"true", b"false", b"null")

_Value = tuple[int, bytes, str]  # hash of the place, value, name of the place


def sketch(text: bytes) -> bytes:
    """The sketch of a response's text, WIDTH bytes."""
    out = bytearray(WIDTH)
    for place, value, _ in _values(text):
        if not out[place % WIDTH]:
            out[place % WIDTH] = crc32(value) % 255 + 1
    return bytes(out)


def words(text: bytes) -> tuple[int, ...]:
    """The sketch as the table of exchanges has it: words of 64 bits, little endian."""
    return _WORDS.unpack(sketch(text))


def places(text: bytes) -> dict[int, str]:
    """By bucket the name of the place whose value is in it."""
    out: dict[int, str] = {}
    for place, _, name in _values(text):
        out.setdefault(place % WIDTH, name)
    return out


def _values(text: bytes) -> Iterator[_Value]:
    text = text[:LONGEST]
    start = text.lstrip(_BLANKS)[:1]
    if start in (b"{", b"["):
        return _of_json(text)
    return _of_markup(text) if start == b"<" else _of_lines(text)


def _of_json(text: bytes) -> Iterator[_Value]:
    base = path = 0
    above: list[tuple[int, str]] = []
    base_name = name = "$"
    held: bytes | None = None  # a string that may be a key
    for token in _JSON.finditer(text):
        string, mark, word = token.groups()
        if mark == b":":
            if held is not None:
                path = crc32(held, base)
                name = f"{base_name}.{held.decode('utf-8', 'replace')}"
            held = None
            continue
        if held:
            yield path, held, name
        held = string
        if mark in (b"{", b"["):
            if len(above) == DEEPEST:
                return
            above.append((base, base_name))
            base = path = crc32(mark, path)
            base_name = name = name + ("[]" if mark == b"[" else "")
        elif mark in (b"}", b"]"):
            base, base_name = above.pop() if above else (0, "$")
            path, name = base, base_name
        elif word and word not in _SAY_LITTLE:
            yield path, word, name
    if held:
        yield path, held, name


def _of_markup(text: bytes) -> Iterator[_Value]:
    tag, name = 0, ""
    counts = bytearray(256)
    for piece in islice(text.split(b"<"), 1, None):
        inside, closed, said = piece.partition(b">")
        if not closed:
            continue
        found = _TAG_NAME.match(inside)
        if found and found[0]:
            name = found[0].lower().decode()
            tag = crc32(found[0].lower())
        said = said.strip(_BLANKS)
        if said:
            count = counts[tag & 255] = (counts[tag & 255] + 1) & 255
            yield crc32(bytes((count,)), tag), said, f"<{name}> {count}"


def _of_lines(text: bytes) -> Iterator[_Value]:
    for number, line in enumerate(text.split(b"\n", MOST_LINES)[:MOST_LINES], 1):
        line = line.strip(_BLANKS)
        if line:
            yield crc32(bytes((number,))), line, f"line {number}"
