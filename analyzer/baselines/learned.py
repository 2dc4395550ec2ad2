"""What is usual, as sums that outlive a capture: folded from tables, added up, judged by again.

Law: sums that commute. Whatever the order in which captures are learned from and sums are added,
the same comes out; where there is too much to keep, names and fixed hashes decide what goes, never
what came first. There is no value of a body and no credential in it: names, shapes and counts.

A service is a process, whatever addresses lead to it: those that have one in common are one. What
is usual of an endpoint's tokens, times and failures is summed over all services, as in judging;
forms and closes are kept for each service.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from analyzer.baselines.habits import Closes, closes
from analyzer.baselines.pace import Pace
from analyzer.baselines.rates import Rates
from analyzer.baselines.repeats import asked_again
from analyzer.correlate.view import Row, Tables, frame_ids
from analyzer.features.echoes import MOST_VALUES, Rule
from analyzer.features.endpoints import Endpoint
from analyzer.features.shapes import UNKNOWN_FORM, Form, text
from analyzer.secrets import is_secret
from analyzer.tables import Array, Flag, Texts

# What a baseline has at most. Of more, those are kept that come first by a hash of their names.
MOST_SERVICES = 256
MOST_ADDRESSES = 64  # of one service
MOST_ENDPOINTS = 16_384
MOST_FORMS = 16_384
MOST_RULES = 65_536
LONGEST_SHAPE = 16_384  # characters of a shape's text
MARK_BITS = 16  # of a hash of a value, by which different values are counted
_HASH_BITS = 31

_PIPELINED, _AFTER_INTERIM = int(Flag.PIPELINED), int(Flag.AFTER_INTERIM)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Name(NamedTuple):
    """What an endpoint is called, whatever its server and Host name."""

    method: str
    template: str
    operation: str = ""

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Name":
        """The name of an endpoint."""
        return cls(endpoint.method, endpoint.template, endpoint.operation)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of that name."""
        return Endpoint(self.method, "", self.template, self.operation)


class Response(NamedTuple):
    """In what form an endpoint answers under a Host name."""

    endpoint: Name
    host: str
    status: int
    form: Form


@dataclass(slots=True)
class Tokens:
    """Of one place of an endpoint's requests: how many had a token there, and were repeated.

    `different` is the most values met in one capture. `marks` are the first MARK_BITS of the least
    hashes of the values, each once, in order: of targets alone, and of no secret. Of `examples`
    responses that were looked at, so many have the token at each place in `where`.
    """

    asked: int = 0
    hits: int = 0
    different: int = 0
    marks: tuple[int, ...] = ()
    examples: int = 0
    where: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, place: str, rule: Rule, asked: int, hits: int) -> "Tokens":
        """From what a capture taught, and how many of its exchanges count."""
        values = rule.values if _may_be_marked(place) else ()
        marks = sorted({value >> (_HASH_BITS - MARK_BITS) for value in values})
        return cls(asked, hits, rule.distinct, tuple(marks))

    @property
    def distinct(self) -> int:
        """How many different values there were, within some 20 % (see `echoes.Rule.distinct`)."""
        if len(self.marks) < MOST_VALUES:
            return max(self.different, len(self.marks))
        reach = (self.marks[-1] + 1) / (1 << MARK_BITS)
        return max(self.different, round((MOST_VALUES - 1) / reach))

    def add(self, other: "Tokens") -> None:
        """Add what was learned elsewhere."""
        self.asked += other.asked
        self.hits += other.hits
        self.different = max(self.different, other.different)
        self.marks = tuple(sorted({*self.marks, *other.marks})[:MOST_VALUES])
        self.examples += other.examples
        self.where.update(other.where)

    @property
    def usual(self) -> frozenset[str]:
        """Where all responses that were looked at have the token."""
        return frozenset(at for at, count in self.where.items() if count == self.examples)


