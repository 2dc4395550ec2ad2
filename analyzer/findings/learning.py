"""What each endpoint's responses look like, and whose a stray one is.

Law: a response never teaches its own shape (the endpoint's other responses are counted), an error
envelope that several endpoints share says nothing, and an endpoint that answers in many forms is
not surprised by one more.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from analyzer.echoes import Position, Rule, Rules
from analyzer.shapes import (
    NO_FORM,
    UNKNOWN_FORM,
    Form,
    Object,
    Shape,
    merge,
    paths,
    text,
    unknown,
)

# A response is foreign to its endpoint when...
LARGEST_SHARE = 0.34  # at most this share of the endpoint's responses has its form,
LEAST_OWN = 2  # the endpoint has at least so many other responses to compare with,
MOST_LIKE_OWN = 0.6  # and none of the forms usual there is as similar as this;
LEAST_THERE = 2  # and another endpoint has at least so many responses
USUAL = 0.1  # making up this share of its responses,
LIKE_THERE = 0.9  # to which it is at least this similar.
MOST_OWNERS = 3  # endpoints that share a form before it is nobody's in particular
# An endpoint's responses repeat the token at a place of their requests if...
LEAST_TOKENS = 15  # at least so many requests had one,
MOST_MUTE = 0.005  # and at most this share of the responses, or
FEW_MUTE = 2  # so many, don't repeat it.
ENOUGH = 5  # responses of either endpoint from which on the comparison is `likely`

Key = tuple[int, int, int]  # endpoint, status, form

# Names of fields, letters alone, in which APIs tell of a failure (JSON-RPC, GraphQL and the
# envelopes of many others), with what stands beside them.
_FAILURE = re.compile(
    "err|errors?|err(or)?(code|msg|no)|error(message|description)|exception|fault|failures?"
)
_MESSAGE = re.compile("message|msg|details?|reason")
_ENVELOPE = re.compile(f"{_MESSAGE.pattern}|success|ok|code|status|statuscode|result|data")
_BESIDE = re.compile(
    "id|jsonrpc|path|timestamp|time|requestid|traceid|correlationid|extensions|hint|help"
    "|documentationurl|retryafter|type|title|instance"
)


@lru_cache(4096)
def _features(shape: Shape) -> dict[str, float]:
    """The paths and types of a shape with their weights: optional ones weigh half."""
    return {
        f"{path}:{kind}": 0.5 if optional else 1.0
        for path, kind, optional in paths(shape)
        if kind != "null"
    }


def similarity(a: Form, b: Form) -> float:
    """How alike two forms are, 0 to 1: the weighted share of paths and types in common."""
    if a == b:
        return 1.0
    if a.media_type != b.media_type or a.shape is None or b.shape is None:
        return 0.0
    one, two = _known_by(a.shape, b.shape), _known_by(b.shape, a.shape)
    common = sum(min(w, two[k]) for k, w in one.items() if k in two)
    every = sum(max(one.get(k, 0.0), two.get(k, 0.0)) for k in {*one, *two})
    if a.shape and isinstance(a.shape, tuple) and _nothing_inside(one, two):
        # An empty array or object is like any other.
        return 1.0
    return common / every if every else 0.0


def _known_by(shape: Shape, other: Shape) -> dict[str, float]:
    """The features of `shape`, without those of which `other` cannot know: they may be there."""
    found, open_ = _features(shape), _unknown(other)
    if not open_:
        return found
    return {key: weight for key, weight in found.items() if not key.startswith(open_)}


@lru_cache(4096)
def _unknown(shape: Shape) -> tuple[str, ...]:
    return tuple(path + end for path in unknown(shape) for end in (":", ".", "[", "{"))


def _nothing_inside(one: dict[str, float], two: dict[str, float]) -> bool:
    return min(len(one), len(two)) <= 1 and next(iter(one), "") == next(iter(two), "")


def families(counted: list[tuple[int, int, int]], forms: list[Form]) -> list[tuple[int, Form, int]]:
    """(status, form, count) with forms that are much alike merged, from (status, number, count).

    The most frequent come first and gather those like them; ties go by their texts, so that the
    result does not depend on the order in which forms were met.
    """
    ordered = sorted(
        counted, key=lambda c: (-c[2], c[0], forms[c[1]].media_type, text(forms[c[1]].shape))
    )
    found: list[tuple[int, Form, int]] = []
    for status, number, count in ordered:
        form = forms[number]
        for place, (known_status, known, known_count) in enumerate(found):
            if status == known_status and similarity(form, known) >= MOST_LIKE_OWN:
                merged = known
                if form.shape is not None and known.shape is not None:
                    merged = Form(form.media_type, merge(known.shape, form.shape))
                found[place] = (status, merged, known_count + count)
                break
        else:
            found.append((status, form, count))
    return found


@lru_cache(4096)
def tells_failure(form: Form) -> bool:
    """Whether a form is what APIs say of a failure, or of any success, whatever was asked for.

    Many answer so with status 200, and then it says nothing about the endpoint.
    """
    if form.media_type.endswith("problem+json"):
        return True  # RFC 9457
    if not isinstance(form.shape, Object):
        return False
    names = {re.sub(r"[^a-z]", "", name.lower()) for name, _, _ in form.shape.fields}
    told = {name for name in names if _FAILURE.fullmatch(name)}
    kept = {name for name in names - told if not _ENVELOPE.fullmatch(name)}
    if told:
        return all(_BESIDE.fullmatch(name) for name in kept)
    return not kept and any(_MESSAGE.fullmatch(name) for name in names)


def says_something(form: Form) -> bool:
    """Whether a form has enough in it to be recognised: two fields at least."""
    return form.shape is not None and len(_features(form.shape)) >= 3


@dataclass(slots=True)
class EchoRules:
    """The places of each endpoint whose tokens all but few of its responses repeat.

    `asked` counts, by endpoint and place, the requests with a token; `missed` has for the few
    exchanges whose response doesn't repeat it the places, by where the exchange is.
    """

    asked: dict[int, dict[str, int]] = field(default_factory=dict)
    missed: dict[Position, tuple[str, ...]] = field(default_factory=dict)

    def places(self, endpoint: int) -> Iterable[str]:
        """The places that matter for an endpoint."""
        return self.asked.get(endpoint, {})

    @classmethod
    def of(
        cls, rules: Rules, endpoint_of: Sequence[int], counts: Callable[[int], float]
    ) -> "EchoRules":
        """Join the rules of an endpoint's routes.

        `counts` tells of a connection's number whether its exchanges count: each connection is
        judged at one place only, however many saw it. -1 stands for the share of all that do.
        """
        out = cls()
        joined: dict[tuple[int, str], Rule] = {}
        constants: dict[tuple[int, str], set[bytes]] = defaultdict(set)
        for (route, place), rule in sorted(rules.items()):
            key = (int(endpoint_of[route]), place)
            known = joined.setdefault(key, Rule())
            if rule.dead:
                known.dead |= rule.varies
                continue
            known.asked += rule.asked
            known.misses += rule.misses
            known.varies |= rule.varies
            constants[key].add(rule.first)
        share = counts(-1)
        for (endpoint, place), rule in joined.items():
            asked = int(rule.asked * share)
            misses = [at for at in rule.misses if counts(at[0])]
            varies = rule.varies or len(constants[(endpoint, place)]) > 1
            if rule.dead or not varies or asked < LEAST_TOKENS:
                continue
            if len(misses) > max(FEW_MUTE, MOST_MUTE * asked):
                continue
            out.asked.setdefault(endpoint, {})[place] = asked
            for at in misses:
                out.missed[at] = (*out.missed.get(at, ()), place)
        return out


@dataclass(slots=True)
class Learned:
    """The forms of each endpoint with their counts."""

    forms: list[Form]
    counts: Counter[Key]
    by_endpoint: dict[int, Counter[tuple[int, int]]] = field(init=False)

    def __post_init__(self) -> None:
        grouped: dict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
        for (endpoint, status, form), count in self.counts.items():
            if form not in (NO_FORM, UNKNOWN_FORM) and status < 400:
                grouped[endpoint][(status, form)] += count
        self.by_endpoint = dict(grouped)

    def total(self, endpoint: int) -> int:
        """Responses of the endpoint that have a form and no error status."""
        return self.by_endpoint.get(endpoint, Counter()).total()

    def count(self, endpoint: int, form: int) -> int:
        """How many of those have this form."""
        found = self.by_endpoint.get(endpoint, Counter())
        return sum(n for (_, f), n in found.items() if f == form)

    def is_foreign(self, key: Key) -> bool:
        """Whether responses under `key` look unlike what their endpoint otherwise answers."""
        endpoint, status, form = key
        if form in (NO_FORM, UNKNOWN_FORM) or status >= 400 or tells_failure(self.forms[form]):
            return False
        total, same = self.total(endpoint), self.count(endpoint, form)
        if total - same < LEAST_OWN or same > LARGEST_SHARE * total:
            return False
        usual = [
            f
            for (_, f), n in self.by_endpoint[endpoint].items()
            if f != form and n >= USUAL * total
        ]
        return all(similarity(self.forms[form], self.forms[f]) < MOST_LIKE_OWN for f in usual)

    def endpoints_like(self, key: Key) -> list[int]:
        """The other endpoints whose usual responses look like those under `key`."""
        endpoint, status, form = key
        found = []
        for other, counts in self.by_endpoint.items():
            if other == endpoint:
                continue
            total = counts.total()
            alike = sum(
                n
                for (s, f), n in counts.items()
                if s == status and similarity(self.forms[f], self.forms[form]) >= LIKE_THERE
            )
            if alike >= LEAST_THERE and alike >= USUAL * total:
                found.append(other)
        return sorted(found)
