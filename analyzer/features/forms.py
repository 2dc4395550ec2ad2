"""Bodies in, the numbers of their forms out: who reads a body of which media type.

Law: a form is a pure function of media type and body, whatever was read before. Reading is made
fast for JSON, HTML and XML by a compiled kernel that gives bodies of one skeleton one code: the
first body with a code is read, and the others have its form. Others that are the same to the byte
are read once.
"""

import re
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import parse_qsl

import orjson

from analyzer import compiled, limits
from analyzer.anomalies import Anomalies
from analyzer.features import binary, markup, sequences, texts
from analyzer.features.shapes import (
    PERHAPS_JSON,
    UNKNOWN_FORM,
    Form,
    Shape,
    may_be_json,
    shape_of,
)

_MEMORY = 16_384  # codes remembered
_WORTH_REMEMBERING = 512  # bytes of a body that is not JSON
_LONGEST_FORM = 65_536  # bytes of a form whose values are looked at by name
# JSON with padding: `callback({…});`, also behind an empty comment.
_CALL = re.compile(
    rb"\s*(?:/\*\*/)?\s*(?:typeof[^&]{1,128}&&\s*)?(?P<name>[\w$.\[\]\"']{1,128})"
    rb"\((?P<data>.*)\)\s*;?\s*\Z",
    re.DOTALL,
)
_DEEPEST = 2  # multipart bodies inside of one another

Reader = Callable[[bytes], Shape | None]


def _guessed(body: bytes) -> Shape | None:
    """What a body is that nothing tells the type of."""
    kind = binary.kind_of(body)
    if kind is not None:
        return kind
    if binary.is_text(body):
        return _text(body)
    return binary.protobuf_shape(body, guessed=True) or binary.BINARY


def _text(body: bytes) -> Shape | None:
    """What a text is that may be markup or not."""
    start = body[:256].lstrip()[:14].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return markup.html_shape(body)
    if start.startswith(b"<?xml"):
        return markup.xml_shape(body)
    return texts.text_shape(body)


def _message(body: bytes) -> Shape | None:
    return binary.protobuf_shape(body) or binary.BINARY


def _grpc(body: bytes) -> Shape | None:
    return binary.grpc_shape(body) or binary.BINARY


def _file(body: bytes) -> Shape | None:
    return binary.kind_of(body) or binary.BINARY


def _drawing(body: bytes) -> Shape | None:
    return "svg"  # what is drawn says nothing


def _script(body: bytes) -> Shape | None:
    # What a program does that only calls a function with data is that data; else it says nothing.
    called = next(iter(_of_script(body)), None)
    return "script" if called is None else shape_of(called)


def _of_script(body: bytes) -> Iterable[object]:
    """What a script calls which function with, where it does nothing else: JSON with padding."""
    called = _CALL.match(body)
    value = None if called is None else _loaded(called["data"])
    if called is None or not isinstance(value, dict | list):
        return []
    return [{"callback": called["name"].decode("latin-1"), "data": value}]


def _parts(body: bytes, depth: int = 0) -> Shape | None:
    def part(media_type: str, content: bytes) -> Shape | None:
        if media_type.startswith("multipart/"):
            return _parts(content, depth + 1) if depth + 1 < _DEEPEST else None
        return shape_as(media_type, content)

    return sequences.parts_shape(body, part)


def _of_events(body: bytes) -> Iterable[object]:
    return (_loaded(data) for _, data in sequences.events(body))


def _of_lines(body: bytes) -> Iterable[object]:
    return map(_loaded, sequences.lines(body))


def _of_parts(body: bytes) -> Iterable[object]:
    return (_loaded(content) for _, content in sequences.parts(body) or ())


def _of_form(body: bytes) -> Iterable[object]:
    found = dict(parse_qsl(body[:_LONGEST_FORM].decode("utf-8", "replace"), errors="replace"))
    return [found] if found else []