@dataclass(slots=True)
class Usual:
    """What is usual of an endpoint, at all services.

    `left` counts connections on which a request was left without a response, `failed` requests that
    were told so (5xx); `waits` answers by the octave of ns that they took, `waiting` is how long
    they took in all, `longest` at most (ns).
    `kept` and `broken` count responses by what the protocol demands; `again`, `alike`, `others` and
    `shared` are those of `repeats`, each within one capture.
    """

    requests: int = 0
    left: int = 0
    failed: int = 0
    answered: int = 0
    longest: int = 0
    waiting: int = 0
    waits: Counter[int] = field(default_factory=Counter)
    kept: int = 0
    broken: int = 0
    again: int = 0
    alike: int = 0
    others: int = 0
    shared: int = 0
    tokens: dict[str, Tokens] = field(default_factory=dict)

    def add(self, other: "Usual") -> None:
        """Add what was learned elsewhere."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.longest = max(self.longest, other.longest)
        self.waits.update(other.waits)
        for place, tokens in other.tokens.items():
            self.tokens.setdefault(place, Tokens()).add(tokens)


COUNTS = (
    *("requests", "left", "failed", "answered", "waiting", "kept", "broken"),
    *("again", "alike", "others", "shared"),
)


@dataclass(slots=True)
class Service:
    """One process behind one or more addresses (`ip:port`).

    `asked` counts its requests by endpoint, `forms` its responses.
    """

    addresses: set[str] = field(default_factory=set)
    asked: Counter[Name] = field(default_factory=Counter)
    forms: Counter[Response] = field(default_factory=Counter)
    closes: Closes = field(default_factory=Closes)

    def add(self, other: "Service") -> None:
        """Add what was learned elsewhere of the same service."""
        self.addresses |= other.addresses
        self.asked.update(other.asked)
        self.forms.update(other.forms)
        self.closes += other.closes


@dataclass(slots=True)
class Learned:
    """What is usual, of any number of captures.

    `exchanges` are those that it was learned from, `apart` those that were left out since they were
    at fault or in question. `span` is how long was looked in all, in ns. `early` of the requests
    were sent while another was outstanding on their connections.
    """

    exchanges: int = 0
    apart: int = 0
    span: int = 0
    early: int = 0
    endpoints: dict[Name, Usual] = field(default_factory=dict)
    services: list[Service] = field(default_factory=list)

    @classmethod
    def merged(cls, every: Iterable["Learned"]) -> "Learned":
        """All of these together, within the bounds."""
        out = cls()
        services: list[Service] = []
        for one in every:
            out.exchanges += one.exchanges
            out.apart += one.apart
            out.span += one.span
            out.early += one.early
            for name, usual in one.endpoints.items():
                out.endpoints.setdefault(name, Usual()).add(usual)
            services += one.services
        out.services = list(_joined(services))
        out._bound()
        return out

    @property
    def requests(self) -> int:
        """How many requests there were in all."""
        return sum(usual.requests for usual in self.endpoints.values())

    def _bound(self) -> None:
        self.services.sort(key=lambda one: _order(*sorted(one.addresses)))
        del self.services[MOST_SERVICES:]
        self.services.sort(key=lambda one: sorted(one.addresses))
        self.endpoints = _first(self.endpoints, MOST_ENDPOINTS, lambda name: _order(*name))
        rules = {
            (name, place): tokens
            for name, usual in self.endpoints.items()
            for place, tokens in usual.tokens.items()
        }
        kept = _first(rules, MOST_RULES, lambda rule: _order(*rule[0], rule[1]))
        for name, usual in self.endpoints.items():
            usual.tokens = {p: t for p, t in sorted(usual.tokens.items()) if (name, p) in kept}
        forms = {
            (number, form): count
            for number, service in enumerate(self.services)
            for form, count in service.forms.items()
            if form.endpoint in self.endpoints and len(text(form.form.shape)) <= LONGEST_SHAPE
        }
        chosen = _first(forms, MOST_FORMS, lambda one: _order(*_readable(one[1])))
        for number, service in enumerate(self.services):
            service.addresses = set(sorted(service.addresses)[:MOST_ADDRESSES])
            service.asked = Counter(
                {name: service.asked[name] for name in sorted(service.asked)
                 if name in self.endpoints}
            )  # fmt: skip
            service.forms = Counter(
                {form: service.forms[form] for form in sorted(service.forms, key=_readable)
                 if (number, form) in chosen}
            )  # fmt: skip


def fold(tables: Tables, apart: Set[int] = frozenset()) -> Learned:
    """What a capture's exchanges teach but for those `apart` (frame ids of their requests)."""
    some = _Without.of(tables, apart)
    out = Learned()
    rates, pace, counts = Rates.of(some), Pace.of(some), some.counts()
    out.span = rates.span
    out.apart = some.left_aside
    usual: dict[int, Usual] = {
        number: Usual(requests=count) for number, count in rates.requests.items()
    }
    for number, one in usual.items():
        one.left, one.failed = rates.left[number], rates.failures[number]
        one.answered, one.longest = pace.answered[number], pace.usual(number)
        one.waiting = rates.waiting[number]
        bins = rates.waits.get(number)
        if bins is not None:
            one.waits = Counter({at: int(bins[at]) for at in np.flatnonzero(bins).tolist()})
        one.kept, one.broken = counts.kept[number], counts.broken[number]
    for number, sums in asked_again(some).items():
        if number in usual:
            one = usual[number]
            one.again, one.alike, one.others, one.shared = sums
    _add_tokens(usual, tables, apart)
    names = [Name.of(endpoint) for endpoint in tables.names]
    out.endpoints = {names[number]: one for number, one in usual.items()}
    out.exchanges = counts.outcomes.total()
    for rows, _ in some.judged():
        out.early += int((rows["flags"] & (_PIPELINED | _AFTER_INTERIM) == _PIPELINED).sum())
    out.services = list(_services(some, names))
    return Learned.merged([out])


def faults(rows: Iterable[Row]) -> frozenset[int]:
    """The frame ids of exchanges, by which they are left out."""
    return frozenset(row["request_capture"] << 32 | row["request_frame"] for row in rows)


