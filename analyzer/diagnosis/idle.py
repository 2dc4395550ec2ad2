"""The keep-alive race: a server closes an idle connection just as its client asks on it.

Law: the acknowledgement number says it, not the order in the capture. A FIN or RST that does not
cover the request's first byte was sent before the server's host had any of it (RFC 9293 §3.4): the
server did not refuse to answer, it never saw the request. Clients have to expect that, and may ask
again on another connection (RFC 9112 §9.5, §9.3.1).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from analyzer.correlate.sides import strange_reset
from analyzer.correlate.view import Id, Row, Tables
from analyzer.matching.messages import Messages
from analyzer.second_pass.model import CLIENT, SERVER, Packet
from analyzer.tables import ConnectionFlag, Flag, Outcome

AGAIN = 60_000_000_000  # ns within which an equal request counts as the same, asked again

_FIN, _RST, _ACK = 0x01, 0x04, 0x10
_PIPELINED, _BODY_SKIPPED = int(Flag.PIPELINED), int(Flag.BODY_SKIPPED)
_RESET_IGNORED = int(ConnectionFlag.RESET_IGNORED)


class Race(NamedTuple):
    """What closed the connection, and the equal request that came after it, if one did."""

    closing: Packet
    again: Row | None

    @property
    def is_made_good(self) -> bool:
        """Whether the request was asked again and answered."""
        return self.again is not None and self.again["outcome"] == Outcome.ANSWERED


def races(tables: Tables, messages: Messages, rows: Iterable[Row]) -> dict[Id, Race]:
    """Those of the unanswered `rows` whose servers had closed before they could see them."""
    closings = {
        row.id: (row, closing) for row in rows if (closing := _closing(tables, messages, row))
    }
    again = _asked_again(tables, [row for row, _ in closings.values()])
    return {key: Race(closing, again.get(key)) for key, (_, closing) in closings.items()}


def _closing(tables: Tables, messages: Messages, row: Row) -> Packet | None:
    """The server's FIN or RST that was sent before any of the row's request had arrived."""
    request = messages.message(row, CLIENT)
    if row["response_frame"] or row["flags"] & (_PIPELINED | _BODY_SKIPPED) or request is None:
        return None
    packets = messages.packets(row["connection"])
    ignored = int(tables.connection(row)["flags"]) & _RESET_IGNORED
    for packet in packets:
        if packet.side == CLIENT and packet.length and packet.again and packet.seq >= request.seq:
            return None  # It was repeated before that: it had been lost, not overtaken.
        if packet.side != SERVER or not packet.flags & (_FIN if ignored else _FIN | _RST):
            continue
        # A reset without an acknowledgement number answers a segment: it says nothing of itself.
        covered = not packet.flags & _ACK or packet.ack > request.seq
        strange = packet.flags & _RST and strange_reset(packets, SERVER)
        return None if covered or strange else packet
    return None


def _asked_again(tables: Tables, rows: list[Row]) -> dict[Id, Row]:
    """For each row the first equal request that its client sent to its server after it.

    One that was answered comes before one that was not.
    """
    found: dict[Id, Row] = {}
    if not rows:
        return found
    clients = {row.id: int(tables.connection(row)["client"]) for row in rows}
    for chunk, targets in tables.judged():
        client = tables.connections["client"][chunk["connection"]]
        service = tables.joined.service[chunk["connection"]]
        for row in rows:
            since = row["request_time"]
            alike = (chunk["request_time"] > since) & (chunk["request_time"] < since + AGAIN)
            alike &= (chunk["request_frame"] > 0) & (chunk["route"] == row["route"])
            alike &= chunk["request_length"] == row["request_length"]
            alike &= (client == clients[row.id]) & (service == tables.server(row))
            alike &= chunk["connection"] != row["connection"]
            for at in np.flatnonzero(alike).tolist():
                if targets[at] == row.target:
                    other = Row(chunk[at], targets[at])
                    found[row.id] = min(found.get(row.id, other), other, key=_best)
    return found


def _best(row: Row) -> tuple[bool, int]:
    return row["outcome"] != Outcome.ANSWERED, row["request_time"]
