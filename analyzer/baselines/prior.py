"""What was learned before, as a capture's tables number it: what judging begins with.

Law: a server is known by what it is asked for, whatever its addresses and names are now. The
learned service that knows most of a server's requests is its own, if it knows half of them; of
equals one with an address in common. What is known of other services is left out, and what fits
nothing is said.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from analyzer.baselines.habits import Closes
from analyzer.baselines.learned import Learned, Name, Response, Service, Tokens, Usual
from analyzer.correlate.view import Tables, Variants
from analyzer.features.endpoints import Endpoint
from analyzer.features.shapes import Form

FITS = 0.5  # of a server's requests that a learned service knows, at least

FormCount = tuple[int, int, int, int]  # variant, status, form, how many


@dataclass(frozen=True, slots=True)
class Fit:
    """What a baseline knows of a server of the capture.

    `server` is its address, `requests` how many there are, `known` those of endpoints that were
    learned, `addresses` those of the services that it was taken for; none: it fits none.
    """

    server: str
    requests: int
    known: int
    addresses: tuple[str, ...]
    fits: bool


@dataclass(slots=True)
class Prior:
    """What is known beforehand; endpoints, variants, forms and servers are numbers of the tables.

    `early` and `requests` are sums over all that was learned; `sources` says how much each of
    several is used, by server.
    """

    usual: dict[int, Usual] = field(default_factory=dict)
    forms: list[FormCount] = field(default_factory=list)
    closes: dict[int, Closes] = field(default_factory=dict)
    early: int = 0
    requests: int = 0
    span: int = 0
    sources: list[tuple[Fit, ...]] = field(default_factory=list)

    def tokens(self) -> Iterator[tuple[tuple[int, str], Tokens]]:
        """What is known of each place of each endpoint's requests."""
        for number, usual in self.usual.items():
            for place, tokens in usual.tokens.items():
                yield (number, place), tokens

    def known(self, endpoint: int) -> int:
        """How many requests of an endpoint were learned from."""
        one = self.usual.get(endpoint)
        return 0 if one is None else one.requests


def fitted(tables: Tables, sources: Sequence[Learned]) -> tuple[Tables, Prior]:
    """The tables with what the capture lacks of what was learned, and what was learned by them."""
    prior = Prior()
    grown = _Grown(tables)
    servers = _servers(tables)
    for learned in sources:
        used: dict[int, list[int]] = {}  # services by their places, and the servers they are for
        fits = []
        for number, (name, addresses, asked) in servers.items():
            chosen = _chosen(addresses, asked, learned.services)
            known = {one for at in chosen for one in learned.services[at].asked}
            fits.append(
                Fit(
                    name,
                    asked.total(),
                    sum(count for one, count in asked.items() if one in known),
                    tuple(sorted(a for at in chosen for a in learned.services[at].addresses)),
                    bool(chosen),
                )
            )
            for at in chosen:
                used.setdefault(at, []).append(number)
                prior.closes[number] = prior.closes.get(number, Closes()) + (
                    learned.services[at].closes
                )
        names: set[Name] = set()
        for at, numbers in sorted(used.items()):
            service = learned.services[at]
            names |= service.asked.keys() | {one.endpoint for one in service.forms}
            # Sums count once: for the server of which there is most.
            server = max(numbers, key=lambda n: (servers[n][2].total(), -n))
            prior.forms += grown.forms_of(server, service)
        for one in sorted(names):
            usual = learned.endpoints.get(one)
            if usual is not None:
                prior.usual.setdefault(grown.endpoint(one), Usual()).add(usual)
        if used:
            prior.early += learned.early
            prior.requests += learned.requests
            prior.span += learned.span
        prior.sources.append(tuple(fits))
    return grown.tables(), prior


_Server = tuple[str, frozenset[str], Counter[Name]]  # an address, all of them, what it was asked


