"""What may be linked: requests with their own responses, and with those that may be theirs as well.

Law: a link's weight is what speaks for the pair (`weights`), and what it explains beside that: a
request that was left without a response, a response that nobody had asked for, equal bytes given to
two. Each is one comparison, made in one place, with the fact that it rests on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log2
from typing import NamedTuple

from analyzer.baselines.tokens import EITHER
from analyzer.correlate.view import PARTIAL, Id, Row, Tables, asked_meanwhile
from analyzer.matching.candidates import Candidates, question, said
from analyzer.matching.triage import Odd
from analyzer.matching.weights import (
    ENDED,
    EQUAL,
    LATER,
    NUMBERS,
    SURPLUS,
    TOKEN,
    Comparison,
    Weigher,
)

WIRE, RIGHTFUL, COPY = "wire", "rightful", "copy"
KEPT = 5.0  # bits for the wire's linking of each pair: what is not much worse is left as it is
NOBODY = 8.0  # bits that a response of nobody in sight costs
MOST_EQUAL = 12.0  # bits that it may be worth that two were given the same bytes
OVERWRITES = 2.0  # bits: of two that were given the same it is oftener the later one's
OWED = 15.0  # bits that a request has yet to be answered, by the numbers of what it was given
LONE = 10.0  # bits that a response is worth which otherwise nobody had asked for
# How the connection of a request without a response ended: closed by the server, and its number
# free for the other one; left by the client before the response came; or over for both.
FREED, LEFT, OVER = 3.0, -1.0, -10.0


class Link(NamedTuple):
    """A request and a response that may belong together, and what that is worth in bits.

    `kind` is WIRE where it is the wire's own linking, RIGHTFUL where the response would be this
    request's instead, COPY where both requests were given it, or what is made of one.
    """

    request: Row
    response: Row
    kind: str
    weight: float
    beside: tuple[Comparison, ...] = ()  # what it explains beside the pair itself


@dataclass(slots=True)
class Links:
    """Finds links; the sets say what is known of exchanges by their ids."""

    tables: Tables
    found: Candidates
    unserved: frozenset[Id]
    lone: frozenset[Id]  # responses that nobody had asked for
    early: frozenset[Id]  # responses sent before their requests had come
    failed: frozenset[Id]  # requests that were told so

    @classmethod
    def of(cls, tables: Tables, found: Candidates, odd: Odd) -> "Links":
        """The links among these."""
        every = (odd.unserved, odd.lone, odd.surplus, found.failed)
        return cls(tables, found, *(frozenset(row.id for row in rows) for rows in every))

    @property
    def waiting(self) -> frozenset[Id]:
        """Requests whose own response is not the one that the wire gives them, if it gives any."""
        return self.unserved | self.early | self.failed

    def every(self, weigher: Weigher) -> Iterator[Link]:
        """All links, each once."""
        met: dict[Id, Row] = {}
        waiting = self.waiting
        weigher.prepare(self._pairs())
        for response in self.found.responses:
            for request in self.found.of[response.id]:
                met[request.id], met[response.id] = request, response
                yield self.link(weigher, request, response, RIGHTFUL)
            for request in self.found.copies.get(response.id, ()):
                if self._may_be_copy(request, response) and self._tells(weigher, request, response):
                    met[response.id] = response
                    yield self.link(weigher, request, response, COPY)
        for row in met.values():
            answered = row["request_frame"] and row["response_frame"]
            if answered and row.id not in waiting:
                yield self.link(weigher, row, row, WIRE)

    def _pairs(self) -> Iterator[tuple[Row, Row]]:
        """All pairs of which the weight may be asked."""
        for response in self.found.responses:
            for request in (*self.found.of[response.id], *self.found.copies.get(response.id, ())):
                yield from ((request, response), (request, request), (response, response))

    def _may_be_copy(self, request: Row, response: Row) -> bool:
        """Whether one may have been given what the other was: at one time, or for one path.

        What was given before for a target that a candidate asks for is that one's own by now; and
        who asks the same has it for an own answer.
        """
        if request["request_time"] >= response["response_time"]:
            return False
        parts = PARTIAL in (request["status"], response["status"])
        if question(request) == question(response) and not parts:
            return False
        if asked_meanwhile(request, response):
            return True
        return self.tables.is_beside(request, response) and not any(
            request.target == one.target for one in self.found.of[response.id]
        )

    def _tells(self, weigher: Weigher, request: Row, response: Row) -> bool:
        """Whether both were given the same, or one what the other names: else nothing is shared."""
        if said(self.tables, request) == said(self.tables, response):
            return True
        weight = weigher.weight(request, response)
        named = sum(one.bits for one in weight.comparisons if one.name == TOKEN)
        return bool(weight.hits) and named > 0

    def link(self, weigher: Weigher, request: Row, response: Row, kind: str) -> Link:
        """One link with its weight."""
        beside = tuple(self._beside(weigher, request, response, kind))
        weight = weigher.weight(request, response).bits + sum(c.bits for c in beside)
        weight += 0.0 if response.id in self.lone else NOBODY
        return Link(request, response, kind, weight + (KEPT if kind == WIRE else 0.0), beside)

    def _beside(
        self, weigher: Weigher, request: Row, response: Row, kind: str
    ) -> Iterator[Comparison]:
        if kind == COPY:
            yield from self._copied(weigher, request, response)
        if kind != RIGHTFUL:
            return
        asked, came = self.tables.asked(request), self.tables.came(response)
        if request.id in self.unserved:
            yield weigher.unserved(request)
            yield from self._ended(request, response)
        if request.id in self.failed:
            yield weigher.failed(request, response)
        if request.id in self.early:
            early = self.tables.came(request)
            text = (
                f"the response in frame {early} was sent before the request in "
                f"frame {asked} had arrived: its own was still to come"
            )
            yield Comparison(NUMBERS, OWED, text, (early, asked))
        if response.id in self.lone:
            text = (
                f"the response in frame {came} came when all that the server had been asked on "
                "that connection was answered"
            )
            yield Comparison(SURPLUS, LONE, text, (came,))

    def _ended(self, request: Row, response: Row) -> Iterator[Comparison]:
        bits = ended_bits(self.tables, request, response)
        frame = self.tables.asked(request)
        if bits == FREED:
            text = (
                f"the server had closed the connection of the request in frame {frame} without an "
                "answer before the other one was opened: its number was free"
            )
        else:
            text = f"the connection of the request in frame {frame} was closed by then"
        if bits:
            yield Comparison(ENDED, bits, text, (frame,))

    def _copied(self, weigher: Weigher, request: Row, response: Row) -> Iterator[Comparison]:
        """What it is worth that both were given the same bytes, and were under way together."""
        if said(self.tables, request) == said(self.tables, response):
            yield self._equal(weigher, request, response)
        if asked_meanwhile(request, response):
            yield weigher.at_once(request, response)
            frames = (self.tables.asked(request), self.tables.asked(response))
            later = request["request_time"] > response["request_time"]
            when = "later" if later else "first"
            text = (
                f"of the two the request in frame {frames[0]} came {when}: what requests share, "
                "the later one overwrites"
            )
            yield Comparison(LATER, OVERWRITES if later else -OVERWRITES, text, frames)

    def _equal(self, weigher: Weigher, request: Row, response: Row) -> Comparison:
        others = max(0, self.found.given[said(self.tables, response)] - 2)
        every = weigher.forms.known(self.tables.variant(request))
        bits = log2((every * (every - 1) / 2 + 2 * EITHER) / (others * (others + 1) / 2 + EITHER))
        frames = (self.tables.came(request), self.tables.came(response))
        text = f"the responses in frames {frames[0]} and {frames[1]} are the same, byte for byte"
        return Comparison(EQUAL, max(0.0, min(MOST_EQUAL, bits)), text, frames)


def ended_bits(tables: Tables, request: Row, response: Row) -> float:
    """What it is worth how the request's connection had ended when the response came.

    A server that closed in good order, or whose client did, has no answer to give there any more;
    unless the number of the closed connection was used again for the other one.
    """
    if request["connection"] == response["connection"]:
        return 0.0
    connection = tables.connection(request)
    client, server = int(connection["client_fin_time"]), int(connection["server_fin_time"])
    came, opened = response["response_time"], int(tables.connection(response)["first_time"])
    if 0 < server < opened and (not client or server < client):
        return FREED
    if client and server and max(client, server) < came:
        return OVER if client <= server or opened < min(client, server) else 0.0
    left = client or int(connection["reset_time"])
    return LEFT if left and left < came else 0.0
