"""Stage 5: response bodies in, shapes out.

Law: a body's shape is a pure function of the body. It says which fields there are and of which JSON
types, never a value. Keys that are data (ids, dates) become one `{*}`; the items of an array are
merged, with `?` behind the fields that not all of them have. Reading is made fast by a compiled
kernel that gives bodies of one skeleton (keys in their order, types of values) one code: the first
body with a code is read, and the others have its shape.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from analyzer import compiled, limits
from analyzer.anomalies import Anomalies

DEEPEST = 24  # levels told apart
MOST_KEYS = 128  # an object with more keys is a map
_MEMORY = 4_096  # codes remembered

# Keys that are data rather than names: numbers, UUIDs, long hexadecimal, dates, times of day.
_DATA_KEY = re.compile(
    r"(?:-?\d+|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    r"|(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{16,}|\d{4}-\d\d(?:-\d\d)?(?:[T ].*)?|\d\d:\d\d(?::\d\d)?)\Z"
)
_PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$.\-]*\Z", re.ASCII)


class Object(NamedTuple):
    """A JSON object: its fields by name, each with a shape and whether it may be missing."""

    fields: tuple[tuple[str, "Shape", bool], ...]


class Map(NamedTuple):
    """A JSON object whose keys are data; the shape of its values, None when it has none."""

    values: "Shape | None"
    kind: str = "map"  # tells equal tuples of different kinds apart


class Items(NamedTuple):
    """A JSON array; the shape of its items merged, None when it is empty."""

    item: "Shape | None"
    kind: str = "array"


class Union(NamedTuple):
    """Several shapes where the items of an array differ, in the order of their texts."""

    shapes: tuple["Shape", ...]
    kind: str = "union"


Shape = str | Object | Map | Items | Union

NULL, BOOLEAN, NUMBER, STRING, DEEP = "null", "boolean", "number", "string", "…"
_SCALARS: dict[type, str] = {
    str: STRING,
    int: NUMBER,
    float: NUMBER,
    bool: BOOLEAN,
    type(None): NULL,
}


def shape_of(value: Any, depth: int = 0) -> Shape:
    """The shape of a decoded JSON value."""
    kind = type(value)
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        return scalar
    if depth >= DEEPEST:
        return DEEP
    if kind is list:
        return Items(_merge_all({shape_of(item, depth + 1) for item in value}))
    if len(value) > MOST_KEYS or (value and all(map(_DATA_KEY.match, value))):
        return Map(_merge_all({shape_of(item, depth + 1) for item in value.values()}))
    return Object(
        tuple((key, shape_of(item, depth + 1), False) for key, item in sorted(value.items()))
    )


def _merge_all(shapes: set[Shape]) -> Shape | None:
    if not shapes:
        return None
    # In the order of their texts, so that the order of items does not matter.
    ordered = sorted(shapes, key=text)
    merged = ordered[0]
    for shape in ordered[1:]:
        merged = merge(merged, shape)
    return merged


def merge(a: Shape, b: Shape) -> Shape:
    """The shape that covers both; objects by field, arrays and maps by what is in them."""
    if a == b:
        return a
    if isinstance(a, Object) and isinstance(b, Object):
        left = {name: (shape, optional) for name, shape, optional in a.fields}
        right = {name: (shape, optional) for name, shape, optional in b.fields}
        fields = []
        for name in sorted({*left, *right}):
            if name in left and name in right:
                (one, may_one), (two, may_two) = left[name], right[name]
                fields.append((name, merge(one, two), may_one or may_two))
            else:
                shape, _ = left.get(name) or right[name]
                fields.append((name, shape, True))
        if len(fields) <= MOST_KEYS:
            return Object(tuple(fields))
        return Map(_merge_all({shape for _, shape, _ in fields}))
    if isinstance(a, Items) and isinstance(b, Items):
        return Items(_merge_inner(a.item, b.item))
    if isinstance(a, Map) and isinstance(b, Map):
        return Map(_merge_inner(a.values, b.values))
    return _unite([*_alternatives(a), *_alternatives(b)])


def _merge_inner(a: Shape | None, b: Shape | None) -> Shape | None:
    return (b if a is None else a) if a is None or b is None else merge(a, b)


def _alternatives(shape: Shape) -> tuple[Shape, ...]:
    return shape.shapes if isinstance(shape, Union) else (shape,)


def _unite(shapes: list[Shape]) -> Shape:
    """One shape for several: at most one object, one array and one map among them."""
    by_kind: dict[str, Shape] = {}
    for shape in shapes:
        kind = shape if isinstance(shape, str) else type(shape).__name__
        by_kind[kind] = merge(by_kind[kind], shape) if kind in by_kind else shape
    return Union(tuple(sorted(by_kind.values(), key=text)))


def text(shape: Shape | None) -> str:
    """The shape as a person reads it: `{id: number, tags: [string], note?: string}`."""
    if shape is None:
        return ""
    if isinstance(shape, str):
        return shape
    if isinstance(shape, Items):
        return f"[{text(shape.item)}]"
    if isinstance(shape, Map):
        return "{*: " + text(shape.values) + "}"
    if isinstance(shape, Union):
        return " | ".join(text(s) for s in shape.shapes)
    inside = ", ".join(
        f"{_key(name)}{'?' if optional else ''}: {text(value)}"
        for name, value, optional in shape.fields
    )
    return "{" + inside + "}"


def _key(name: str) -> str:
    return name if _PLAIN_KEY.match(name) and len(name) <= 64 else orjson.dumps(name[:64]).decode()


# --- comparing ---------------------------------------------------------------------------


def paths(shape: Shape | None, prefix: str = "") -> Iterator[tuple[str, str, bool]]:
    """(path, JSON type, whether it may be missing) of everything in a shape."""
    if shape is None:
        return
    if isinstance(shape, str):
        yield prefix, shape, False
    elif isinstance(shape, Items):
        yield prefix, "array", False
        yield from _optional(paths(shape.item, prefix + "[]"))
    elif isinstance(shape, Map):
        yield prefix, "map", False
        yield from _optional(paths(shape.values, prefix + "{}"))
    elif isinstance(shape, Union):
        for one in shape.shapes:
            yield from _optional(paths(one, prefix))
    else:
        yield prefix, "object", False
        for name, value, may_miss in shape.fields:
            inner = paths(value, f"{prefix}.{name}")
            yield from _optional(inner) if may_miss else inner


def unknown(shape: Shape | None, prefix: str = "") -> Iterator[str]:
    """The paths below which a shape says nothing: nulls, and what empty arrays and maps hold."""
    if shape == "null":
        yield from (prefix,) if prefix else ()
    elif isinstance(shape, Items):
        inside = prefix + "[]"
        yield from (inside,) if shape.item is None else unknown(shape.item, inside)
    elif isinstance(shape, Map):
        inside = prefix + "{}"
        yield from (inside,) if shape.values is None else unknown(shape.values, inside)
    elif isinstance(shape, Object):
        for name, value, _ in shape.fields:
            yield from unknown(value, f"{prefix}.{name}")


def _optional(found: Iterator[tuple[str, str, bool]]) -> Iterator[tuple[str, str, bool]]:
    for path, kind, _ in found:
        yield path, kind, True


# --- forms -------------------------------------------------------------------------------


class Form(NamedTuple):
    """What a response looks like: its media type, and for JSON its shape, else None."""

    media_type: str
    shape: Shape | None


NO_FORM = 0  # a response without a body
UNKNOWN_FORM = 1  # a body that could not be looked into

_JSON_TYPES = re.compile(r"application/(?:[\w.\-]+\+)?json\Z|text/json\Z")
_PERHAPS_JSON = ("", "text/plain")
_TEXT_TYPES = re.compile(r"text/(?:html|xml|csv)\Z|application/(?:[\w.\-]+\+)?xml\Z")


@lru_cache(1024)
def may_be_json(media_type: str) -> bool:
    """Whether a body of this media type is worth reading as JSON."""
    return media_type in _PERHAPS_JSON or _JSON_TYPES.match(media_type) is not None


@lru_cache(1024)
def may_repeat(media_type: str) -> bool:
    """Whether a body of this media type is a text that may say whose it is."""
    return may_be_json(media_type) or _TEXT_TYPES.match(media_type) is not None


class Forms:
    """All forms met so far, numbered; `of` finds the number of a body's form."""

    def __init__(self, anomalies: Anomalies) -> None:
        self.forms: list[Form] = [Form("", None), Form("?", None)]
        self._numbers: dict[Form, int] = {form: n for n, form in enumerate(self.forms)}
        self._anomalies = anomalies
        self._known: dict[tuple[str, int], int] = {}

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
        code = compiled.kernels.body_code(body) if compiled.kernels is not None else 0
        return self.of_code(media_type, code, body)

    def of_code(self, media_type: str, code: int, body: bytes) -> int:
        """The number of the form of `body`, whose code (`kernels.body_code`) is known."""
        known = self._known.get((media_type, code)) if code else None
        if known is None:
            known = self._read(media_type, body)
            if code:
                if len(self._known) >= _MEMORY:
                    self._known.clear()
                self._known[(media_type, code)] = known
        return known

    def _read(self, media_type: str, body: bytes) -> int:
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            if media_type not in _PERHAPS_JSON:
                self._anomalies.count("json-invalid")
            return self.number(Form(media_type, None))
        if media_type in _PERHAPS_JSON and not isinstance(value, dict | list):
            return self.number(Form(media_type, None))
        return self.number(Form(media_type, shape_of(value)))
