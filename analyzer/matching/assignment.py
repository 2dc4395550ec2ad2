"""The best linking of requests and responses, held against the wire's: what moved, and why.

Law: around odd responses, each request is given at most one response and each response to at most
one request, so that the sum of weights is the greatest (an assignment problem: Kuhn, 1955). Where
that differs from the wire's linking is an *event*: two crossed, three rotated, one stolen, a chain
that slipped by one are the same thing to it. An event is whole or not at all.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from analyzer.correlate.unions import Unions
from analyzer.correlate.view import Id, Row, Tables, asked_meanwhile, given_up
from analyzer.matching.candidates import Candidates
from analyzer.matching.links import COPY, NOBODY, RIGHTFUL, WIRE, Link, Links
from analyzer.matching.slips import slip
from analyzer.matching.triage import ODD, Odd
from analyzer.matching.weights import EQUAL, MOST_TOKENS, SURPLUS, TIME, TOKEN, Comparison, Weigher

# How responses may come to the wrong request, by what the rightful one got.
STOLEN, CROSSED, COPIED, CACHED, LATE, SLIPPED, SHARED, GIVEN_UP, OUT_OF_STEP = (
    "stolen", "crossed", "copied", "cached", "late", "slipped", "shared", "given up", "out of step",
)  # fmt: skip
BY_CONTENT = frozenset(
    {STOLEN, CROSSED, COPIED, CACHED, LATE, SLIPPED, SHARED, GIVEN_UP, OUT_OF_STEP}
)
TIE = 1.0  # bits within which two requests fit equally well
ROUNDING = 1e-9  # bits: more than the error of sums of weights


class Move(NamedTuple):
    """A response, with its exchange on the wire, and the request that it rather belongs to.

    Where that is not in sight `request` is the response's own exchange.
    """

    response: Row
    request: Row
    how: str
    rivals: int = 0
    fit: float = 0.0  # bits that speak for this very request, whatever was given to whom (`_fit`)


@dataclass(slots=True)
class Event:
    """Responses that belong to other requests than the wire says, all in one go."""

    moves: list[Move]
    comparisons: list[Comparison] = field(default_factory=list)
    meant: bool = False  # the same requests were answered so at another time as well
    unlike: bool = (
        False  # one of the responses is unlike what its rightful request's endpoint gives
    )

    # Responses that rightful requests of the event were given, whose own those are not in sight.
    unowned: list[Row] = field(default_factory=list)

    @property
    def copied(self) -> bool:
        """Whether the rightful requests were given the same as well, or what is made of it."""
        return all(move.how in (COPIED, CACHED, SHARED) for move in self.moves)

    @property
    def bits(self) -> float:
        """What speaks for it."""
        return sum(c.bits for c in self.comparisons)


def events(
    tables: Tables,
    weigher: Weigher,
    found: Candidates,
    odd: Odd,
    no_copies: frozenset[Id] = frozenset(),
) -> list[Event]:
    """All events around the odd responses, in the order of their first responses.

    Responses of `no_copies` are known to be no copies of what others were given.
    """
    links = Links.of(tables, found, odd)
    out = []
    taken: set[Id] = set()
    for row in odd.lone:
        slipped = slip(weigher, found.since[row.id], row) if row.id in found.since else None
        if slipped is not None:
            moved = [links.link(weigher, *step, RIGHTFUL) for step in slipped.steps]
            event = _event(weigher, links, moved, moved)
            event.moves = [move._replace(how=OUT_OF_STEP) for move in event.moves]
            taken |= {one.id for step in slipped.steps for one in step}
            out.append(event)
    every = [
        link
        for link in links.every(weigher)
        if (link.kind != COPY or link.response.id not in no_copies)
        and not {link.request.id, link.response.id} & taken
    ]
    for some in _components(every):
        moved = _moved(some)
        for together in _whole(moved, some):
            # A second answer to what its own connection asked is nobody else's.
            if not all(_is_again(link, found) for link in together):
                out += _supported(weigher, links, together, some)
    out.sort(key=lambda event: min(_time(move.response) for move in event.moves))
    return out


def _supported(
    weigher: Weigher, links: Links, moved: list[Link], every: list[Link]
) -> Iterator[Event]:
    """The events of moves that hang together, without those that the response speaks against.

    Matched to a request that is only left over, it is rather that of nobody in sight. What is usual
    is known only when the whole event is left out of it, so this comes after the matching.
    """
    event = _event(weigher, links, moved, every)
    fits = {move.response.id: move.fit for move in event.moves}
    kept = [link for link in moved if fits[link.response.id] >= 0]
    if len(kept) in (0, len(moved)):
        yield event
        return
    dropped = [link.response for link in moved if fits[link.response.id] < 0]
    for together in _whole(kept, every):
        event = _event(weigher, links, together, every)
        served = {link.request.id for link in together}
        event.unowned = [row for row in dropped if row.id in served]
        yield event


def _time(row: Row) -> tuple[int, int]:
    return row["response_time"], row["response_frame"]


# --- the best linking ----------------------------------------------------------------------


def _ends(link: Link) -> tuple[Hashable, Hashable]:
    """What a link takes for itself: a copy takes nothing from the other request."""
    if link.kind == COPY:
        return (2, link.request.id, link.response.id), (1, link.response.id)
    return (0, link.request.id), (1, link.response.id)


def _components(links: list[Link]) -> list[list[Link]]:
    """The links in sets that have nothing to do with each other."""
    first: dict[Hashable, int] = {}
    together = Unions(len(links))
    for number, link in enumerate(links):
        for end in _ends(link):
            together.tie(first.setdefault(end, number), number)
    found: dict[int, list[Link]] = {}
    for number, link in enumerate(links):
        found.setdefault(together.first(number), []).append(link)
    return list(found.values())


def _moved(links: list[Link]) -> list[Link]:
    """The links of the best linking that are not the wire's."""
    chosen = _chosen(links)
    return [link for link in links if _ends(link) in chosen]


