"""What was learned in, an OpenAPI 3.1 document out, as the standard's validator accepts it.

Law: names and shapes alone. Tokens, times, failures and closes have no place in a document; and
what several services or operations of one path answer is one response there.
"""

import re
from collections import Counter
from typing import Any

import orjson

from analyzer.baselines.learned import Learned, Name
from analyzer.features.shapes import Form, merge_many
from analyzer.openapi.document import COUNT, METHODS
from analyzer.openapi.schemas import schema_of

_VARIABLE = re.compile(r"\{([^{}/]*)\}")
_ANY = "*/*"

_Answers = dict[int, dict[str, Counter[Form]]]  # by status and media type


def described(learned: Learned, *, as_yaml: bool) -> bytes:
    """The document of what was learned."""
    found = document_of(learned)
    if not as_yaml:
        return orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    import yaml

    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=100).encode()


def document_of(learned: Learned) -> dict[str, Any]:
    """The same as JSON types."""
    operations: dict[str, dict[str, tuple[list[str], _Answers]]] = {}
    known: dict[str, str] = {}  # paths that differ in the names of variables alone are one
    places: dict[Name, tuple[str, str]] = {}
    for name in sorted(learned.endpoints):
        if name.method.lower() not in METHODS or not name.template.startswith("/"):
            continue
        path, variables = _path(name.template)
        path = known.setdefault(_VARIABLE.sub("{}", path), path)
        variables = _VARIABLE.findall(path)
        operations.setdefault(path, {}).setdefault(name.method.lower(), (variables, {}))
        places[name] = path, name.method.lower()
    for service in learned.services:
        for one, count in service.forms.items():
            if one.endpoint not in places:
                continue
            path, method = places[one.endpoint]
            answers = operations[path][method][1].setdefault(one.status, {})
            answers.setdefault(one.form.media_type, Counter())[one.form] += count
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Learned from traffic",
            "version": "1",
            "description": f"Learned from {learned.exchanges:,} exchanges by wrangler-forensics.",
        },
        "paths": {
            path: {
                method: _operation(variables, answers)
                for method, (variables, answers) in sorted(methods.items())
            }
            for path, methods in sorted(operations.items())
        },
    }


def _path(template: str) -> tuple[str, list[str]]:
    """A template whose variables all have names of their own."""
    met: Counter[str] = Counter()

    def renamed(found: re.Match[str]) -> str:
        met[found[1]] += 1
        return f"{{{found[1]}{met[found[1]] if met[found[1]] > 1 else ''}}}"

    path = _VARIABLE.sub(renamed, template)
    return path, _VARIABLE.findall(path)


def _operation(variables: list[str], answers: _Answers) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if variables:
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in variables
        ]
    found["responses"] = {
        str(status): _response(media) for status, media in sorted(answers.items())
    } or {"default": {"description": "None was learned from."}}
    return found


def _response(media: dict[str, Counter[Form]]) -> dict[str, Any]:
    many = sum(forms.total() for forms in media.values())
    content = {
        media_type or _ANY: _content(forms)
        for media_type, forms in sorted(media.items())
        if media_type or any(form.shape is not None for form in forms)
    }
    return {
        "description": f"Learned from {many:,} response{'s' if many != 1 else ''}.",
        **({"content": content} if content else {}),
    }


def _content(forms: Counter[Form]) -> dict[str, Any]:
    """The schema of all forms together; none where one could not be looked into."""
    shapes = [form.shape for form in sorted(forms, key=repr)]
    if any(shape is None for shape in shapes):
        return {}
    schema = schema_of(merge_many(shape for shape in shapes if shape is not None))
    return {"schema": schema, COUNT: forms.total()} if schema else {}
