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

from analyzer.echoes import Position, Rule, Rules, says_who
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
WEAK_MUTE = 0.05  # up to this share the rule still tells of two that mirror each other,
MOST_WEAK = 200  # if there are no more than so many.
ENOUGH = 5  # responses of either endpoint from which on the comparison is `likely`
# Beyond these there are so many forms that no one tells them by looking.
MOST_FAMILIES = 24  # of an endpoint that gather the forms like them
MOST_COMPARED = 1 << 20  # pairs of forms, where every form is compared with those that may be alike

Key = tuple[int, int, int]  # endpoint, status, form

_EXACT = 1e-9  # what sums of weights may be wrong by
_ENDS = (":", ".", "[", "{")  # what follows a path where something is below it, or at it

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


@lru_cache(16_384)
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


@lru_cache(16_384)
def _unknown(shape: Shape) -> tuple[str, ...]:
    return tuple(path + end for path in unknown(shape) for end in _ENDS)


def _nothing_inside(one: dict[str, float], two: dict[str, float]) -> bool:
    return min(len(one), len(two)) <= 1 and next(iter(one), "") == next(iter(two), "")


def families(counted: list[tuple[int, int, int]], forms: list[Form]) -> list[tuple[int, Form, int]]:
    """(status, form, count) with forms that are much alike merged, from (status, number, count).

    The most frequent come first and gather those like them (the first few do); ties go by their
    texts, so that the result does not depend on the order in which forms were met.
    """
    ordered = sorted(
        counted, key=lambda c: (-c[2], c[0], forms[c[1]].media_type, text(forms[c[1]].shape))
    )
    found: list[tuple[int, Form, int]] = []
    for status, number, count in ordered:
        form = forms[number]
        for place, (known_status, known, known_count) in enumerate(found[:MOST_FAMILIES]):
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
    exchanges whose response doesn't repeat it the places, by where the exchange is. `weak` and
    `missed_weakly` are the same of places whose tokens a few more of the responses don't repeat.
    """

    asked: dict[int, dict[str, int]] = field(default_factory=dict)
    missed: dict[Position, tuple[str, ...]] = field(default_factory=dict)
    weak: dict[int, dict[str, int]] = field(default_factory=dict)
    missed_weakly: dict[Position, tuple[str, ...]] = field(default_factory=dict)

    def places(self, endpoint: int) -> Iterable[str]:
        """The places that matter for an endpoint."""
        return self.asked.get(endpoint, {})

    def every_place(self, endpoint: int) -> set[str]:
        """Those, and the weak ones."""
        return {*self.places(endpoint), *self.weak.get(endpoint, ())}

    def says_what(self, endpoint: int) -> bool:
        """Whether an endpoint's responses repeat what is asked for, and not only who asks."""
        return any(not says_who(place) for place in self.places(endpoint))

    def mute(self, position: Position) -> tuple[str, ...]:
        """The places whose tokens the response to the request at `position` doesn't repeat."""
        return self.missed.get(position) or self.missed_weakly.get(position, ())

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
        given_up: set[tuple[int, str]] = set()
        for (route, place), rule in rules.items():
            key = (int(endpoint_of[route]), place)
            if rule.dead:
                # A name that all requests of the route share tells nothing about the others.
                if rule.varies:
                    given_up.add(key)
                continue
            known = joined.setdefault(key, Rule())
            known.asked += rule.asked
            known.missed += rule.missed
            known.misses += rule.misses
            for value in rule.values:
                known.value(value)
        share = counts(-1)
        for (endpoint, place), rule in sorted(joined.items(), key=lambda known: known[0]):
            asked = int(rule.asked * share)
            misses = [at for at in rule.misses if counts(at[0])]
            if (endpoint, place) in given_up or not rule.varies or asked < LEAST_TOKENS:
                continue
            if len(misses) <= max(FEW_MUTE, MOST_MUTE * asked):
                places, missed = out.asked, out.missed
            elif len(misses) <= min(MOST_WEAK, WEAK_MUTE * asked):
                places, missed = out.weak, out.missed_weakly
            else:
                continue
            places.setdefault(endpoint, {})[place] = asked
            for at in misses:
                missed[at] = (*missed.get(at, ()), place)
        return out


