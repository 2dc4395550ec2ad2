"""The best linking of requests and responses, held against the wire's: what moved, and why.

Law: around odd responses, each request is given at most one response and each response to at most
one request, so that the sum of weights is the greatest (an assignment problem: Kuhn, 1955). Where
that differs from the wire's linking is an *event*: two crossed, three rotated, one stolen, a chain
that slipped by one are the same thing to it. An event is whole or not at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log2
from typing import NamedTuple

from analyzer.findings.candidates import Candidates, said
from analyzer.findings.triage import Odd
from analyzer.findings.view import Id, Row, Tables
from analyzer.findings.weights import (
    AT_ONCE,
    ENDED,
    EQUAL,
    MOST_TOKENS,
    NUMBERS,
    SURPLUS,
    TOKEN,
    Comparison,
    Weigher,
)

# How responses may come to the wrong request, by what the rightful one got.
STOLEN, CROSSED, COPIED, CACHED, LATE, SLIPPED, WITHIN = (
    "stolen", "crossed", "copied", "cached", "late", "slipped", "within",
)  # fmt: skip
KEPT = 5.0  # bits for the wire's linking of each pair: what is not much worse is left as it is
NOBODY = 8.0  # bits that a response of nobody in sight costs
OWED = 15.0  # bits that a request has yet to be answered, by the numbers of what it was given
LONE = 10.0  # bits that a response is worth which otherwise nobody had asked for
TIE = 1.0  # bits within which two requests fit equally well
# How the connection of a request without a response ended: closed by the server, and its number
# free for the other one; left by the client before the response came; or over for both.
FREED, LEFT, OVER = 3.0, -1.0, -10.0


class Move(NamedTuple):
    """A response, with its exchange on the wire, and the request that it rather belongs to."""

    response: Row
    request: Row
    how: str
    rivals: int = 0


@dataclass(slots=True)
class Event:
    """Responses that belong to other requests than the wire says, all in one go."""

    moves: list[Move]
    comparisons: list[Comparison] = field(default_factory=list)
    meant: bool = False  # the same requests were answered so at another time as well

    @property
    def bits(self) -> float:
        """What speaks for it. Tokens of one request are not independent: see `Weight.bits`."""
        return sum(c.bits for c in self.comparisons)


class _Edge(NamedTuple):
    request: Row
    response: Row
    weight: float  # with what it is worth that both are provided for
    wire: bool


def events(tables: Tables, weigher: Weigher, found: Candidates, odd: Odd) -> list[Event]:
    """All events around the odd responses, in the order of their first responses."""
    edges = _edges(tables, weigher, found, odd)
    out = []
    for some in _components(edges):
        out += _linked(tables, weigher, odd, some, found)
    out.sort(key=lambda event: min(_time(move) for move in event.moves))
    return out


def _time(move: Move) -> tuple[int, int]:
    return move.response["response_time"], move.response["response_frame"]


def _edges(tables: Tables, weigher: Weigher, found: Candidates, odd: Odd) -> list[_Edge]:
    """What may be linked: each request with its own response, and each response's candidates."""
    left = {row.id for row in odd.unserved}
    lone = {row.id for row in odd.lone}
    early = {row.id for row in odd.surplus}  # these cannot be their own requests'
    rows: dict[Id, Row] = {}
    edges: dict[tuple[Id, Id], _Edge] = {}
    for response in found.responses:
        for request in found.of[response.id]:
            rows[request.id], rows[response.id] = request, response
            weight = weigher.weight(request, response).bits
            weight += weigher.unserved(request).bits if request.id in left else 0.0
            weight += OWED if request.id in early else 0.0
            weight += LONE if response.id in lone else NOBODY
            weight += ended_bits(tables, request, response) if request.id in left else 0.0
            edges[request.id, response.id] = _Edge(request, response, weight, False)
    for row in rows.values():
        if row["request_frame"] and row["response_frame"] and row.id not in left | early:
            weight = weigher.weight(row, row).bits + NOBODY + KEPT
            edges[row.id, row.id] = _Edge(row, row, weight, True)
    return list(edges.values())


def _components(edges: list[_Edge]) -> Iterable[list[_Edge]]:
    """The edges in sets that have nothing to do with each other."""
    parent: dict[tuple[int, Id], tuple[int, Id]] = {}

    def find(one: tuple[int, Id]) -> tuple[int, Id]:
        parent.setdefault(one, one)
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for edge in edges:
        one, two = find((0, edge.request.id)), find((1, edge.response.id))
        parent[max(one, two)] = min(one, two)
    together: dict[tuple[int, Id], list[_Edge]] = {}
    for edge in edges:
        together.setdefault(find((0, edge.request.id)), []).append(edge)
    return together.values()