def _chosen(links: list[Link]) -> set[tuple[Hashable, Hashable]]:
    """The ends of those links.

    Each wire's link is shared out between its ends. The best linking is better than the wire's by
    no more than what single links exceed the shares of their ends by, all together; so a link that
    falls short of them by more is in no best linking (reduced costs of the assignment problem).
    """
    half = {link.request.id: max(0.0, link.weight / 2) for link in links if link.kind == WIRE}
    gain = [-1.0 if link.kind == WIRE else link.weight - _worth(link, half) for link in links]
    if max(gain) < 0:
        return set()
    most = sum(bits for bits in gain if bits > 0) + ROUNDING
    left = [
        link for link, bits in zip(links, gain, strict=True) if link.kind == WIRE or bits >= -most
    ]
    if len(left) < len(links):
        return set().union(*map(_chosen, _components(left)))
    import networkx  # slow to import, and seldom needed

    graph: networkx.Graph[Hashable] = networkx.Graph()
    for link in links:
        one, two = _ends(link)
        if link.weight > 0:
            graph.add_edge(one, two, weight=link.weight)
    matched = {frozenset(pair) for pair in networkx.max_weight_matching(graph)}
    every = {_ends(link) for link in links if link.kind != WIRE}
    return {ends for ends in every if frozenset(ends) in matched}


def _worth(link: Link, half: dict[Id, float]) -> float:
    """What the ends of a link have of the wire's links; one end of a copy has nothing."""
    response = half.get(link.response.id, 0.0)
    return response if link.kind == COPY else response + half.get(link.request.id, 0.0)


def _whole(moved: list[Link], links: list[Link]) -> list[list[Link]]:
    """Moves that hang together, because one took what the wire had given to another's request."""
    wired = {link.request.id for link in links if link.kind == WIRE}
    first: dict[Id, int] = {}
    together = Unions(len(moved))
    for number, link in enumerate(moved):
        ends = [link.response.id]
        if link.kind == RIGHTFUL and link.request.id in wired:
            ends.append(link.request.id)
        for one in ends:
            together.tie(first.setdefault(one, number), number)
    found: dict[int, list[Link]] = {}
    for number, link in enumerate(moved):
        found.setdefault(together.first(number), []).append(link)
    return list(found.values())


def _is_again(link: Link, found: Candidates) -> bool:
    before = found.before.get(link.response.id)
    lone = not link.response["request_frame"]
    return lone and before is not None and before.id == link.request.id


# --- what speaks for an event --------------------------------------------------------------


