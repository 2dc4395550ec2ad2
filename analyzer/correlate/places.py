"""Where: what each vantage saw of a message, in the order in which the message passes them.

Law: not seen counts only where a vantage would have seen it. That is one that has the connection
whole, or that had other connections of the same two hosts before and after, nearly all that there
were; and its capture goes on for a while. All other silence says nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from analyzer.correlate.view import Row, Tables
from analyzer.tables import Array, ConnectionFlag, Flag, Outcome

MARGIN = 1_000_000_000  # ns that a capture must go on after a message that it is said not to have
NEIGHBOURHOOD = 300_000_000_000  # ns around a message in which other connections tell a path
NEARLY_ALL = 0.9  # share of the other connections that a vantage on the path has
FEW = 4  # other connections that it takes to know a path

_GAPS = int(ConnectionFlag.CLIENT_GAP | ConnectionFlag.SERVER_GAP | ConnectionFlag.ONE_WAY)
_SYN = int(ConnectionFlag.CLIENT_SYN)
_ONE_WAY = int(ConnectionFlag.ONE_WAY)
_TOUCHED = int(Flag.GAP_REQUEST | Flag.GAP_RESPONSE | Flag.AFTER_GAP | Flag.ONE_WAY)


@dataclass(frozen=True, slots=True)
class At:
    """A message at a vantage: its first frame, and when that was seen by the reference clock."""

    capture: int
    frame: int
    time: int


@dataclass(frozen=True, slots=True)
class Place:
    """One vantage on the way of a request: what it saw of the request and of its response.

    `connection` is the row number of its sighting of the connection, -1 where it has none. `whole`:
    what it did not see was not there. `ended`: its response was seen to its end. `stray`: packets
    of the server that went out under another address than the connection's.
    """

    interface: int
    connection: int
    request: At | None = None
    response: At | None = None
    ended: bool = False
    whole: bool = False
    stray: bool = False


@dataclass(slots=True)
class Traced:
    """The exchanges that were asked for, at every vantage."""

    tables: Tables
    # (group, sequence number of the request or of the response) -> the rows that have it
    by_request: dict[tuple[int, int], list[np.void]] = field(default_factory=dict)
    by_response: dict[tuple[int, int], list[np.void]] = field(default_factory=dict)

    @staticmethod
    def of(tables: Tables, rows: Iterable[Row]) -> "Traced":
        """Look up `rows` at every vantage: one pass over all exchanges."""
        found = Traced(tables)
        asked = {
            (tables.joined.group[r["connection"]], r["request_seq"])
            for r in rows
            if r["request_frame"]
        }
        said = {
            (tables.joined.group[r["connection"]], r["response_seq"])
            for r in rows
            if r["response_frame"]
        }
        groups = np.array(sorted({int(g) for g, _ in asked | said}), dtype=np.int64)
        if not len(groups):
            return found
        wanted = np.isin(tables.joined.group, groups)
        for chunk in tables.sightings(wanted):
            group = tables.joined.group[chunk["connection"]].tolist()
            for row, number in zip(chunk, group, strict=True):
                request, response = int(row["request_seq"]), int(row["response_seq"])
                if row["request_frame"] and (number, request) in asked:
                    found.by_request.setdefault((number, request), []).append(row)
                if row["response_frame"] and (number, response) in said:
                    found.by_response.setdefault((number, response), []).append(row)
        return found

    def path(self, row: Row) -> list[Place]:
        """The vantages on the way of `row`, the one nearest the client first."""
        tables = self.tables
        group = int(tables.joined.group[row["connection"]])
        if row["request_frame"]:
            rows = self.by_request.get((group, row["request_seq"]), [])
        else:
            rows = self.by_response.get((group, row["response_seq"]), [])
        seen = {int(r["connection"]): r for r in rows}
        when = row["request_time"] or row["response_time"]
        own: list[Place] = []
        strays: list[Place] = []
        for number in tables.joined.members(row["connection"]):
            connection = tables.connections[number]
            flags = int(connection["flags"])
            if number not in seen and flags & _ONE_WAY and not connection["requests"]:
                strays.append(self._stray(connection))
                continue
            own.append(self._sighting(number, seen.get(number), row, when))
        own.sort(key=lambda p: self._order(p))
        for stray in strays:
            # It left by an interface that has the connection itself too, most likely.
            at = [n for n, p in enumerate(own) if p.interface == stray.interface]
            own.insert(at[-1] + 1 if at else len(own), stray)
        return self._with_others(own, row, when)

    def _order(self, place: Place) -> tuple[int, int]:
        first = int(self.tables.connections["first_time"][place.connection])
        return first, place.interface

    def _sighting(self, number: int, seen: np.void | None, row: Row, when: int) -> Place:
        tables = self.tables
        connection = tables.connections[number]
        interface = int(connection["interface"])
        flags = int(connection["flags"])
        began = bool(flags & _SYN) or int(connection["first_time"]) <= when
        goes_on = tables.ends[interface] >= self._until(row) + MARGIN
        whole = not flags & _GAPS and began and goes_on
        if seen is None:
            return Place(interface, number, whole=whole)
        whole = whole and not int(seen["flags"]) & _TOUCHED
        request = _at(seen, "request")
        response = _at(seen, "response")
        ended = int(seen["outcome"]) in (Outcome.ANSWERED, Outcome.UNSOLICITED)
        return Place(interface, number, request, response, ended and response is not None, whole)

    def _until(self, row: Row) -> int:
        """The time of the last that is known of an exchange, at any vantage."""
        group = int(self.tables.joined.group[row["connection"]])
        rows = self.by_request.get((group, row["request_seq"]), [])
        return max(
            [row["request_time"], row["response_time"], *(int(r["response_time"]) for r in rows)]
        )

    def _stray(self, connection: np.void) -> Place:
        at = At(
            int(connection["first_capture"]),
            int(connection["first_frame"]),
            int(connection["first_time"]),
        )
        number, interface = int(connection["connection"]), int(connection["interface"])
        return Place(interface, number, None, at, stray=True)

    def _with_others(self, own: list[Place], row: Row, when: int) -> list[Place]:
        """`own` and the vantages on the path that should have seen the connection, and did not."""
        template = self._usual_path(row, when)
        have = {place.interface for place in own}
        if not template or set(template) <= have:
            return own
        out = list(own)
        for position, interface in enumerate(template):
            if interface in have:
                continue
            if self.tables.ends[interface] < self._until(row) + MARGIN:
                continue
            # Behind the last vantage that comes before it on the usual path.
            before = set(template[:position])
            at = max((n for n, p in enumerate(out) if p.interface in before), default=-1)
            out.insert(at + 1, Place(interface, -1, whole=True))
        return out

    def _usual_path(self, row: Row, when: int) -> list[int]:
        """The interfaces that connections of these two hosts pass, before and after `when`.

        Nearest the client first; empty where too few tell.
        """
        tables = self.tables
        table, joined = tables.connections, tables.joined
        mine = table[row["connection"]]
        near = (
            joined.judged
            & (joined.service == joined.service[row["connection"]])
            & (table["client"] == mine["client"])
            & (table["first_time"] > when - NEIGHBOURHOOD)
            & (table["first_time"] < when + NEIGHBOURHOOD)
            & (table["flags"] & _GAPS == 0)
            & (np.arange(len(table)) != joined.group[row["connection"]])
        )
        before = np.flatnonzero(near & (table["first_time"] <= when))[-64:]
        after = np.flatnonzero(near & (table["last_time"] >= when))[:64]
        if not len(before) or not len(after) or len(before) + len(after) < FEW:
            return []
        counts: dict[int, list[int]] = {}
        for side, numbers in enumerate((before, after)):
            for number in numbers.tolist():
                for interface in {int(table["interface"][n]) for n in joined.members(number)}:
                    counts.setdefault(interface, [0, 0])[side] += 1
        usual = {
            interface
            for interface, (one, two) in counts.items()
            if one >= NEARLY_ALL * len(before) and two >= NEARLY_ALL * len(after)
        }
        for number in [*after.tolist(), *before.tolist()]:
            path = _path_of(table, joined.members(number))
            if usual <= set(path):
                return [interface for interface in path if interface in usual]
        return []


def _path_of(table: Array, members: list[int]) -> list[int]:
    """The interfaces of the sightings of a connection, nearest the client first."""
    order = sorted(members, key=lambda n: (int(table["first_time"][n]), int(table["interface"][n])))
    return list(dict.fromkeys(int(table["interface"][n]) for n in order))


def _at(row: np.void, side: str) -> At | None:
    frame = int(row[f"{side}_frame"])
    return At(int(row[f"{side}_capture"]), frame, int(row[f"{side}_time"])) if frame else None
