"""An OpenAPI document (3.0 or 3.1) in, what is known by it out.

Law: a document that its own standard refuses is refused, in a line. Nothing is fetched: it has to
be whole. Of each documented response one is taken to be known: so much, and no more, a document is
worth beside traffic. Only one that was learned says how many it was learned from (COUNT).

Source: the OpenAPI Specification 3.0.4 and 3.1.1.
"""

import datetime
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from analyzer.baselines.learned import Learned, Name, Response, Service, Usual
from analyzer.errors import InputError
from analyzer.features.shapes import Form, Shape, may_be_json
from analyzer.openapi.model import Answer, Check, Document
from analyzer.openapi.schemas import for_json_schema, resolved, shape_of

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MOST_NODES = 1_000_000  # of a document, its aliases written out
_DEEPEST = 200
_VERSION = re.compile(r"3\.[01](?:\.\d+)?\Z")
_LONGEST_TOLD = 160  # characters of what is wrong with a document
_VARIABLE = re.compile(r"\{([^{}]*)\}")
COUNT = "x-exchanges"  # of a media type: how many responses its schema was learned from
_MOST_COUNTED = 1 << 40
HIDDEN = "a value"  # what stands for the values of bodies


def check_extra() -> None:
    """Raises InputError where the packages that documents need are not installed."""
    try:
        import jsonschema_rs  # noqa: F401
        import openapi_spec_validator  # noqa: F401
        import yaml  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"OpenAPI documents need the extra 'openapi' ({error.name} is missing): "
            "pip install 'wrangler-forensics[openapi]'"
        ) from None


def read(data: bytes, path: str) -> Document:
    """What a document says. `path` is what to call it.

    Raises InputError when it is no valid document, or not whole.
    """
    check_extra()
    found = _loaded(data, path)
    version = found.get("openapi") if isinstance(found, dict) else None
    if not isinstance(version, str) or not _VERSION.match(version):
        raise InputError(f"{path}: is no OpenAPI document of version 3.0 or 3.1")
    _refuse_elsewhere(found, path)
    _validate(found, path)
    answers: dict[Name, dict[str, Answer]] = {}
    forms: Counter[Response] = Counter()
    for name, responses in _operations(found):
        for status, response in responses.items():
            content = resolved(found, response).get("content") or {}
            every = {
                key.partition(";")[0].strip().lower(): one or {} for key, one in content.items()
            }
            media = {key: one.get("schema") for key, one in every.items()}
            counts = {key: _count(one.get(COUNT)) for key, one in every.items()}
            answers.setdefault(name, {})[str(status).upper().replace("DEFAULT", "default")] = (
                Answer(media)
            )
            for form in _forms(found, name, str(status), media):
                forms[form] += counts.get(form.form.media_type, 1)
        answers.setdefault(name, {})
    service = Service(asked=Counter(dict.fromkeys(answers, 1)), forms=forms)
    learned = Learned(endpoints={name: Usual() for name in answers}, services=[service])
    old = version.startswith("3.0")
    return Document(path, learned, answers, lambda schema: _check(found, schema, old=old))


def _loaded(data: bytes, path: str) -> Any:
    import yaml

    try:
        if data.lstrip()[:1] == b"{":
            found = orjson.loads(data)
        else:
            found = yaml.load(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return _plain(found, [MOST_NODES])
    except (orjson.JSONDecodeError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        told = " ".join(str(error).split())[:_LONGEST_TOLD]
        raise InputError(f"{path}: is neither JSON nor YAML ({told})") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _plain(value: Any, left: list[int], depth: int = 0) -> Any:
    """YAML as JSON has it: names are texts, and so are dates."""
    left[0] -= 1
    if left[0] < 0 or depth > _DEEPEST:
        raise ValueError("is too large or too deep for a document")
    if isinstance(value, dict):
        return {str(key): _plain(one, left, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, left, depth + 1) for one in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ValueError("has something that JSON does not have")


def _refuse_elsewhere(found: Any, path: str) -> None:
    """Raises InputError where something is to be fetched."""
    left = [found]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            reference = one.get("$ref")
            if isinstance(reference, str) and not reference.startswith("#"):
                raise InputError(
                    f"{path}: refers to another file ({reference[:_LONGEST_TOLD]}); bundle all in "
                    "one"
                )
            left += one.values()
        elif isinstance(one, list):
            left += one


def _validate(found: dict[str, Any], path: str) -> None:
    from openapi_spec_validator import validate

    try:
        validate(found)
    except Exception as error:  # the validator's own, those of its reference resolver, and others
        told = " ".join(str(getattr(error, "message", "") or error).split())
        where = "/".join(map(str, getattr(error, "absolute_path", ())))
        at = f" at {where}" if where else ""
        raise InputError(
            f"{path}: is no valid OpenAPI document{at}: {told[:_LONGEST_TOLD]}"
        ) from None


def _operations(found: dict[str, Any]) -> Iterator[tuple[Name, Mapping[str, Any]]]:
    for path, item in (found.get("paths") or {}).items():
        item = resolved(found, item or {})
        for method in METHODS:
            operation = item.get(method)
            if operation is None:
                continue
            servers = operation.get("servers") or item.get("servers") or found.get("servers")
            for base in dict.fromkeys(map(_base, servers or [{}])):
                name = Name(method.upper(), base + path)
                yield name, operation.get("responses") or {}


def _base(server: Mapping[str, Any]) -> str:
    """The path that a server's URL has before those of the document."""
    variables = server.get("variables") or {}

    def usual(found: re.Match[str]) -> str:
        return str((variables.get(found[1]) or {}).get("default", found[0]))

    return urlsplit(_VARIABLE.sub(usual, str(server.get("url", "/")))).path.rstrip("/")


def _count(value: Any) -> int:
    """How many responses a schema stands for."""
    return value if type(value) is int and 0 < value < _MOST_COUNTED else 1


def _forms(
    found: dict[str, Any], name: Name, status: str, media: Mapping[str, Any]
) -> Iterator[Response]:
    """The forms that are documented; where a document says little of one, none."""
    if not status.isdigit():
        return
    if not media:
        yield Response(name, "", int(status), Form("", None))
    for media_type, schema in media.items():
        shape: Shape | None = None
        if may_be_json(media_type) and isinstance(schema, dict):
            shape = shape_of(found, schema)
        if shape is not None:
            yield Response(name, "", int(status), Form(media_type, shape))


def _check(found: dict[str, Any], schema: Any, *, old: bool) -> Check:
    """A check of bodies by a schema of the document."""
    import jsonschema_rs

    whole = {"allOf": [schema], "components": found.get("components") or {}}
    draft = jsonschema_rs.Draft4Validator if old else jsonschema_rs.Draft202012Validator
    try:
        validator = draft(for_json_schema(whole, old=old), mask=HIDDEN, offline=True)
    except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError):
        return lambda body: ""  # the validator of documents has found nothing wrong with it

    def check(body: bytes) -> str:
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return "is no JSON"
        error = next(validator.iter_errors(value), None)
        if error is None:
            return ""
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.instance_path)
        return f"at ${where}: {' '.join(error.message.split())}"[:_LONGEST_TOLD]

    return check