def _linked(
    tables: Tables, weigher: Weigher, odd: Odd, edges: list[_Edge], found: Candidates
) -> list[Event]:
    """The events of one component: where the best linking is not the wire's."""
    if all(edge.wire for edge in edges):
        return []
    import networkx  # slow to import, and seldom needed

    graph = networkx.Graph()
    for edge in edges:
        if edge.weight > 0:
            graph.add_edge((0, edge.request.id), (1, edge.response.id), weight=edge.weight)
    chosen = {tuple(sorted(pair)) for pair in networkx.max_weight_matching(graph)}
    moved = [
        edge
        for edge in edges
        if not edge.wire and ((0, edge.request.id), (1, edge.response.id)) in chosen
    ]
    # Moves that share a request or a response through the wire's linking are one event.
    wired = {edge.request.id for edge in edges if edge.wire}
    together: list[list[_Edge]] = []
    for edge in moved:
        own = {edge.response.id} | ({edge.request.id} & wired)
        touching = [
            some
            for some in together
            if any(own & ({e.response.id} | ({e.request.id} & wired)) for e in some)
        ]
        for some in touching:
            together.remove(some)
        together.append([edge, *(e for some in touching for e in some)])
    found_here = [_event(tables, weigher, odd, some, edges, found) for some in together]
    # A second answer to what its own connection asked is nobody else's.
    return [event for event in found_here if not all(_is_again(m, found) for m in event.moves)]


def _is_again(move: Move, found: Candidates) -> bool:
    before = found.before.get(move.response.id)
    lone = not move.response["request_frame"]
    return lone and before is not None and before.id == move.request.id


def _event(
    tables: Tables,
    weigher: Weigher,
    odd: Odd,
    moved: list[_Edge],
    edges: list[_Edge],
    found: Candidates,
) -> Event:
    moved = sorted(moved, key=lambda e: (e.response["response_time"], e.response["response_frame"]))
    left = {row.id for row in odd.unserved}
    lone = {row.id for row in odd.lone}
    recipients = {edge.response.id for edge in moved}
    early = {row.id for row in odd.surplus}
    provided = recipients | left | early
    comparisons: list[Comparison] = []
    # Responses that may not be their own teach nothing of what is usual.
    rows = {row.id: row for edge in moved for row in (edge.response, edge.request)}
    weigher = weigher.without(row for row in rows.values() if row["response_frame"])
    for edge in moved:
        before = found.before.get(edge.response.id)
        comparisons += pair_comparisons(weigher, edge.request, edge.response, before)
        if edge.request.id in left:
            comparisons.append(weigher.unserved(edge.request))
            comparisons += _ended(tables, edge.request, edge.response)
        if edge.request.id in early:
            text = (
                f"the response in frame {edge.request['response_frame']} was sent before the request "
                f"in frame {edge.request['request_frame']} had arrived: its own was still to come"
            )
            frames = (edge.request["response_frame"], edge.request["request_frame"])
            comparisons.append(Comparison(NUMBERS, OWED, text, frames))
        if edge.response.id in lone:
            text = (
                f"the response in frame {edge.response['response_frame']} came when all that the "
                "server had been asked on that connection was answered"
            )
            comparisons.append(Comparison(SURPLUS, LONE, text, (edge.response["response_frame"],)))
        elif edge.request["response_frame"] and edge.request.id not in provided:
            # What the rightful request got instead would be nobody's in sight.
            own = weigher.weight(edge.request, edge.request)
            comparisons += [c._replace(bits=-c.bits) for c in _capped(own.comparisons)]
            text = "whose the response is that the rightful request got does not show"
            comparisons.append(
                Comparison(SURPLUS, -NOBODY, text, (edge.request["response_frame"],))
            )
    chain = _closed(moved)
    moves = [
        Move(
            edge.response,
            edge.request,
            _how(edge, chain, recipients, left),
            _rivals(edge, edges, moved, left),
        )
        for edge in moved
    ]
    return Event(moves, comparisons)


def pair_comparisons(
    weigher: Weigher, request: Row, response: Row, before: Row | None = None
) -> list[Comparison]:
    """What speaks for a response to be that request's, rather than that of its own exchange.

    One that nobody had asked for may answer what was asked `before` it once more.
    """
    theirs = weigher.weight(request, response)
    found = _capped(theirs.comparisons)
    own = response if response["request_frame"] else before
    if own is not None and own.id != request.id:
        again = weigher.weight(own, response)
        found += [c._replace(bits=-c.bits) for c in _capped(again.comparisons)]
    return found


