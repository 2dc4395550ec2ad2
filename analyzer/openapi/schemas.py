"""JSON schemas as shapes, and shapes as JSON schemas.

Law: what a schema leaves open has no shape. A shape's schema accepts every body of that shape.
"""

from collections.abc import Mapping
from typing import Any

from analyzer.features.shapes import (
    BOOLEAN,
    DEEP,
    NULL,
    NUMBER,
    STRING,
    Items,
    Map,
    Object,
    Shape,
    Union,
    merge_many,
)

_DEEPEST = 16  # levels of a schema that are followed; schemas may have themselves in them
_SCALARS = {
    "string": STRING, "number": NUMBER, "integer": NUMBER, "boolean": BOOLEAN, "null": NULL,
}  # fmt: skip
_MOST_REFERENCES = 16  # that lead to each other


def resolved(document: Mapping[str, Any], one: Any) -> Mapping[str, Any]:
    """What a reference within the document leads to, or the thing itself; {} for nothing."""
    for _ in range(_MOST_REFERENCES):
        if not isinstance(one, Mapping):
            return {}
        reference = one.get("$ref")
        if not isinstance(reference, str):
            return one
        found: Any = document
        for part in reference.removeprefix("#").split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            found = found.get(part) if isinstance(found, Mapping) else None
        one = found
    return {}


def shape_of(document: Mapping[str, Any], schema: Any, depth: int = 0) -> Shape | None:
    """The shape of what fits a schema; None where it may be anything."""
    if depth > _DEEPEST:
        return None
    one = resolved(document, schema)
    every = [
        shape
        for part in (*one.get("oneOf", ()), *one.get("anyOf", ()))
        if (shape := shape_of(document, part, depth + 1)) is not None
    ]
    merged = dict(one)
    for part in one.get("allOf", ()):
        inner = resolved(document, part)
        for key in ("properties", "required"):
            known, new = merged.get(key), inner.get(key)
            if isinstance(new, Mapping):
                merged[key] = {**new, **(known or {})}
            elif isinstance(new, list):
                merged[key] = [*(known or ()), *new]
        merged.setdefault("type", inner.get("type"))
        if not inner.get("properties"):
            found = shape_of(document, inner, depth + 1)
            every += [found] if found is not None and not isinstance(found, Object) else []
    kinds = merged.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds] if kinds else []
    if merged.get("properties") and "object" not in kinds:
        kinds = [*kinds, "object"]
    for kind in kinds:
        if kind in _SCALARS:
            every.append(_SCALARS[kind])
        elif kind == "array":
            every.append(Items(shape_of(document, merged.get("items") or {}, depth + 1)))
        elif kind == "object":
            found = _object(document, merged, depth)
            every += [] if found is None else [found]
    if merged.get("nullable") is True and every:
        every.append(NULL)
    return merge_many(every)


def _object(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> Shape | None:
    properties = schema.get("properties") or {}
    if not properties:
        values = schema.get("additionalProperties")
        if not isinstance(values, Mapping):
            return None
        return Map(shape_of(document, values, depth + 1))
    required = set(schema.get("required") or ())
    return Object(
        tuple(
            (name, shape_of(document, properties[name], depth + 1) or NULL, name not in required)
            for name in sorted(properties)
        )
    )


def schema_of(shape: Shape | None) -> dict[str, Any]:
    """A schema that every body of the shape fits."""
    if shape is None or shape == DEEP:
        return {}
    if isinstance(shape, str):
        return {"type": shape} if shape in _SCALARS else {}
    if isinstance(shape, Union):
        return {"anyOf": [schema_of(one) for one in shape.shapes]}
    if isinstance(shape, Items):
        return {"type": "array", **({"items": schema_of(shape.item)} if shape.item else {})}
    if isinstance(shape, Map):
        return {"type": "object", "additionalProperties": schema_of(shape.values)}
    required = [name for name, _, may_miss in shape.fields if not may_miss]
    return {
        "type": "object",
        "properties": {name: schema_of(one) for name, one, _ in shape.fields},
        **({"required": required} if required else {}),
    }


def for_json_schema(schema: Any, *, old: bool) -> Any:
    """A schema as JSON Schema has it: the `nullable` of OpenAPI 3.0 is a type of its own."""
    if not old:
        return schema
    if isinstance(schema, list):
        return [for_json_schema(one, old=old) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: for_json_schema(one, old=old) for key, one in schema.items()}
    if found.pop("nullable", None) is True:
        return {"anyOf": [found, {"type": "null"}]}
    return found