def _servers(tables: Tables) -> dict[int, _Server]:
    """Every server that was asked for something, those that were asked most first."""
    service = tables.joined.service
    asked: dict[int, Counter[Name]] = {}
    names = [Name.of(endpoint) for endpoint in tables.names]
    for rows, _ in tables.judged():
        requests = rows["request_frame"] > 0
        codes = service[rows["connection"]] << 32 | tables.endpoint_of[rows["route"]]
        for code, count in zip(*np.unique(codes[requests], return_counts=True), strict=True):
            number, endpoint = int(code) >> 32, int(code) & 0xFFFFFFFF
            asked.setdefault(number, Counter())[names[endpoint]] += int(count)
    found: dict[int, _Server] = {}
    for number in sorted(asked, key=lambda n: (-asked[n].total(), n)):
        rows = tables.connections[service == number]
        judged = tables.connections[(service == number) & tables.joined.judged]
        pairs = np.unique(np.stack([rows["server"], rows["server_port"]]), axis=1).T.tolist()
        name = tables.place(int(judged["server"][0]), int(judged["server_port"][0]))
        found[number] = name, frozenset(tables.place(*pair) for pair in pairs), asked[number]
    return found


def _chosen(
    addresses: frozenset[str], asked: Counter[Name], services: Sequence[Service]
) -> list[int]:
    """Which services a server may be: those that know most of what it is asked for."""
    shares = [
        sum(count for name, count in asked.items() if name in one.asked) / max(1, asked.total())
        for one in services
    ]
    best = max(shares, default=0.0)
    if best < FITS:
        return []
    found = [at for at, share in enumerate(shares) if share == best]
    at_home = [at for at in found if services[at].addresses & addresses]
    return at_home or found


class _Grown:
    """Tables to which endpoints, variants and forms are added behind their own."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._names = list(tables.names)
        self._endpoints = {Name.of(one): number for number, one in enumerate(self._names)}
        self._forms = list(tables.forms)
        self._form: dict[Form, int] = {}
        for number, form in enumerate(self._forms):
            self._form.setdefault(form, number)
        variants = tables.variants
        hosts = {
            int(named): route.host
            for named, route in zip(variants.named, tables.endpoints, strict=True)
        }
        self._at: dict[tuple[int, int], dict[str, int]] = {}  # by server and endpoint, host
        for number, code in enumerate(variants.codes.tolist()):
            place = int(variants.server[number]), int(variants.endpoint[number])
            self._at.setdefault(place, {})[hosts[code % variants.names]] = number
        self._many = len(variants.codes)
        self._new: list[tuple[int, int]] = []  # server and endpoint of every variant that is added

    def endpoint(self, name: Name) -> int:
        """The number of an endpoint."""
        number = self._endpoints.setdefault(name, len(self._names))
        if number == len(self._names):
            self._names.append(name.endpoint)
        return number

    def forms_of(self, server: int, service: Service) -> Iterable[FormCount]:
        """What a service answered, as that of a server."""
        hosts: dict[Name, set[str]] = {}
        for one in service.forms:
            hosts.setdefault(one.endpoint, set()).add(one.host)
        for one, count in sorted(service.forms.items(), key=lambda item: repr(item[0])):
            variant = self._variant(server, one, hosts[one.endpoint])
            yield variant, one.status, self._number(one.form), count

    def _variant(self, server: int, one: Response, hosts: set[str]) -> int:
        here = self._at.setdefault((server, self.endpoint(one.endpoint)), {})
        if one.host in here:
            return here[one.host]
        # What it is called may have changed with its address.
        others = [number for host, number in here.items() if host not in hosts]
        if len(here) == len(others) == 1:
            return others[0]
        here[one.host] = self._many + len(self._new)
        self._new.append((server, self.endpoint(one.endpoint)))
        return here[one.host]

    def _number(self, form: Form) -> int:
        number = self._form.setdefault(form, len(self._forms))
        if number == len(self._forms):
            self._forms.append(form)
        return number

    def tables(self) -> Tables:
        """The tables with all that was added."""
        tables, variants = self._tables, self._tables.variants
        server, endpoint = np.array(self._new, dtype=np.int64).reshape(-1, 2).T
        around = neighbourhoods(self._names)
        endpoints = np.concatenate([variants.endpoint, endpoint])
        grown = Variants(
            variants.codes,
            variants.named,
            variants.names,
            endpoints,
            around[endpoints],
            np.concatenate([variants.server, server]),
        )
        return replace(tables, names=self._names, forms=self._forms, variants=grown)


def neighbourhoods(names: Sequence[Endpoint]) -> np.ndarray:
    """For every endpoint a number for what it has in common with those beside it."""
    around: dict[str, int] = {}
    for name in names:
        around.setdefault(name.neighbours, len(around))
    return np.array([around[name.neighbours] for name in names], dtype=np.int64)