def _event(weigher: Weigher, links: Links, moved: list[Link], every: list[Link]) -> Event:
    moved = sorted(moved, key=lambda link: _time(link.response))
    recipients = {link.response.id for link in moved}
    # Responses that may not be their own teach nothing of what is usual.
    apart = {link.response.id: link.response for link in moved}
    apart |= {link.request.id: link.request for link in moved if link.kind == RIGHTFUL}
    weigher = weigher.without(row for row in apart.values() if row["response_frame"])
    comparisons: list[Comparison] = []
    unlike = False
    fits: list[float] = []
    for link in moved:
        if not weigher.tables.is_unreadable(link.response):
            unlike |= weigher.form_bits(link.request, link.response) <= -ODD
        link = links.link(weigher, link.request, link.response, link.kind)
        before = links.found.before.get(link.response.id)
        comparisons += [*_of_pair(weigher, link, before), *link.beside]
        fits.append(_fit(weigher, link))
        if link.kind == RIGHTFUL and _is_left_over(links, link.request, recipients):
            comparisons += _left_over(weigher, link)
    circle = _circle(moved)
    moves = [
        Move(
            link.response,
            link.request,
            _how(link, circle, recipients, links),
            _rivals(link, every, moved, links.unserved | links.failed),
            fit,
        )
        for link, fit in zip(moved, fits, strict=True)
    ]
    return Event(moves, comparisons, unlike=unlike)


def _fit(weigher: Weigher, link: Link) -> float:
    """What a response says, and what became of a request, for that request to be the rightful one.

    That another one is known to have got its response is no part of it.
    """
    weight = weigher.weight(link.request, link.response)
    told = capped(weight.comparisons)
    return sum(c.bits for c in (*told, *link.beside) if c.name != TIME)


def _of_pair(weigher: Weigher, link: Link, before: Row | None) -> list[Comparison]:
    """What speaks for a response to be that request's, rather than that of its own exchange.

    One that nobody had asked for may answer what was asked `before` it once more.
    """
    found = capped(weigher.weight(link.request, link.response).comparisons)
    own = link.response if link.response["request_frame"] else before
    if own is not None and own.id != link.request.id:
        again = weigher.weight(own, link.response)
        found += [c._replace(bits=-c.bits) for c in capped(again.comparisons)]
    return found


def _is_left_over(links: Links, request: Row, recipients: set[Id]) -> bool:
    """Whether what a rightful request was given instead is not said to be anybody's.

    A response without content needs nobody who asked for it.
    """
    form = links.tables.forms[request["form"]]
    content = form.media_type or form.shape is not None
    served = request["response_frame"] and content and request.id not in links.waiting
    return bool(served) and request.id not in recipients


def _left_over(weigher: Weigher, link: Link) -> list[Comparison]:
    own = weigher.weight(link.request, link.request)
    frame = weigher.tables.came(link.request)
    text = f"whose the response in frame {frame} is, which the rightful request got, is not seen"
    return [
        *(c._replace(bits=-c.bits) for c in capped(own.comparisons)),
        Comparison(SURPLUS, -NOBODY, text, (frame,)),
    ]


def capped(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """The comparisons, those of tokens together worth no more than one set of them may be."""
    found = list(comparisons)
    tokens = sum(c.bits for c in found if c.name == TOKEN)
    if tokens <= MOST_TOKENS:
        return found
    scale = MOST_TOKENS / tokens
    return [c._replace(bits=c.bits * scale) if c.name == TOKEN else c for c in found]


# --- what an event is called ---------------------------------------------------------------


def _rivals(link: Link, every: list[Link], moved: list[Link], unserved: frozenset[Id]) -> int:
    """How many other requests without a response could as well have asked for it."""
    taken = {one.request.id for one in moved}
    return sum(
        one.response.id == link.response.id
        and one.kind == RIGHTFUL
        and one.request.id not in taken
        and one.request.id in unserved
        and one.weight > link.weight - TIE
        for one in every
    )


def _circle(moved: list[Link]) -> set[Id]:
    """The recipients that are part of a circle: each was given what another of them asked for."""
    given_to = {link.request.id: link.response.id for link in moved if link.kind == RIGHTFUL}
    found = set()
    for link in moved:
        at, steps = link.response.id, 0
        while at in given_to and steps <= len(moved):
            at, steps = given_to[at], steps + 1
            if at == link.response.id:
                found.add(at)
                break
    return found


def _how(link: Link, circle: set[Id], recipients: set[Id], links: Links) -> str:
    """In which way a response came to the wrong request, by what the rightful one got."""
    if link.kind == COPY:
        if not any(c.name == EQUAL for c in link.beside):
            return SHARED
        return COPIED if asked_meanwhile(link.request, link.response) else CACHED
    if link.request.id in circle:
        return CROSSED
    if link.request.id in links.failed and given_up(link.request):
        return GIVEN_UP
    if link.request["connection"] == link.response["connection"]:
        return SLIPPED
    if link.request.id in links.unserved or link.request.id not in recipients:
        return STOLEN
    return LATE