def _ended(tables: Tables, request: Row, response: Row) -> list[Comparison]:
    bits = ended_bits(tables, request, response)
    text = (
        f"the connection of the request in frame {request['request_frame']} had been closed "
        "before the response came"
    )
    return [Comparison(ENDED, bits, text, (request["request_frame"],))] if bits else []


def _capped(comparisons: tuple[Comparison, ...]) -> list[Comparison]:
    """The comparisons, those of tokens together worth no more than one set of them may be."""
    tokens = sum(c.bits for c in comparisons if c.name == TOKEN)
    if tokens <= MOST_TOKENS:
        return list(comparisons)
    scale = MOST_TOKENS / tokens
    return [c._replace(bits=c.bits * scale) if c.name == TOKEN else c for c in comparisons]


def _rivals(edge: _Edge, edges: list[_Edge], moved: list[_Edge], left: set[Id]) -> int:
    """How many others could as well have asked for the response."""
    taken = {one.request.id for one in moved}
    return sum(
        one.response.id == edge.response.id
        and not one.wire
        and one.request.id not in taken
        and one.request.id in left
        and one.weight > edge.weight - TIE
        for one in edges
    )


def _closed(moved: list[_Edge]) -> set[Id]:
    """The recipients that are part of a circle: each was given what another of them asked for."""
    given_to = {edge.request.id: edge.response.id for edge in moved}
    found = set()
    for edge in moved:
        at, steps = edge.response.id, 0
        while at in given_to and steps <= len(moved):
            at, steps = given_to[at], steps + 1
            if at == edge.response.id:
                found.add(at)
                break
    return found


def _how(edge: _Edge, circle: set[Id], recipients: set[Id], left: set[Id]) -> str:
    """In which way a response came to the wrong request, by what the rightful one got."""
    if edge.request.id in circle:
        return CROSSED
    if edge.request["connection"] == edge.response["connection"]:
        return SLIPPED
    if edge.request.id in left or edge.request.id not in recipients:
        return STOLEN
    return LATE


def ended_bits(tables: Tables, request: Row, response: Row) -> float:
    """What it is worth how the request's connection had ended when the response came.

    A server that closed in good order, or whose client did, has no answer to give there any more;
    unless the number of the closed connection was used again for the other one.
    """
    connection = tables.connection(request)
    closed = int(connection["client_fin_time"]), int(connection["server_fin_time"])
    came = response["response_time"]
    opened = int(tables.connection(response)["first_time"])
    if request["connection"] == response["connection"]:
        return 0.0
    if 0 < closed[1] < opened and (not closed[0] or closed[1] < closed[0]):
        return FREED
    if not all(closed) or max(closed) >= came:
        left = closed[0] or int(connection["reset_time"])
        return LEFT if left and left < came else 0.0
    in_order = closed[0] <= closed[1]
    return OVER if in_order or opened < min(closed) else 0.0


def _at_once(tables: Tables, weigher: Weigher, request: Row, response: Row) -> Comparison:
    bits = weigher.rates.at_once(tables.endpoint(request))
    text = (
        f"the requests in frames {request['request_frame']} and {response['request_frame']} were "
        "under way at the same time"
    )
    return Comparison(AT_ONCE, bits, text, (request["request_frame"], response["request_frame"]))


def copies(tables: Tables, weigher: Weigher, found: Candidates, taken: set[Id]) -> list[Event]:
    """Events of responses that their rightful requests were given as well, byte for byte."""
    out = []
    for response in found.responses:
        if response.id in taken:
            continue
        best: Event | None = None
        for request in found.copies.get(response.id, ()):
            if request["request_time"] >= response["response_time"]:
                continue
            how = COPIED if request["response_end_time"] > response["request_time"] else CACHED
            many = max(0, found.given[said(tables, response)] - 2)
            among = weigher.forms.known(tables.variant(request))
            bits = log2((among + 1.0) / (many + 0.5))
            text = (
                f"the responses in frames {request['response_frame']} and "
                f"{response['response_frame']} are the same, byte for byte"
            )
            equal = Comparison(
                EQUAL, bits, text, (request["response_frame"], response["response_frame"])
            )
            comparisons = [*pair_comparisons(weigher, request, response), equal]
            if how == COPIED:
                comparisons.append(_at_once(tables, weigher, request, response))
            event = Event([Move(response, request, how)], comparisons)
            if best is None or event.bits > best.bits:
                best = event
        if best is not None:
            out.append(best)
    return out