@dataclass(slots=True)
class Learned:
    """The forms of each endpoint with their counts."""

    forms: list[Form]
    counts: Counter[Key]
    _totals: Counter[int] = field(init=False)
    _by_form: Counter[tuple[int, int]] = field(init=False)  # endpoint, form
    _users: dict[int, list[tuple[int, int, int]]] = field(init=False)  # form: endpoint, status, n
    _usual: dict[int, list[int]] = field(init=False)  # endpoint: forms
    _like: dict[tuple[int, int], frozenset[int]] = field(default_factory=dict)
    _kin: "_Kin | None" = None

    def __post_init__(self) -> None:
        self._totals, self._by_form = Counter(), Counter()
        self._users, self._usual = defaultdict(list), defaultdict(list)
        told = [
            (key, count)
            for key, count in sorted(self.counts.items())
            if key[2] not in (NO_FORM, UNKNOWN_FORM) and key[1] < 400
        ]
        for (endpoint, status, form), count in told:
            self._totals[endpoint] += count
            self._by_form[endpoint, form] += count
            self._users[form].append((endpoint, status, count))
        for (endpoint, _, form), count in told:
            if count >= USUAL * self._totals[endpoint]:
                self._usual[endpoint].append(form)

    def total(self, endpoint: int) -> int:
        """Responses of the endpoint that have a form and no error status."""
        return self._totals[endpoint]

    def count(self, endpoint: int, form: int) -> int:
        """How many of those have this form."""
        return self._by_form[endpoint, form]

    def usual(self, endpoint: int) -> list[int]:
        """The forms that are usual among them."""
        return self._usual.get(endpoint, [])

    def is_foreign(self, key: Key) -> bool:
        """Whether responses under `key` look unlike what their endpoint otherwise answers."""
        endpoint, status, form = key
        if form in (NO_FORM, UNKNOWN_FORM) or status >= 400 or tells_failure(self.forms[form]):
            return False
        total, same = self.total(endpoint), self.count(endpoint, form)
        if total - same < LEAST_OWN or same > LARGEST_SHARE * total:
            return False
        return all(
            similarity(self.forms[form], self.forms[f]) < MOST_LIKE_OWN
            for f in self.usual(endpoint)
            if f != form
        )

    def endpoints_like(self, key: Key) -> list[int]:
        """The other endpoints whose usual responses look like those under `key`."""
        return sorted(self._endpoints_like(key[1], key[2]) - {key[0]})

    def looks_like(self, key: Key, endpoint: int) -> bool:
        """Whether `endpoint` is one of `endpoints_like(key)`."""
        return endpoint != key[0] and endpoint in self._endpoints_like(key[1], key[2])

    def _endpoints_like(self, status: int, form: int) -> frozenset[int]:
        found = self._like.get((status, form))
        if found is None:
            alike: Counter[int] = Counter()
            for other in self._forms_like(form):
                for endpoint, its_status, count in self._users[other]:
                    if its_status == status:
                        alike[endpoint] += count
            found = self._like[status, form] = frozenset(
                endpoint
                for endpoint, count in alike.items()
                if count >= LEAST_THERE and count >= USUAL * self._totals[endpoint]
            )
        return found

    def _forms_like(self, form: int) -> list[int]:
        """The forms of `counts` that are at least LIKE_THERE similar to `form`."""
        if self._kin is None:
            frequency = {f: sum(n for *_, n in users) for f, users in self._users.items()}
            self._kin = _Kin(self.forms, frequency)
        mine = self.forms[form]
        near = dict.fromkeys([form, *self._kin.near(mine)])
        return [
            f for f in near if f in self._users and similarity(self.forms[f], mine) >= LIKE_THERE
        ]


class _Kin:
    """Finds the forms that may be LIKE_THERE similar to one, without comparing all.

    Law: none is missed, but where there are so many forms that each can be compared with a part of
    the others only: then those that occur most are.
    """

    def __init__(self, forms: list[Form], frequency: dict[int, int]) -> None:
        # The most frequent first, and of those the order in which a person reads them: the same
        # whatever the order in which forms were met.
        order = sorted(frequency, key=lambda f: (-frequency[f], *_readable(forms[f])))
        self._most = MOST_COMPARED // max(1, len(order))
        self._having: dict[str, list[int]] = defaultdict(list)  # path and type: forms that have it
        self._open: dict[str, list[int]] = defaultdict(list)  # path: forms that know nothing below
        self._first: dict[str, list[int]] = defaultdict(list)  # the same of the first path and type
        self._second: dict[str, list[int]] = defaultdict(list)  # path: forms, of their second one
        self._bare: list[int] = []  # forms with at most one
        for form in order:
            shape = forms[form].shape
            if shape is None:
                continue
            features = list(_features(shape))
            for feature in features:
                self._having[feature].append(form)
            for path in dict.fromkeys(unknown(shape)):
                self._open[path].append(form)
            if features:
                self._first[features[0]].append(form)
            if len(features) < 2:
                self._bare.append(form)
                continue
            for path in _above(features[1]):
                self._second[path].append(form)

    def near(self, form: Form) -> list[int]:
        """The forms that may be so similar to `form`."""
        if form.shape is None:
            return []
        features = _features(form.shape)
        first, *others = features or [""]
        # What has nothing inside is like everything that begins alike, and so is what has nothing
        # inside that the other one knows of.
        lists = [self._bare]
        lists += [self._second.get(path, []) for path in unknown(form.shape)]
        if not others:
            lists.append(self._first.get(first, []))
        # Whatever has none of the rarest paths, of more than the weight that may differ, lacks too
        # much (the prefix filter of set similarity joins: Chaudhuri, Ganti and Kaushik, 2006),
        # unless it cannot know of them.
        spare = (1 - LIKE_THERE) * sum(features.values())
        for feature in sorted(others, key=lambda f: (len(self._having.get(f, ())), f)):
            lists.append(self._having.get(feature, []))
            lists += [self._open.get(path, []) for path in _above(feature)]
            spare -= features[feature]
            if spare < -_EXACT:
                break
        found: dict[int, None] = {}
        for some in lists:
            found.update(dict.fromkeys(some[: self._most]))
        return list(found)[: self._most]


def _above(feature: str) -> list[str]:
    """All paths below which a path and type may be."""
    return [feature[:at] for at, sign in enumerate(feature) if sign in _ENDS]


def _readable(form: Form) -> tuple[str, str]:
    return form.media_type, text(form.shape)