def _loaded(text: bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


# How the kernel reads a body for its code, if it does.
NO_CODE, JSON_CODE, PAGE_CODE, DOCUMENT_CODE = range(4)


class Reading(NamedTuple):
    """How bodies of some media types are looked into."""

    reader: Reader | None  # of their form; None: they are not looked into
    repeats: bool = False  # whether they are searched for what the request named
    # The values in what is no JSON, but made of it or like it.
    values: Callable[[bytes], Iterable[object]] | None = None
    coded: int = NO_CODE


# The first that a media type matches says how; JSON is read before any of these is asked.
_READINGS: tuple[tuple[re.Pattern[str], Reading], ...] = tuple(
    (re.compile(pattern + r"\Z"), reading)
    for pattern, reading in (
        (
            r"text/html|application/xhtml\+xml",
            Reading(markup.html_shape, repeats=True, coded=PAGE_CODE),
        ),
        (r"image/svg\+xml", Reading(_drawing, repeats=True)),
        (
            r"text/xml|application/xml|[\w.\-]+/[\w.\-]+\+xml",
            Reading(markup.xml_shape, repeats=True, coded=DOCUMENT_CODE),
        ),
        (
            r"(?:text|application)/(?:csv|tab-separated-values)",
            Reading(texts.csv_shape, repeats=True),
        ),
        (
            r"application/x-www-form-urlencoded",
            Reading(texts.form_shape, repeats=True, values=_of_form),
        ),
        (r"text/event-stream", Reading(sequences.events_shape, repeats=True, values=_of_events)),
        (
            r"application/(?:(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines|json-stream)"
            r"|json-seq|stream\+json)|text/(?:x-)?(?:ndjson|jsonl)",
            Reading(sequences.lines_shape, repeats=True, values=_of_lines),
        ),
        (r"multipart/.*", Reading(_parts, repeats=True, values=_of_parts)),
        (r"application/grpc(?:-web)?(?:\+proto)?", Reading(_grpc, repeats=True)),
        (
            r"application/(?:x-|vnd\.google\.)?(?:protobuf|protobuffer)"
            r"|application/[\w.\-]+\+proto(?:buf)?",
            Reading(_message, repeats=True),
        ),
        (
            r"(?:text|application)/(?:x-)?(?:java|ecma)script",
            Reading(_script, repeats=True, values=_of_script),
        ),
        (r"text/css", Reading(None)),
        (r"(?:audio|video|font)/.*|application/(?:x-)?font.*", Reading(None)),
        (r"image/.*", Reading(_file)),
        (r"text/.*", Reading(_text, repeats=True)),
        (r".*", Reading(_guessed)),
    )
)


@lru_cache(1024)
def reading(media_type: str) -> Reading:
    """How a body of this media type is looked into that is not JSON."""
    return next(how for pattern, how in _READINGS if pattern.match(media_type))


@lru_cache(1024)
def coded(media_type: str) -> int:
    """How the kernel reads a body of this media type for its code."""
    return JSON_CODE if may_be_json(media_type) else reading(media_type).coded


@lru_cache(1024)
def may_repeat(media_type: str) -> bool:
    """Whether a body of this media type may say whose it is, by what its request named."""
    return may_be_json(media_type) or reading(media_type).repeats


def value(media_type: str, body: bytes) -> object:
    """The JSON value that a body is, or else is like; None where it has none.

    Of a sequence of several (events, lines, parts) it is a tuple of theirs.
    """
    values = reading(media_type).values
    whole = _loaded(body) if values is None or may_be_json(media_type) else None
    if values is None or whole is not None:
        return whole
    found = tuple(one for one in values(body) if one is not None)
    return found[0] if len(found) == 1 else found or None


@lru_cache(1024)
def is_read(media_type: str) -> bool:
    """Whether a body of this media type is looked into at all."""
    return may_be_json(media_type) or reading(media_type).reader is not None


def unread(media_type: str) -> Form | None:
    """The form of a body that could not be looked into, where its media type says all that a look
    would; None where it does not.
    """
    if not is_read(media_type):
        return Form(media_type, None)
    said = binary.said(media_type)
    return None if said is None else Form(media_type, said)


def shape_as(media_type: str, body: bytes) -> Shape | None:
    """The shape of a body of this media type; None where it is not what it should be."""
    if may_be_json(media_type):
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            if media_type not in PERHAPS_JSON:
                return None
        else:
            return shape_of(value)
    read = reading(media_type).reader
    return None if read is None else read(body)


class Forms:
    """All forms met so far, numbered; `of` finds the number of a body's form."""

    def __init__(self, anomalies: Anomalies) -> None:
        self.forms: list[Form] = [Form("", None), Form("?", None)]
        self._numbers: dict[Form, int] = {form: n for n, form in enumerate(self.forms)}
        self._anomalies = anomalies
        self._known: dict[tuple[str, int], int] = {}
        self._same: dict[tuple[str, bytes], int] = {}

    def number(self, form: Form) -> int:
        """The number of a form, a new one if need be."""
        found = self._numbers.get(form)
        if found is None:
            if len(self.forms) >= limits.FORMS:
                self._anomalies.count("shapes-limit")
                return UNKNOWN_FORM
            found = self._numbers[form] = len(self.forms)
            self.forms.append(form)
        return found

    def of(self, media_type: str, body: bytes) -> int:
        """The number of the form of `body`."""
        return self.of_code(media_type, self._code(media_type, body), body)

    def of_code(self, media_type: str, code: int, body: bytes) -> int:
        """The number of the form of `body`, whose code (of the kernel `look`) is known, or 0."""
        known = self._known.get((media_type, code)) if code else None
        if known is None:
            known = (self._read if may_be_json(media_type) else self._other)(media_type, body)
            if code:
                if len(self._known) >= _MEMORY:
                    self._known.clear()
                self._known[(media_type, code)] = known
        return known

    def _code(self, media_type: str, body: bytes) -> int:
        how = coded(media_type) if compiled.kernels is not None else NO_CODE
        if how == JSON_CODE:
            return compiled.kernels.body_code(body)
        if how == NO_CODE:
            return 0
        readers = self.skeletons
        return (readers.pages if how == PAGE_CODE else readers.documents).code(body)

    @cached_property
    def skeletons(self) -> markup.Skeletons:
        """The kernel's readers of markup."""
        return markup.Skeletons()

    def _read(self, media_type: str, body: bytes) -> int:
        shape = shape_as(media_type, body)
        if shape is None and media_type not in PERHAPS_JSON:
            self._anomalies.count("json-invalid")
        return self.number(Form(media_type, shape))

    def _other(self, media_type: str, body: bytes) -> int:
        """The same of a body that is not JSON."""
        if len(body) < _WORTH_REMEMBERING:
            return self.number(Form(media_type, shape_as(media_type, body)))
        key = media_type, blake2b(body, digest_size=16).digest()
        known = self._same.get(key)
        if known is None:
            known = self.number(Form(media_type, shape_as(media_type, body)))
            if len(self._same) >= _MEMORY:
                self._same.clear()
            if known != UNKNOWN_FORM:
                self._same[key] = known
        return known