@dataclass(slots=True)
class _Without(Tables):
    """Tables of which some exchanges do not count."""

    apart: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    left_aside: int = 0

    @classmethod
    def of(cls, tables: Tables, apart: Set[int]) -> "_Without":
        """Those of `tables` without some."""
        columns = {name: getattr(tables, name) for name in Tables.__dataclass_fields__}
        out = cls(**columns)
        out.apart = np.array(sorted(apart), dtype=np.int64)
        for rows, _ in Tables.judged(out):
            out.left_aside += int(np.isin(frame_ids(rows, "request"), out.apart).sum())
        return out

    def judged(self) -> Iterator[tuple[Array, Texts]]:
        """The exchanges that count."""
        for rows, targets in Tables.judged(self):
            gone = np.isin(frame_ids(rows, "request"), self.apart) & (rows["request_frame"] > 0)
            if gone.any():
                at = np.flatnonzero(~gone)
                rows, targets = rows[at], targets.of(at)
            yield rows, targets


def _add_tokens(usual: Mapping[int, Usual], tables: Tables, apart: Set[int]) -> None:
    """The sums of the tokens of each place, each exchange counted once as it was served."""
    every = tables.exchanges.length
    counted = sum(len(rows) for rows, _ in tables.served())
    share = counted / max(1, every)
    joined: dict[tuple[int, str], Rule] = {}
    hits: Counter[tuple[int, str]] = Counter()
    for (route, place), rule in tables.echoes.items():
        key = int(tables.endpoint_of[route]), place
        joined.setdefault(key, Rule()).add(rule)
        hits[key] += rule.hits
    for (endpoint, place), rule in joined.items():
        if endpoint not in usual or tables.is_fixed(endpoint, place):
            continue
        asked = int(rule.asked * share)
        at = [one for one in rule.misses if tables.teaches(one)]
        repeated = int(hits[endpoint, place] * share) if rule.dead else asked - len(at)
        asked -= sum(1 for one in at if one[1] in apart)
        repeated = max(0, min(asked, repeated))
        if asked > 0:
            usual[endpoint].tokens[place] = Tokens.of(place, rule, asked, repeated)


def _services(tables: _Without, names: list[Name]) -> Iterator[Service]:
    """Every service with what it answers."""
    found: dict[int, Service] = {}
    service = tables.joined.service
    pairs = np.stack([service, tables.connections["server"], tables.connections["server_port"]])
    for number, address, port in np.unique(pairs, axis=1).T.tolist():
        found.setdefault(number, Service()).addresses.add(tables.place(address, port))
    for rows, _ in tables.judged():
        asked = rows["request_frame"] > 0
        codes = service[rows["connection"]] << 32 | tables.endpoint_of[rows["route"]]
        for code, count in zip(*np.unique(codes[asked], return_counts=True), strict=True):
            found[int(code) >> 32].asked[names[int(code) & 0xFFFFFFFF]] += int(count)
    variants = tables.variants
    hosts = {
        int(named): route.host
        for named, route in zip(variants.named, tables.endpoints, strict=True)
    }
    counts = tables.counts()
    for (variant, status, form), count in counts.served.items():
        if form != UNKNOWN_FORM and count > 0:
            host = hosts[int(variants.codes[variant]) % variants.names]
            name = names[int(variants.endpoint[variant])]
            key = Response(name, host, status, tables.forms[form])
            found[int(variants.server[variant])].forms[key] += count
    but: set[int] = set()
    for rows, _ in Tables.judged(tables):
        but.update(rows["connection"][np.isin(frame_ids(rows, "request"), tables.apart)].tolist())
    for number, one in closes(tables, but, counts.late).items():
        found[number].closes += one
    yield from (one for one in found.values() if one.asked)


def _joined(services: Iterable[Service]) -> Iterator[Service]:
    """Services, those that have an address in common as one."""
    group: dict[str, Service] = {}
    for one in services:
        out = Service()
        parts = {id(group[a]): group[a] for a in one.addresses if a in group}
        for part in (*parts.values(), one):
            out.add(part)
        group.update(dict.fromkeys(out.addresses, out))
    seen: set[int] = set()
    for one in group.values():
        if id(one) not in seen:
            seen.add(id(one))
            yield one


def _first(things: dict[K, V], most: int, order: Callable[[K], bytes]) -> dict[K, V]:
    """Those of the things that come first by `order` of their keys, if they are too many."""
    if len(things) > most:
        return {key: things[key] for key in sorted(sorted(things, key=order)[:most], key=repr)}
    return things


def _may_be_marked(place: str) -> bool:
    """Whether hashes of a place's values may be kept: of what reports show anyhow."""
    return place.startswith(("path", "query")) and not is_secret(place)


def _order(*parts: str) -> bytes:
    """An order of names that depends on no capture."""
    name = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(name, digest_size=8).digest()


def _readable(one: Response) -> tuple[str, ...]:
    endpoint, host, status, form = one
    return *endpoint, host, str(status), form.media_type, text(form.shape)
