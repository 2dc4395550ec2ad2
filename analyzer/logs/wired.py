"""The exchanges of the wire as logs are joined to them."""

from collections.abc import Iterator
from dataclasses import dataclass

from analyzer.correlate.view import Row, Tables
from analyzer.intervals import MASK, covers
from analyzer.tables import Outcome


@dataclass(frozen=True, slots=True)
class Wired:
    """An exchange: what both a log and the wire may know of it.

    `clients` are all `ip:port` that its client has, at any vantage. Times in ns by the reference
    clock; 0: there is none.
    """

    row: Row
    clients: tuple[str, ...]
    method: str
    target: str
    status: int
    length: int
    asked: int
    came: int
    ended: int
    answered: bool

    @property
    def exchange(self) -> str:
        """Its id, as findings name it."""
        return self.row.exchange


def exchanges(tables: Tables) -> Iterator[Wired]:
    """All judged exchanges that have a request."""
    names: dict[int, tuple[str, ...]] = {}
    for rows, targets in tables.judged():
        for at in range(len(rows)):
            if not rows["request_frame"][at]:
                continue
            row = Row(rows[at], targets[at])
            number = row["connection"]
            if number not in names:
                names[number] = _clients(tables, number)
            yield Wired(
                row,
                names[number],
                tables.names[tables.endpoint(row)].method,
                row.target.decode("latin-1"),
                row["status"],
                row["response_length"],
                row["request_time"],
                row["response_time"],
                row["response_end_time"],
                row["outcome"] == Outcome.ANSWERED,
            )


def _clients(tables: Tables, number: int) -> tuple[str, ...]:
    found = []
    for member in tables.joined.members(number):
        connection = tables.connections[member]
        found.append(tables.place(int(connection["client"]), int(connection["client_port"])))
        if connection["source_port"]:
            found.append(tables.place(int(connection["source"]), int(connection["source_port"])))
    return tuple(dict.fromkeys(found))


def acknowledged(tables: Tables, one: Wired) -> bool:
    """Whether the client's host acknowledged a response as far as its length is known."""
    end = one.row["response_seq"] + one.length & MASK
    return one.length > 0 and covers(int(tables.connection(one.row)["server_acked"]), end)
