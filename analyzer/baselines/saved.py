"""What was learned, as a file that outlives the program: `"baseline": 1`.

Law: the same sums are the same bytes, and what is read is what was written. What a file has that no
program of ours writes is an InputError, never a traceback: it may have been edited.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from analyzer.baselines.habits import Closes
from analyzer.baselines.learned import COUNTS, Learned, Name, Response, Service, Tokens, Usual
from analyzer.errors import InputError
from analyzer.features.shapes import DEEPEST, Form, Items, Map, Object, Shape, Union

VERSION = 1
_LAYOUT = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
_LONGEST_SCALAR = 64  # characters of the name of what has nothing in it: `number`, `cell`
# A shape may be as deep as it is made, and others of the field's formats a little deeper.
_DEEPEST = 4 * DEEPEST


def to_json(learned: Learned) -> bytes:
    """The file of what was learned."""
    names = sorted(learned.endpoints)
    number = {name: at for at, name in enumerate(names)}
    return orjson.dumps(
        {
            "baseline": VERSION,
            "exchanges": learned.exchanges,
            "apart": learned.apart,
            "span_ns": learned.span,
            "early": learned.early,
            "endpoints": [_endpoint(name, learned.endpoints[name]) for name in names],
            "services": [
                _service(one, number)
                for one in sorted(learned.services, key=lambda one: sorted(one.addresses))
            ],
        },
        option=_LAYOUT,
    )


def _endpoint(name: Name, usual: Usual) -> dict[str, Any]:
    return {
        **name._asdict(),
        **{count: getattr(usual, count) for count in COUNTS},
        "longest_ns": usual.longest,
        "waits": _counts(usual.waits),
        "tokens": {place: _tokens(one) for place, one in usual.tokens.items()},
    }


def _tokens(one: Tokens) -> dict[str, Any]:
    return {
        "asked": one.asked,
        "hits": one.hits,
        "different": one.different,
        "marks": list(one.marks),
        "examples": one.examples,
        "where": dict(one.where),
    }


def _service(one: Service, number: dict[Name, int]) -> dict[str, Any]:
    closes = one.closes
    forms = [
        [number[form.endpoint], form.host, form.status, form.form.media_type,
         _written(form.form.shape), count]
        for form, count in one.forms.items()
    ]  # fmt: skip
    return {
        "addresses": sorted(one.addresses),
        "asked": sorted([number[name], count] for name, count in one.asked.items()),
        "forms": sorted(forms, key=orjson.dumps),
        "closes": {
            "closes": closes.closes,
            "closed": closes.closed,
            "owing": closes.owing,
            "holding": closes.holding,
            "delays": _counts(closes.delays),
        },
    }


def _counts(counter: Counter[int]) -> list[list[int]]:
    return sorted([at, count] for at, count in counter.items() if count)


def _written(shape: Shape | None) -> Any:
    """A shape as JSON: a scalar is its name, all else an object with its kind."""
    if shape is None or isinstance(shape, str):
        return shape
    if isinstance(shape, Object):
        return {"object": [[name, _written(one), may_miss] for name, one, may_miss in shape.fields]}
    if isinstance(shape, Union):
        return {"union": [_written(one) for one in shape.shapes]}
    return {shape.kind: _written(shape.item if isinstance(shape, Items) else shape.values)}


# --- reading -------------------------------------------------------------------------------


def from_json(data: bytes, path: str = "the baseline") -> Learned:
    """What was learned, from its file.

    `path` is what to call it. Raises InputError when it is none, or of another version.
    """
    try:
        found = orjson.loads(data)
        version = found["baseline"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise InputError(f"{path}: is no baseline (wrangler-forensics learn writes one)") from None
    if version != VERSION:
        raise InputError(f"{path}: is a baseline of version {version!r:.40}; {VERSION} is read")
    try:
        return _learned(found)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: is a damaged baseline ({what:.80})") from None


def _learned(found: Any) -> Learned:
    names = [Name(*(_text(one[part]) for part in Name._fields)) for one in found["endpoints"]]
    out = Learned(
        exchanges=_count(found["exchanges"]),
        apart=_count(found["apart"]),
        span=_count(found["span_ns"]),
        early=_count(found["early"]),
        endpoints={name: _usual(one) for name, one in zip(names, found["endpoints"], strict=True)},
        services=[_read_service(one, names) for one in found["services"]],
    )
    if len(out.endpoints) < len(names):
        raise ValueError("an endpoint comes twice")
    return Learned.merged([out])


def _usual(one: Any) -> Usual:
    waits = _counter(one["waits"])
    if any(not 0 <= at < 64 for at in waits):
        raise ValueError("a wait is in no octave")
    return Usual(
        **{count: _count(one[count]) for count in COUNTS},
        longest=_count(one["longest_ns"]),
        waits=waits,
        tokens={_text(place): _read_tokens(tokens) for place, tokens in one["tokens"].items()},
    )


def _read_tokens(one: Any) -> Tokens:
    marks = tuple(sorted({_count(mark) for mark in one["marks"]}))
    where = Counter({_text(at): _count(many) for at, many in one["where"].items()})
    asked, hits = _count(one["asked"]), _count(one["hits"])
    if hits > asked:
        raise ValueError("more tokens are repeated than were asked for")
    return Tokens(asked, hits, _count(one["different"]), marks, _count(one["examples"]), where)


def _read_service(one: Any, names: list[Name]) -> Service:
    closes = one["closes"]
    forms: Counter[Response] = Counter()
    for at, host, status, media_type, shape, count in one["forms"]:
        if not 100 <= _count(status) <= 999:
            raise ValueError("a status is none")
        form = Form(_text(media_type), None if shape is None else _read_shape(shape))
        forms[Response(names[_count(at)], _text(host), status, form)] += _count(count)
    return Service(
        addresses={_text(address) for address in one["addresses"]},
        asked=Counter({names[_count(at)]: _count(count) for at, count in one["asked"]}),
        forms=forms,
        closes=Closes(
            _count(closes["closes"]),
            _count(closes["closed"]),
            _count(closes["owing"]),
            _count(closes["holding"]),
            _counter(closes["delays"]),
        ),
    )


def _counter(pairs: Iterable[Any]) -> Counter[int]:
    return Counter({_count(at): _count(count) for at, count in pairs})


def _read_shape(found: Any, depth: int = 0) -> Shape:
    if depth > _DEEPEST:
        raise ValueError("a shape is too deep")
    if isinstance(found, str):
        if len(found) > _LONGEST_SCALAR:
            raise ValueError("a shape is none")
        return found
    ((kind, inside),) = found.items()
    if kind == "object":
        return Object(
            tuple((_text(name), _read_shape(one, depth + 1), bool(may_miss))
                  for name, one, may_miss in inside)
        )  # fmt: skip
    if kind == "union":
        return Union(tuple(_read_shape(one, depth + 1) for one in inside))
    within = None if inside is None else _read_shape(inside, depth + 1)
    if kind == "array":
        return Items(within)
    if kind == "map":
        return Map(within)
    raise ValueError("a shape is none")


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError("a count is none")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a name is none")
    return value
