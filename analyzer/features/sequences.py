"""Bodies that are a sequence of others in, shapes out: events, lines of JSON, parts.

Law: the shape does not depend on how many there are; all of them are merged as the items of an
array are. A last one that is cut off is left out.
"""

import re
from collections.abc import Callable, Iterator

import orjson

from analyzer.features.shapes import Items, Object, Shape, merge_all, shape_of

_MOST_PARTS = 256  # of a multipart body
_LONGEST = 64  # of a name
_TEXT = "text"
_MANY_DIGITS = re.compile(r"\d{4,}")
EVENTS = "text/event-stream"
_DATA = re.compile(rb"(?:\A|[\r\n])(?:\xef\xbb\xbf)?data(?:[:\r\n]|\Z)")
_END_OF_LINE = re.compile(rb"\r\n|\n|\r")
_TYPE = re.compile(rb"(?im)^content-type:[ \t]*([^;\s]+)")
_FIELD = re.compile(rb"(?im)^content-disposition:[^\r\n]*?;[ \t]*name=\"?([^\";\r\n]+)")


def _name(text: bytes) -> str:
    return _MANY_DIGITS.sub("*", text[: 4 * _LONGEST].decode("utf-8", "replace"))[:_LONGEST]


def _json(text: bytes) -> Shape:
    try:
        return shape_of(orjson.loads(text))
    except orjson.JSONDecodeError:
        return _TEXT


def events(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Server-sent events, each its name and its data (HTML §9.2.6); one without data is none."""
    event = b""
    data: list[bytes] = []
    if body[:3] == b"\xef\xbb\xbf":
        body = body[3:]
    for line in _END_OF_LINE.split(body)[:-1]:
        if not line:
            if data:
                yield event, b"\n".join(data)
            event, data = b"", []
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value


def events_shape(body: bytes) -> Shape:
    """Server-sent events: `[{message?: {delta: string}, ping?: {}}]`, each by its name.

    The data of an event is JSON or a text.
    """
    found: set[Shape] = set()
    for name, data in events(body):
        found.add(Object(((_name(name) or "message", _json(data), False),)))
    return Items(merge_all(found))


def has_event(body: bytes) -> bool:
    """Whether a beginning of an event stream has an event, or the beginning of one, in it."""
    return _DATA.search(body) is not None


def lines(body: bytes) -> list[bytes]:
    """Texts a line (NDJSON, JSON Lines) or after a record separator (RFC 7464), empty ones too."""
    return body.split(b"\x1e") if body[:1] == b"\x1e" else body.split(b"\n")


def lines_shape(body: bytes) -> Shape:
    """A JSON text a line or after a record separator."""
    texts = lines(body)
    shapes = [_json(text) for text in texts if text.strip()]
    if len(shapes) > 1 and shapes[-1] == _TEXT and texts[-1].strip():
        del shapes[-1]  # cut off: whole lines end
    return Items(merge_all(set(shapes)))


def parts(body: bytes) -> list[tuple[bytes, bytes]] | None:
    """The parts of a multipart body, each its head and its content (RFC 2046 §5.1).

    The boundary is that of the body itself. None where it does not begin with one.
    """
    start = 0 if body[:2] == b"--" else body.find(b"\n--") + 1
    if body[start : start + 2] != b"--":
        return None
    boundary = body[start : start + 80].partition(b"\n")[0].rstrip()
    if len(boundary) < 3:
        return None
    found: list[tuple[bytes, bytes]] = []
    # A delimiter is the line end before it too.
    for part in body[start:].split(boundary, _MOST_PARTS)[1:_MOST_PARTS]:
        if part[:2] == b"--":
            break
        head, empty, content = part.partition(b"\r\n\r\n")
        if not empty:
            head, _, content = part.partition(b"\n\n")
        found.append((head, content.removesuffix(b"\n").removesuffix(b"\r")))
    return found


def parts_shape(body: bytes, read: Callable[[str, bytes], Shape | None]) -> Shape | None:
    """Parts by the name of their form's field, or else by media type (RFC 7578).

    `read` gives the shape of a part from its media type. None where there are no parts.
    """
    every = parts(body)
    if every is None:
        return None
    found: set[Shape] = set()
    for head, content in every:
        kind, field = _TYPE.search(head), _FIELD.search(head)
        media_type = kind[1].lower().decode("latin-1") if kind else "text/plain"
        name = _name(field[1]) if field else media_type[:_LONGEST]
        shape = read(media_type, content) if content else None
        found.add(Object(((name, shape or "empty", False),)))
    return Items(merge_all(found))
