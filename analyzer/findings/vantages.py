"""Which connections of the capture are one connection, seen at several places.

Law: a pair of numbers joins them: the sequence and acknowledgement number of the first request
byte, which follow from the two initial sequence numbers and which network address translation
leaves alone. Of each group one connection is judged, the most complete one and then the one nearest
the client; every exchange is counted once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.tables import Array, ConnectionFlag

_NEAR = 1_000_000_000  # ns between the sightings of one connection by one host
_INCOMPLETE = int(ConnectionFlag.CLIENT_GAP | ConnectionFlag.SERVER_GAP | ConnectionFlag.ONE_WAY)
_SYNS = int(ConnectionFlag.CLIENT_SYN | ConnectionFlag.SERVER_SYN)


@dataclass(slots=True)
class Joined:
    """Connections joined over vantages; arrays are indexed by connection number.

    `judged` marks the connection of each group that is judged (bool), `group` is the number of
    that connection for every member (int64).
    """

    judged: npt.NDArray[np.bool_]
    group: npt.NDArray[np.int64]

    def members(self, connection: int) -> list[int]:
        """All connections that are the same as `connection`, itself included."""
        return np.flatnonzero(self.group == self.group[connection]).tolist()


def join(connections: Array, series: list[int]) -> Joined:
    """Join the rows of CONNECTIONS (in the order of their numbers).

    `series` has for every interface the set of files that it belongs to.
    """
    count = len(connections)
    group = np.arange(count)
    judged = np.ones(count, dtype=bool)
    keyed = np.flatnonzero(connections["requests"] > 0)
    code = connections["join_seq"].astype(np.uint64) << np.uint64(32) | connections["join_ack"]
    order = keyed[np.lexsort((connections["client_port"][keyed], code[keyed]))]
    same = (code[order[1:]] == code[order[:-1]]) & (
        connections["client_port"][order[1:]] == connections["client_port"][order[:-1]]
    )
    for start, stop in _runs(same):
        _join_group(connections, series, order[start:stop].tolist(), group, judged)
    return Joined(judged, group)


def _runs(same: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open runs of rows in which each is the same as the one before; of two rows or more."""
    edges = np.diff(np.concatenate([[False], same, [False]]).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(a), int(b) + 1) for a, b in zip(starts, stops, strict=True)]


def _join_group(
    connections: Array,
    series: list[int],
    members: list[int],
    group: npt.NDArray[np.int64],
    judged: npt.NDArray[np.bool_],
) -> None:
    left = sorted(members, key=lambda n: int(connections["first_time"][n]))
    while left:
        first = left.pop(0)
        together = [first]
        for other in list(left):
            if all(_are_one(connections, series, other, one) for one in together):
                together.append(other)
                left.remove(other)
        best = min(together, key=lambda n: (_shortcomings(connections[n]), together.index(n)))
        for number in together:
            group[number] = best
            judged[number] = number == best


def _are_one(connections: Array, series: list[int], a: int, b: int) -> bool:
    one, two = connections[a], connections[b]
    places = (series[one["interface"]], int(one["interface"]))
    others = (series[two["interface"]], int(two["interface"]))
    apart = abs(int(one["first_time"]) - int(two["first_time"]))
    if places[0] != others[0]:
        return True
    if apart > _NEAR:
        return False
    ends_differ = (one["client"], one["server"], one["server_port"]) != (
        two["client"],
        two["server"],
        two["server_port"],
    )
    return places != others or ends_differ


def _shortcomings(connection: Any) -> tuple[int, int]:
    flags = int(connection["flags"])
    return (flags & _INCOMPLETE).bit_count(), -(flags & _SYNS).bit_count()
