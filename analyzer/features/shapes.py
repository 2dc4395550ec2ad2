"""Stage 5: bodies in, shapes out: the language of shapes, and those of JSON.

Law: a body's shape is a pure function of the body. It says which fields there are and of which
types, never a value. Keys that are data (ids, dates) become one `{*}`; the items of an array are
merged, with `?` behind the fields that not all of them have. Bodies that are not JSON have shapes
in the same language (`features/forms.py` has the table of who reads which).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import orjson

DEEPEST = 24  # levels told apart
MOST_KEYS = 128  # an object with more keys is a map
FEWEST_ENTRIES = 3  # of a map that is told by how its entries look alike
_LONG_ID = 8  # letters of ids that have no pattern in common

# Keys that are data rather than names: numbers, UUIDs, long hexadecimal, dates, times of day.
_DATA_KEY = re.compile(
    r"(?:-?\d+|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    r"|(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{16,}|\d{4}-\d\d(?:-\d\d)?(?:[T ].*)?|\d\d:\d\d(?::\d\d)?)\Z"
)
_DIGITS = re.compile(r"\d+")
_ID = re.compile(r"(?=\D*\d)[A-Za-z0-9_\-]+\Z", re.ASCII)
_LONG_NUMBER = re.compile(r"\d{4}")
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
        return Items(merge_all({shape_of(item, depth + 1) for item in value}))
    if len(value) > MOST_KEYS or (value and all(map(_DATA_KEY.match, value))):
        return Map(merge_all({shape_of(item, depth + 1) for item in value.values()}))
    fields = tuple((key, shape_of(item, depth + 1), False) for key, item in sorted(value.items()))
    if len(value) >= FEWEST_ENTRIES and _are_entries(fields):
        return Map(merge_all({shape for _, shape, _ in fields}))
    return Object(fields)


def _are_entries(fields: tuple[tuple[str, Shape, bool], ...]) -> bool:
    """Whether the fields of an object look like the entries of a map: `{k119: {…}, k245: {…}, …}`.

    Names are chosen to differ, and what they name differs; keys that are data are made by one rule,
    and what they stand for is of one kind. So both have to be alike: the keys, the same letters
    around digits or ids of one length with digits in them, and the values, objects with the same
    fields (or maps). Values that are not objects are alike far more often (`{line1, line2}`), so
    there every key has to have a long number in it. Keys of letters alone stay names: one body
    cannot tell `{billing: {…}, home: {…}, shipping: {…}}` from a map. Fewer than three are no
    pattern.
    """
    first = fields[0][0]
    if not _DIGITS.search(first):
        return False
    keys = [name for name, _, _ in fields]
    pattern = _DIGITS.sub("#", first)
    if not all(_DIGITS.sub("#", key) == pattern for key in keys) and not (
        len(first) >= _LONG_ID and all(len(key) == len(first) and _ID.match(key) for key in keys)
    ):
        return False
    kinds = {_kind(shape) for _, shape, _ in fields}
    if len(kinds) > 1:
        kinds.discard(NULL)
    if len(kinds) > 1:
        return False
    return not isinstance(kinds.pop(), str) or all(map(_LONG_NUMBER.search, keys))


def _kind(shape: Shape) -> object:
    """What values of a map have in common: of objects, the names of their fields."""
    if isinstance(shape, Object):
        return tuple(name for name, _, _ in shape.fields)
    if isinstance(shape, Map):
        return ()
    return shape if isinstance(shape, str) else type(shape).__name__


def merge_all(shapes: set[Shape]) -> Shape | None:
    """The shape that covers all of these; None where there are none."""
    if not shapes:
        return None
    if len(shapes) == 1:
        return next(iter(shapes))
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
        left = {one[0]: one for one in a.fields}
        right = {two[0]: two for two in b.fields}
        fields = []
        for name in sorted(left.keys() | right.keys()):
            one, two = left.get(name), right.get(name)
            if one is None or two is None:
                alone = one or two
                assert alone is not None
                # What is kept as it is costs least to compare the next time.
                fields.append(alone if alone[2] else (name, alone[1], True))
            elif one == two:
                fields.append(one)
            else:
                fields.append((name, merge(one[1], two[1]), one[2] or two[2]))
        if len(fields) <= MOST_KEYS:
            return Object(tuple(fields))
        return Map(merge_all({shape for _, shape, _ in fields}))
    if isinstance(a, Items) and isinstance(b, Items):
        return Items(_merge_inner(a.item, b.item))
    if isinstance(a, Map) and isinstance(b, Map):
        return Map(_merge_inner(a.values, b.values))
    return _unite([*_alternatives(a), *_alternatives(b)])


def merge_many(shapes: Iterable[Shape]) -> Shape | None:
    """The shape that covers all of these, whatever their order; None where there are none.

    The work grows with the fields that they have, and not with what has been merged so far.
    """
    kinds: dict[str, dict[Shape, None]] = {}
    for shape in shapes:
        for one in _alternatives(shape):
            kinds.setdefault(_name(one), {})[one] = None
    objects = [one for one in kinds.pop("Object", {}) if isinstance(one, Object)]
    merged = [_merge_objects(objects)] if objects else []
    if objects and isinstance(merged[0], Map):
        kinds.setdefault("Map", {})[merged.pop()] = None
    for alike in kinds.values():
        first = next(iter(alike))
        if isinstance(first, Items):
            first = Items(merge_many(s.item for s in alike if isinstance(s, Items) and s.item))
        elif isinstance(first, Map):
            first = Map(merge_many(s.values for s in alike if isinstance(s, Map) and s.values))
        merged.append(first)
    return Union(tuple(sorted(merged, key=text))) if len(merged) > 1 else next(iter(merged), None)


def _merge_objects(objects: list[Object]) -> Shape:
    met: dict[str, dict[Shape, None]] = {}
    always: Counter[str] = Counter()
    every = Counter(chain.from_iterable(one.fields for one in objects))
    for (name, value, may_miss), count in every.items():
        met.setdefault(name, {})[value] = None
        always[name] += 0 if may_miss else count
    if len(met) > MOST_KEYS:
        return Map(merge_many(chain.from_iterable(met.values())))
    fields = []
    for name in sorted(met):
        alone = next(iter(met[name]))
        merged = alone if len(met[name]) == 1 and isinstance(alone, str) else merge_many(met[name])
        assert merged is not None
        fields.append((name, merged, always[name] < len(objects)))
    return Object(tuple(fields))


def _name(shape: Shape) -> str:
    return shape if isinstance(shape, str) else type(shape).__name__


def _merge_inner(a: Shape | None, b: Shape | None) -> Shape | None:
    return (b if a is None else a) if a is None or b is None else merge(a, b)


def _alternatives(shape: Shape) -> tuple[Shape, ...]:
    return shape.shapes if isinstance(shape, Union) else (shape,)


def _unite(shapes: list[Shape]) -> Shape:
    """One shape for several: at most one object, one array and one map among them."""
    by_kind: dict[str, Shape] = {}
    for shape in shapes:
        kind = _name(shape)
        by_kind[kind] = merge(by_kind[kind], shape) if kind in by_kind else shape
    return Union(tuple(sorted(by_kind.values(), key=text)))


def text(shape: Shape | None) -> str:
    """The shape as a person reads it: `{id: number, tags: [string], note?: string}`."""
    return shape or "" if shape is None or isinstance(shape, str) else _text(shape)


@lru_cache(8_192)  # bodies differ in few of their parts
def _text(shape: Object | Map | Items | Union) -> str:
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


@lru_cache(16_384)
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
    """What a body looks like: its media type and its shape, None where it was not looked into."""

    media_type: str
    shape: Shape | None


NO_FORM = 0  # a response without a body
UNKNOWN_FORM = 1  # a body that could not be looked into

_JSON_TYPES = re.compile(r"application/(?:[\w.\-]+\+)?json\Z|text/json\Z")
PERHAPS_JSON = ("", "text/plain")


@lru_cache(1024)
def may_be_json(media_type: str) -> bool:
    """Whether a body of this media type is worth reading as JSON."""
    return media_type in PERHAPS_JSON or _JSON_TYPES.match(media_type) is not None
