"""Stage 5: response bodies in, shapes out.

Law: a body's shape is a pure function of the body. It says which fields there are and of which JSON
types, never a value. Keys that are data (ids, dates) become one `{*}`; the items of an array are
merged, with `?` behind the fields that not all of them have. Reading is made fast by trying
decoders compiled from the shapes seen last; they accept only bodies of exactly that shape, so the
result does not depend on which were tried.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import msgspec
import orjson

from analyzer.anomalies import Anomalies

DEEPEST = 24  # levels told apart
MOST_KEYS = 128  # an object with more keys is a map
MOST_FORMS = 16_384  # forms told apart in one run
_TRIED = 4  # compiled decoders tried before a body is read the slow way
_COMPILED = 256  # decoders kept
_GROUPS = 4_096  # hints with decoders kept
_SMALL = 256  # bytes; a body up to this long is remembered as a whole

# Keys that are data rather than names: numbers, UUIDs, long hexadecimal, dates, times of day.
_DATA_KEY = re.compile(
    r"(?:-?\d+|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    r"|(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{16,}|\d{4}-\d\d(?:-\d\d)?(?:[T ].*)?|\d\d:\d\d(?::\d\d)?)\Z"
)
_UNNAMEABLE = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')  # keys that msgspec does not take
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


@lru_cache(1024)
def may_be_json(media_type: str) -> bool:
    """Whether a body of this media type is worth reading as JSON."""
    return media_type in _PERHAPS_JSON or _JSON_TYPES.match(media_type) is not None


REFUSALS = (msgspec.DecodeError, ValueError, RecursionError)


class Forms:
    """All forms met so far, numbered; `of` finds the number of a body's form."""

    def __init__(self, anomalies: Anomalies) -> None:
        self.forms: list[Form] = [Form("", None), Form("?", None)]
        self._numbers: dict[Form, int] = {form: n for n, form in enumerate(self.forms)}
        self._anomalies = anomalies
        # By hint and media type: checks that accept a body exactly if it has a form (by raising one
        # of REFUSALS if not), and the form's number; the one that fitted last is first.
        self.checks: dict[tuple[int, str], list[tuple[Callable[[bytes], Any], int]]] = {}
        self._compiled: dict[int, msgspec.json.Decoder[Any] | None] = {}
        self._small: dict[tuple[str, bytes], int] = {}

    def number(self, form: Form) -> int:
        """The number of a form, a new one if need be."""
        found = self._numbers.get(form)
        if found is None:
            if len(self.forms) >= MOST_FORMS:
                self._anomalies.count("shapes-limit")
                return UNKNOWN_FORM
            found = self._numbers[form] = len(self.forms)
            self.forms.append(form)
        return found

    def of(self, media_type: str, body: bytes, hint: int) -> int:
        """The number of the form of `body`; `hint` says whose shapes to try first (a route)."""
        if len(body) <= _SMALL:
            key = (media_type, body)
            known = self._small.get(key)
            if known is None:
                if len(self._small) >= 4 * _COMPILED:
                    self._small.clear()
                known = self._small[key] = self._read(media_type, body, hint)
            return known
        decoders = self.checks.get((hint, media_type))
        if decoders:
            decode, number = decoders[0]
            try:
                decode(body)
            except REFUSALS:
                return self._read(media_type, body, hint)
            return number
        return self._read(media_type, body, hint)

    def _read(self, media_type: str, body: bytes, hint: int) -> int:
        group = (hint, media_type)
        decoders = self.checks.get(group, [])
        for place, (decode, number) in enumerate(decoders):
            try:
                decode(body)
            except REFUSALS:
                continue
            decoders.insert(0, decoders.pop(place))
            return number
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            if media_type not in _PERHAPS_JSON:
                self._anomalies.count("json-invalid")
            return self.number(Form(media_type, None))
        if media_type in _PERHAPS_JSON and not isinstance(value, dict | list):
            return self.number(Form(media_type, None))
        shape = shape_of(value)
        number = self.number(Form(media_type, shape))
        if number != UNKNOWN_FORM:
            self._compile(group, shape, number)
        return number

    def _compile(self, group: tuple[int, str], shape: Shape, number: int) -> None:
        if number not in self._compiled:
            if len(self._compiled) >= _COMPILED:
                self.checks.clear()
                self._compiled.clear()
            self._compiled[number] = compiled(shape)
        exact = self._compiled[number]
        if exact is None:
            return
        if len(self.checks) >= _GROUPS:
            self.checks.clear()
        decoders = self.checks.setdefault(group, [])
        decoders.insert(0, (exact.decode, number))
        del decoders[_TRIED:]


class _Inexact(Exception):
    """The shape accepts bodies that a decoder could not tell from those of another shape."""


def compiled(shape: Shape) -> "msgspec.json.Decoder[Any] | None":
    """A decoder that accepts only bodies of exactly this shape; None where there is none.

    It may refuse a body whose arrays are partly empty; such a body is read the slow way.
    """
    try:
        return msgspec.json.Decoder(_type_of(shape))
    except _Inexact:
        return None


_TYPES: dict[str, Any] = {STRING: str, NUMBER: float, BOOLEAN: bool, NULL: None}


def _type_of(shape: Shape) -> Any:
    if isinstance(shape, str) and shape in _TYPES:
        return _TYPES[shape]
    if isinstance(shape, Items):
        if shape.item is None:
            return Annotated[list[None], msgspec.Meta(max_length=0)]
        return Annotated[list[_type_of(shape.item)], msgspec.Meta(min_length=1)]  # type: ignore[misc]
    if isinstance(shape, Object):
        if any(optional or _UNNAMEABLE.search(name) for name, _, optional in shape.fields):
            raise _Inexact
        names = {f"f{n}": name for n, (name, _, _) in enumerate(shape.fields)}
        fields = [(f"f{n}", _type_of(inner)) for n, (_, inner, _) in enumerate(shape.fields)]
        return msgspec.defstruct("Body", fields, rename=names, forbid_unknown_fields=True, gc=False)
    raise _Inexact
