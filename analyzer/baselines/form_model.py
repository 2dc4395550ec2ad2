"""What the responses of each endpoint look like, and how well one fits an endpoint: in bits.

Law: fields are weighed, not whole forms, and everything is counted in sums, so that the order of
the exchanges makes no difference and the work grows with them in a straight line. A response never
teaches its own form. What is said in bits is what the capture itself shows: how often responses fit
their own endpoint as badly as this one (all of them, each left out of what it is held against), and
how often those of other endpoints fit as well.

- A form's *features*: its status and media type, each field, each field's type. A feature is looked
  for only where it could have stood: what an empty list, a null or a missing object would have held
  is unknown, not missing. So each feature counts given the *container* that it stands in.
- A feature weighs what it tells: one that every endpoint's responses have, an envelope's say, next
  to nothing; one that few have, much (the inverse frequency of information retrieval: Spärck Jones,
  1972).
- How often an endpoint's responses have a feature is smoothed by what is known of the same endpoint
  under other Host names and at other servers, and of its neighbours in the path: an endpoint met
  for the first time is known by those.
- The *fit* of a response to an endpoint is the share of weight in common, 0 to 1 (a weighted
  Jaccard index with expected counts).

Source: record linkage by comparisons that are weighed by how often they come true among true pairs
and among random ones (Fellegi and Sunter, 1969); issue 11.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.features.shapes import NULL, Form, Items, Map, Object, Shape, Union, may_be_json

MOST_FEATURES = 512  # of one form, those nearest its root
BORROWED = 1.0  # responses that the next wider population counts for
# What is known before anything is seen. One in so many (2**-UNFIT) responses of an endpoint that
# one response is known of looks like none before it; and of two endpoints taken at random one in so
# many answers like the other.
UNFIT = 6.0
ALIKE = 3.0
ALIKE_FITS = 0.05  # what fits differ by that are as good as equal
LEAST_MASS = 1.0  # bits of weight that a comparison must rest on to say anything
# Responses of an endpoint that are known, from which on it counts as known better.
BETTER_KNOWN = (1, 2, 4, 8, 16)
ENDPOINT = 1  # the level of `FormModel` that has endpoints; 0: their neighbours, 2: their variants
AT_ONCE = 2_048  # pairs that are compared at once, since each has many features
MOST_PAIRS = 20_000  # pairs of endpoints that are compared to learn how alike strangers are

Key = tuple[int, int, int]  # variant, status, number of the form
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


# --- features ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Incidence:
    """Which features and containers each kind of response has, as two ragged arrays.

    A *kind* is a form with its status. Row n of an array is `values[starts[n] : starts[n + 1]]`.
    """

    feature: Ints
    feature_start: Ints
    held: Ints  # which of its row's containers holds each entry of `feature`
    container_of: Ints  # of every feature
    container: Ints
    container_start: Ints
    features: int
    containers: int

    @classmethod
    def of(cls, forms: Sequence[Form], kinds: Sequence[tuple[int, int]]) -> "_Incidence":
        """Of the kinds given as (status, number of the form), those nearest its root of each.

        All kinds go down together, a level of their shapes at a time.
        """
        namer = _Namer()
        heads = [namer.head(forms[form], status) for status, form in kinds]
        has = [np.array(list(chain.from_iterable(heads)), dtype=np.int64)]
        opens = [np.full(len(has[0]), _NOTHING)]
        whose = [np.repeat(np.arange(len(kinds)), np.array([*map(len, heads)], dtype=np.int64))]
        opens[0][np.flatnonzero(np.diff(whose[0], prepend=-1))] = _RESPONSE
        roots = [-1 if (s := forms[form].shape) is None else namer.root(s) for _, form in kinds]
        tree = namer.tree()
        part = np.array(roots, dtype=np.int64)
        owner = np.flatnonzero(part >= 0)
        part = part[owner]
        while len(part):
            entry, of = _ragged(part, tree.start)
            has.append(tree.feature[entry])
            opens.append(tree.opens[entry])
            whose.append(owner[of])
            entry, of = _ragged(part, tree.below_start)
            part, owner = tree.below[entry], owner[of]
        feature, opened, row = map(np.concatenate, (has, opens, whose))
        order = np.argsort(row, kind="stable")
        within = np.arange(len(row)) - np.searchsorted(row[order], row[order])
        order = order[within < MOST_FEATURES]
        feature, opened, row = feature[order], opened[order], row[order]
        inside = np.flatnonzero(opened != _NOTHING)
        ends = np.arange(len(kinds) + 1)
        container_of = np.array(namer.container_of, dtype=np.int64)
        container_start = np.searchsorted(row[inside], ends)
        # What holds a feature is nearer the root, so it is there as well.
        codes = row[inside] * namer.containers + opened[inside]
        by_code = np.argsort(codes)
        holder = np.searchsorted(codes[by_code], row * namer.containers + container_of[feature])
        return cls(
            feature=feature,
            feature_start=np.searchsorted(row, ends),
            held=by_code[holder] - container_start[row],
            container_of=container_of,
            container=opened[inside],
            container_start=container_start,
            features=len(namer.container_of),
            containers=namer.containers,
        )


_Entry = tuple[int, int]  # a feature, and the container that it opens
_NOTHING, _RESPONSE = -1, 0  # containers: none, and the one that every response opens


@dataclass(slots=True)
class _Place:
    """A place in bodies, below others: all forms share these, so that each is named once.

    `known` are the shapes that were met there, by their parts' numbers: most of a body is as in
    another one.
    """

    itself: _Entry  # as a feature: that there is something
    types: dict[str, _Entry] = field(default_factory=dict)
    below: dict[tuple[str, str], "_Place"] = field(default_factory=dict)  # by type, and field
    known: dict[Shape, int] = field(default_factory=dict)


class _Tree(NamedTuple):
    """The parts of all bodies: the features of each, what these open, and the parts below it."""

    feature: Ints
    opens: Ints
    start: Ints
    below: Ints
    below_start: Ints


class _Namer:
    """Numbers features and containers, and each shape at a place: the *parts* of bodies."""

    def __init__(self) -> None:
        self.container_of: list[int] = []  # of every feature
        self.containers = _RESPONSE + 1
        self._heads: dict[str, int] = {}
        self._top = _Place(self._feature(_RESPONSE))
        self._entries: list[_Entry] = []
        self._below: list[int] = []
        self._start, self._below_start = [0], [0]

    def _feature(self, container: int) -> _Entry:
        """A new feature, and a container for what it may hold."""
        self.container_of.append(container)
        self.containers += 1
        return len(self.container_of) - 1, self.containers - 1

    def head(self, form: Form, status: int) -> list[int]:
        """The features of a form but for its shape; the first opens all that is in a response."""
        names = [f"={status}", f"={form.media_type or 'no body'}"]
        if form.shape is None and form.media_type and may_be_json(form.media_type):
            names.append("=unreadable")
        for name in names:
            if name not in self._heads:
                self._heads[name] = self._feature(_RESPONSE)[0]
        return [self._heads[name] for name in names]

    def root(self, shape: Shape) -> int:
        """The number of a whole body."""
        found = self._top.known.get(shape)
        return self._part(self._top, shape) if found is None else found

    def tree(self) -> _Tree:
        """All parts so far."""
        entries = np.array(self._entries, dtype=np.int64).reshape(-1, 2)
        rest = (self._start, self._below, self._below_start)
        return _Tree(entries[:, 0], entries[:, 1], *(np.array(x, dtype=np.int64) for x in rest))

    def _part(self, place: _Place, shape: Shape) -> int:
        # Fields and their types: that a field is there at all is known even where it is null.
        below: list[int] = []
        here = [place.itself if shape != NULL else (place.itself[0], _NOTHING)]
        for kind in shape.shapes if isinstance(shape, Union) else (shape,):
            if kind == NULL:
                continue
            name = kind if isinstance(kind, str) else type(kind).__name__
            entry = place.types.get(name)
            if entry is None:
                entry = place.types[name] = self._feature(place.itself[1])
            inside = _inside(kind)
            here.append(entry if inside or isinstance(kind, Object) else (entry[0], _NOTHING))
            for key, value in inside:
                inner = place.below.get((name, key))
                if inner is None:
                    inner = place.below[name, key] = _Place(self._feature(entry[1]))
                known = inner.known.get(value)
                below.append(self._part(inner, value) if known is None else known)
        self._entries += here
        self._below += below
        self._start.append(len(self._entries))
        self._below_start.append(len(self._below))
        number = place.known[shape] = len(self._start) - 2
        return number


def _inside(shape: Shape) -> Sequence[tuple[str, Shape]]:
    """What stands in a shape: the fields of an object by name, what items or values are."""
    if isinstance(shape, Object):
        return [(key, value) for key, value, _ in shape.fields]
    if not isinstance(shape, Items | Map):
        return []
    within = shape.item if isinstance(shape, Items) else shape.values
    return [] if within is None else [("", within)]


def _ragged(rows: Ints, start: Ints) -> tuple[Ints, Ints]:
    """Where the values of some rows of a ragged array are, row by row, and whose each is."""
    counts = start[rows + 1] - start[rows]
    whose = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(whose)) - np.repeat(np.cumsum(counts) - counts, counts)
    return start[rows][whose] + within, whose


# --- populations ---------------------------------------------------------------------------


@dataclass(slots=True)
class _Sums:
    """Counts by a pair of numbers, looked up by arrays of such pairs."""

    codes: npt.NDArray[np.uint64]
    counts: Floats
    width: int

    @classmethod
    def of(cls, one: Ints, two: Ints, weights: Floats, width: int) -> "_Sums":
        codes, place = np.unique(_coded(one, two, width), return_inverse=True)
        return cls(codes, np.bincount(place, weights, len(codes)).astype(np.float64), width)

    def pairs(self) -> tuple[Ints, Ints]:
        """The pairs that there are."""
        one, two = divmod(self.codes.astype(np.int64), self.width)
        return one, two

    def grouped(self, group: Ints) -> "_Sums":
        """The sums over groups, of which `group` has one for every first number."""
        one, two = self.pairs()
        return _Sums.of(group[one], two, self.counts, self.width)

    def at(self, one: Ints, two: Ints) -> Floats:
        """The counts of these pairs; 0 where there are none."""
        if not len(self.codes):
            return np.zeros(len(one))
        wanted = _coded(one, two, self.width)
        place = np.minimum(np.searchsorted(self.codes, wanted), len(self.codes) - 1)
        return np.where(self.codes[place] == wanted, self.counts[place], 0.0)


def _left(sums: _Sums, gone: _Sums, one: Ints, two: Ints, less: Floats | float) -> Floats:
    """The counts of these pairs without those that are `gone`, and without so many `less`."""
    left: Floats = np.maximum(sums.at(one, two) - gone.at(one, two) - less, 0.0)
    return left


def _coded(one: Ints, two: Ints, width: int) -> npt.NDArray[np.uint64]:
    return (one * width + two).astype(np.uint64)


@dataclass(slots=True)
class _Population:
    """The responses of each group at one level: of a variant, an endpoint, a neighbourhood."""

    group: Ints  # of every variant; -1: none
    responses: Floats  # of every group
    having: _Sums  # group, feature
    open: _Sums  # group, container: responses that show the inside of it
    within: _Sums  # group, container: the weight of what they have in it


@dataclass(frozen=True, slots=True)
class Fit:
    """How well responses fit endpoints, an entry a pair.

    `share` is 0 to 1; `mass` is the weight in bits that was compared, and `known` the number of
    responses of that very endpoint that it was held against.
    """

    share: Floats
    mass: Floats
    known: Floats

    @property
    def tells(self) -> npt.NDArray[np.bool_]:
        """Whether there was anything to compare."""
        told: npt.NDArray[np.bool_] = self.mass >= LEAST_MASS
        return told


@dataclass(slots=True)
class Counted:
    """How often each variant of an endpoint answered in each kind: what the model is made of.

    Arrays with an entry for each (variant, status, form). A *variant* is an endpoint at one server
    under one Host name; `endpoint` and `neighbours` say what wider populations each belongs to.
    """

    variant: Ints
    status: Ints
    form: Ints
    count: Ints
    endpoint: Ints  # of every variant
    neighbours: Ints  # of every variant
    before: Ints | None = None  # of `count` those that were learned before, from other captures

    @property
    def here(self) -> Ints:
        """Of `count` those of the capture itself."""
        return self.count if self.before is None else self.count - self.before


@dataclass(slots=True)
class FormModel:
    """What endpoints' responses look like; asked for fits and for what these are worth in bits."""

    forms: Sequence[Form]
    counted: Counted
    _kinds: dict[tuple[int, int], int] = field(default_factory=dict)  # (status, form): number
    _has: _Incidence = field(init=False)
    _weight: Floats = field(init=False)  # of every feature, in bits
    _levels: list[_Population] = field(init=False)  # the widest first
    _gone: list[_Population] = field(init=False)  # of each level: what is left out (see `without`)
    _kind: Ints = field(init=False)  # of every entry of `counted`
    _own: Fit = field(init=False)  # of every entry to its own variant
    _stranger: Fit = field(init=False)
    _few: list[tuple[Floats, Ints, Floats]] = field(init=False)  # see `_thinned`
    _entry: dict[Key, int] = field(init=False)  # number of the entry of `counted`
    _count: Floats = field(init=False)  # responses of every entry that are known to be their own
    _usual: "_Usual" = field(init=False)

    def __post_init__(self) -> None:
        counted = self.counted
        pairs = list(zip(counted.status.tolist(), counted.form.tolist(), strict=True))
        self._kind = np.array([self._number(*pair) for pair in pairs], dtype=np.int64)
        self._has = _Incidence.of(self.forms, list(self._kinds))
        self._weight = self._weights()
        self._levels = self._populations(np.arange(len(pairs)), counted.count.astype(np.float64))
        self._gone = self._populations(np.empty(0, dtype=np.int64), np.empty(0))
        self._own = self.fit(counted.variant, self._kind, own=True)
        self._stranger = self.fit(*self._strangers(), own=False)
        self._few = [self._thinned(few) for few in BETTER_KNOWN[:-1]]
        keys = zip(counted.variant.tolist(), pairs, strict=True)
        self._entry = {(variant, *pair): n for n, (variant, pair) in enumerate(keys)}
        self._learn(counted.count.astype(np.float64))

    def _number(self, status: int, form: int) -> int:
        return self._kinds.setdefault((status, form), len(self._kinds))

    def _weights(self) -> Floats:
        """What each feature tells: how few of the endpoints' responses have it."""
        counted, has = self.counted, self._has
        endpoint = counted.endpoint[counted.variant]
        responses = np.bincount(endpoint, counted.count)
        entry, whose = _ragged(self._kind, has.feature_start)
        feature = has.feature[entry]
        share = counted.count[whose] / np.maximum(responses[endpoint[whose]], 1.0)
        having = np.bincount(feature, share, has.features)
        every = float(np.count_nonzero(responses))
        weights: Floats = -np.log2((having + 0.5) / (every + 1.0))
        return np.maximum(weights, 0.0)

    def _populations(self, entries: Ints, count: Floats) -> list[_Population]:
        """What so many responses of some entries of `counted` have, at each level."""
        counted, has, kind = self.counted, self._has, self._kind[entries]
        variant = counted.variant[entries]
        entry, whose = _ragged(kind, has.feature_start)
        feature = has.feature[entry]
        having = _Sums.of(variant[whose], feature, count[whose], has.features)
        entry, whose = _ragged(kind, has.container_start)
        container = has.container[entry]
        opened = _Sums.of(variant[whose], container, count[whose], has.containers)
        found = []
        for group in (counted.neighbours, counted.endpoint, np.arange(len(counted.endpoint))):
            responses = np.bincount(group[variant], count, int(group.max(initial=-1)) + 1)
            its = having.grouped(group)
            of, feature = its.pairs()
            weight = its.counts * self._weight[feature]
            within = _Sums.of(of, has.container_of[feature], weight, has.containers)
            found.append(
                _Population(group, responses.astype(np.float64), its, opened.grouped(group), within)
            )
        return found

    # --- fits ------------------------------------------------------------------------------

    def kind(self, status: int, form: int) -> int:
        """The number of a kind that was counted; -1 for one that is none (it says nothing)."""
        return self._kinds.get((status, form), -1)

    def fit(self, variant: Ints, kind: Ints, *, own: bool) -> Fit:
        """How well responses of these kinds fit these variants, an entry a pair.

        With `own` each is one of the variant's own and left out of what it is held against.
        """
        if len(kind) > AT_ONCE:
            parts = [slice(at, at + AT_ONCE) for at in range(0, len(kind), AT_ONCE)]
            fits = [self.fit(variant[part], kind[part], own=own) for part in parts]
            return Fit(
                np.concatenate([fit.share for fit in fits]),
                np.concatenate([fit.mass for fit in fits]),
                np.concatenate([fit.known for fit in fits]),
            )
        has = self._has
        entry, opener = _ragged(kind, has.container_start)
        container, first = has.container[entry], np.searchsorted(opener, np.arange(len(kind)))
        entry, whose = _ragged(kind, has.feature_start)
        feature, held = has.feature[entry], first[whose] + has.held[entry]
        weight = self._weight[feature]
        less = 1.0 if own else 0.0
        # What each response itself has in each container.
        inside: Floats | float = 0.0
        if own:
            inside = np.bincount(held, weight, len(container)).astype(np.float64)
        likely = np.zeros(len(feature))  # the chance of each feature there
        expected = np.zeros(len(container))  # the weight expected in each container
        told = np.zeros(len(container), dtype=np.bool_)  # whether anything is known of its inside
        endpoint = self._levels[ENDPOINT]
        responses = endpoint.responses - self._gone[ENDPOINT].responses
        known = np.maximum(responses[endpoint.group[variant]] - less, 0.0)
        experienced = known > 0
        for at, level in enumerate(self._levels):
            group = level.group[variant]
            gone = self._gone[at]
            there = group[opener]
            shown = _left(level.open, gone.open, there, container, less)
            weighed = _left(level.within, gone.within, there, container, inside)
            has_it = _left(level.having, gone.having, group[whose], feature, less)
            expected = _blended(weighed, shown, expected, told)
            likely = _blended(has_it, shown[held], likely, told[held])
            # What neighbours have inside of something is no answer to whether it belongs here.
            told = (told & ~experienced[opener] if at == ENDPOINT else told) | (shown > 0)
        size = len(kind)
        common = np.bincount(whose, np.where(told[held], weight * likely, 0.0), size)
        held_up = np.bincount(whose, np.where(told[held], weight, 0.0), size)
        other = np.bincount(opener, np.where(told, expected, 0.0), size)
        mass = np.asarray(held_up + other - common, dtype=np.float64)
        share = np.divide(common, mass, out=np.ones(size), where=mass > 0)
        return Fit(np.clip(share, 0.0, 1.0), mass, known)

    # --- what fits are worth -----------------------------------------------------------------

    def without(self, responses: Iterable[tuple[Key, float]]) -> "FormModel":
        """The same, but that so much of responses under these keys is not known to be their own."""
        apart = copy(self)
        count = self._count.copy()
        for key, share in responses:
            at = self._entry.get(key)
            if at is not None:
                count[at] = max(0.0, count[at] - share)
        apart._learn(count)
        less = self.counted.count - count
        entries = np.flatnonzero(less > 0)
        apart._gone = self._populations(entries, less[entries])
        return apart

    def _learn(self, count: Floats) -> None:
        """Learn what is usual from so many responses of each entry of `counted`."""
        self._count = count
        own, strangers = self._own, self._stranger
        endpoint = self.counted.endpoint[self.counted.variant]
        tells = own.tells & (count > 0)
        experience = np.where(tells, _experience(own.known), -1)
        in_question = np.unique(endpoint[count < self.counted.count])

        def fits(of: npt.NDArray[np.bool_]) -> _Fits:
            return _Fits.of(own.share[of], endpoint[of], count[of])

        self._usual = _Usual(
            fits(tells),
            [fits(experience == n) for n in range(len(BETTER_KNOWN) + 1)],
            [_Fits.of(*few, but=in_question) for few in self._few],
            np.sort(strangers.share[strangers.tells]),
        )

    def _thinned(self, few: int) -> tuple[Floats, Ints, Floats]:
        """How well responses fit endpoints of which so few others are known; which, and how many.

        What a new form is worth is learned from endpoints that are known well; of one that is
        hardly known most forms are still to come. So the others are made as little known: of each
        `few` responses are drawn, and the rest is held against these.
        """
        counted = self.counted
        endpoint = counted.endpoint[counted.variant]
        drawn = np.zeros(len(endpoint))
        order = np.argsort(endpoint, kind="stable")
        chance = np.random.default_rng(few)  # the same draw each time
        for its in np.split(order, np.flatnonzero(np.diff(endpoint[order])) + 1):
            if len(its) and counted.count[its].sum() > few:
                drawn[its] = chance.multivariate_hypergeometric(counted.count[its], few)
        entries = np.flatnonzero(drawn)
        thin = copy(self)
        thin._levels = self._populations(entries, drawn[entries])
        left = np.flatnonzero((counted.count > drawn) & np.isin(endpoint, endpoint[entries]))
        left = left[np.linspace(0, len(left) - 1, min(len(left), AT_ONCE)).astype(np.int64)]
        fit = thin.fit(counted.variant[left], self._kind[left], own=False)
        columns = fit.share, endpoint[left], (counted.count - drawn)[left]
        return columns[0][fit.tells], columns[1][fit.tells], columns[2][fit.tells]

    def _strangers(self) -> tuple[Ints, Ints]:
        """Pairs of a variant and the commonest kind of another endpoint, at most MOST_PAIRS."""
        counted = self.counted
        endpoint = counted.endpoint[counted.variant]
        order = np.lexsort((self._kind, -counted.count, endpoint))
        first = order[np.flatnonzero(np.diff(endpoint[order], prepend=-1))]
        many = len(first)
        # All pairs of few endpoints; of many as many for each, spread evenly over the others.
        steps = np.arange(1, many)
        if many * (many - 1) > MOST_PAIRS:
            steps = np.unique(np.linspace(1, many - 1, max(1, MOST_PAIRS // many)).astype(np.int64))
        at = np.repeat(np.arange(many), len(steps))
        other = (at + np.tile(steps, many)) % max(1, many)
        return counted.variant[first][at], self._kind[first][other]

    def odd_bits(self) -> Floats:
        """For every entry of `counted`: how odd such a response is for its own endpoint."""
        own = self._own
        endpoint = self.counted.endpoint[self.counted.variant]
        bits = self._usual.odd(own.share, endpoint, _experience(own.known))
        return np.where(own.tells, bits, 0.0)

    def bits(self, variant: Ints, kind: Ints, *, own: bool, counted: bool = True) -> Floats:
        """What it is worth how well responses of these kinds fit these variants, in bits.

        With `own` each is one of the variant's, and left out of what it is held against; not
        `counted` are those that are left out already (see `without`). Positive: as that endpoint's
        responses do and others' do not; negative: the other way round.
        """
        out = np.zeros(len(kind))
        asked = np.flatnonzero(kind >= 0)
        if not len(asked):
            return out
        fit = self.fit(variant[asked], kind[asked], own=own and counted)
        experience = _experience(fit.known)
        odd = self._usual.odd(
            fit.share, self.counted.endpoint[variant[asked]], experience, counted=own and counted
        )
        alike = self._usual.alike(fit.share, experience)
        out[asked] = np.where(fit.tells, alike - odd, 0.0)
        return out

    def nearest(self, kind: int, among: Ints) -> tuple[int, float]:
        """Which of some variants a kind fits best, and what that is worth; (-1, 0) for none."""
        if kind < 0 or not len(among):
            return -1, 0.0
        fit = self.fit(among, np.full(len(among), kind), own=False)
        endpoint = self.counted.endpoint[among]
        experience = _experience(fit.known)
        bits = self._usual.alike(fit.share, experience) - self._usual.odd(
            fit.share, endpoint, experience, counted=False
        )
        bits = np.where(fit.tells & (fit.known > 0), bits, -np.inf)
        best = int(np.argmax(bits))
        return (int(among[best]), float(bits[best])) if bits[best] > 0 else (-1, 0.0)

    @property
    def total(self) -> int:
        """How many responses of the capture itself all this was learned from."""
        return int(self.counted.here.sum())

    def known(self, variant: int) -> int:
        """How many responses of a variant's endpoint have been seen, at all servers and hosts."""
        level = self._levels[ENDPOINT]
        return int(level.responses[level.group[variant]])

    def known_before(self, variant: int) -> int:
        """How many of these were learned before, from other captures."""
        counted = self.counted
        if counted.before is None:
            return 0
        same = counted.endpoint[counted.variant] == counted.endpoint[variant]
        return int(counted.before[same].sum())


def _experience(known: Floats) -> Ints:
    """How well an endpoint is known of which so many responses are: 0 not at all, 1, 2 …"""
    return np.searchsorted(np.array(BETTER_KNOWN), known, side="right")


def _blended(counts: Floats, of: Floats, wider: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """The share of counts, smoothed by what is known of the wider population, if anything is."""
    borrowed = np.where(known, BORROWED, 0.0)
    every = of + borrowed
    return np.divide(counts + borrowed * wider, every, out=np.zeros(len(counts)), where=every > 0)


@dataclass(slots=True)
class _Fits:
    """How well responses fit: sorted, with the number of responses up to each.

    Of all together, and by endpoint (`codes`).
    """

    share: Floats
    sums: Floats
    codes: npt.NDArray[np.uint64]
    sums_of: Floats

    @classmethod
    def of(cls, share: Floats, endpoint: Ints, count: Floats, but: Ints | None = None) -> "_Fits":
        """Of so many responses of these endpoints; `but` endpoints are left out."""
        if but is not None and len(but):
            kept = ~np.isin(endpoint, but)
            share, endpoint, count = share[kept], endpoint[kept], count[kept]
        codes = _fit_codes(endpoint, share)
        order, by_code = np.argsort(share, kind="stable"), np.argsort(codes, kind="stable")
        return cls(share[order], _summed(count[order]), codes[by_code], _summed(count[by_code]))

    @property
    def every(self) -> float:
        """How many responses there are."""
        return float(self.sums[-1])

    def up_to(self, share: Floats, side: Literal["left", "right"] = "right") -> Floats:
        """How many fit no better than this (`left`: less well)."""
        found: Floats = self.sums[np.searchsorted(self.share, share, side)]
        return found

    def up_to_of(self, endpoint: Ints, share: Floats) -> tuple[Floats, Floats]:
        """Of each endpoint how many fit no better than this, and how many there are."""
        code = _fit_codes(endpoint, np.minimum(share, 1.0))
        begin = self.sums_of[np.searchsorted(self.codes, _fit_codes(endpoint, 0.0 * share), "left")]
        until = self.sums_of[np.searchsorted(self.codes, code, "right")]
        end = self.sums_of[np.searchsorted(self.codes, _fit_codes(endpoint + 1, 0.0 * share))]
        return until - begin, end - begin


def _summed(counts: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(counts)])


@dataclass(slots=True)
class _Usual:
    """How well responses fit their own endpoints, and those of others.

    `pools` are the fits of all by how well their endpoint was known (`_experience`), and `few` what
    well known ones are like where as little is known of them; `strangers` are in their order.
    """

    own: _Fits
    pools: list[_Fits]
    few: list[_Fits]
    strangers: Floats

    def odd(
        self, share: Floats, endpoint: Ints, experience: Ints, *, counted: bool = True
    ) -> Floats:
        """How much seldomer an endpoint's own response than a stranger's fits no better: in bits.

        Never below 0. A response that is one of those `counted` is left out; of endpoints that are
        known as little as its own, its own teaches nothing.
        """
        before, less = 2.0**-UNFIT, float(counted)
        rate = np.zeros(len(share))
        floor = np.zeros(len(share))
        for which in np.unique(experience).tolist():
            pool = self.pools[which]
            worse = np.maximum(pool.up_to(share + ALIKE_FITS) - less, 0.0)
            others = np.full(len(share), max(0.0, pool.every - less))
            if 0 < which <= len(self.few):
                thin = self.few[which - 1]
                mine, all_mine = thin.up_to_of(endpoint, share + ALIKE_FITS)
                worse += thin.up_to(share + ALIKE_FITS) - mine
                others += thin.every - all_mine
            rate = np.where(experience == which, (worse + before) / (others + 1.0), rate)
            floor = np.where(experience == which, before / (others + 1.0), floor)
        below, every = self.own.up_to_of(endpoint, share + ALIKE_FITS)
        below, every = np.maximum(below - less, 0.0), np.maximum(every - less, 0.0)
        own = (below + 2.0 * rate) / (every + 2.0)
        many = len(self.strangers)
        far = np.searchsorted(self.strangers, share + ALIKE_FITS, "right")
        random = (far + 1.0) / (many + 1.0)
        bits: Floats = np.log2(random) - np.log2(np.minimum(1.0, np.maximum(own, floor)))
        return np.asarray(np.maximum(bits, 0.0), dtype=np.float64)

    def alike(self, share: Floats, experience: Ints) -> Floats:
        """log2 of how much oftener true pairs than strangers fit at least as well as `share`.

        Those of endpoints of which nothing was seen fit their neighbours, or not.
        """
        true = np.zeros(len(share))
        for known in (False, True):
            fits = self.pools[1:] if known else self.pools[:1]
            every = sum(one.every for one in fits)
            below = sum((one.up_to(share - ALIKE_FITS, "left") for one in fits), np.zeros(1))
            true = np.where((experience > 0) == known, (every - below + 0.5) / (every + 1.0), true)
        many = len(self.strangers)
        better = many - np.searchsorted(self.strangers, share - ALIKE_FITS, "left")
        random = (better + 2.0**-ALIKE) / (many + 1.0)
        return np.asarray(np.log2(true) - np.log2(random), dtype=np.float64)


def _fit_codes(endpoint: Ints, share: Floats) -> npt.NDArray[np.uint64]:
    """An endpoint and a fit as one number, in their order; fits to a millionth."""
    return (endpoint.astype(np.uint64) << np.uint64(24)) + np.round(share * 1e6).astype(np.uint64)
