"""Connections whose two directions were mirrored into two tunnels, put together again.

Law: some mirrors number the directions apart: another GRE key, ERSPAN session or VXLAN network for
each. Two tunnels' segments with the same addresses and ports are one connection where either has
one direction alone, and each acknowledges what the other sent; where more than one other half fits,
none does. A connection of which a tunnel has both directions is left alone: equal addresses in two
networks are two connections.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from analyzer import limits
from analyzer.intervals import MASK
from analyzer.tcp.blocks import ACK, FIN, SYN, Ints, Rows, by_connection

_LATEST = 16  # numbers of a half that are remembered from block to block
_MOST_HALVES = 8  # of one pair of addresses and ports; more are somebody's intention
_INTERFACE = np.uint64(32)

_Place = tuple[int, bytes]  # what the tunnels have in common, and addresses and ports


@dataclass(slots=True)
class _Half:
    """What one tunnel has of a connection: which directions (bits), and its latest numbers."""

    interface: int
    sides: int = 0
    ends: deque[int] = field(default_factory=lambda: deque(maxlen=_LATEST))
    acks: deque[int] = field(default_factory=lambda: deque(maxlen=_LATEST))

    def fits(self, other: "_Half") -> bool:
        """Whether the two are the directions of one connection."""
        return (
            self.sides | other.sides == 3
            and not self.sides & other.sides
            and not set(self.acks).isdisjoint(other.ends)
            and not set(other.acks).isdisjoint(self.ends)
        )


class Halves:
    """Takes the blocks of all captures in their order."""

    def __init__(self) -> None:
        self._places: OrderedDict[_Place, list[_Half]] = OrderedDict()
        self._joined: dict[tuple[_Place, int], int] = {}  # the interface that a half goes to

    def join(self, rows: Rows, tunnels: Sequence[int]) -> None:
        """Bring the halves of connections under one key, in place.

        `tunnels` has for every interface a number for what it shares with the other tunnels that
        may have its other directions, -1 where it is no tunnel.
        """
        if sum(tunnel >= 0 for tunnel in tunnels) < 2:
            return
        of_row = np.array(tunnels, np.int64)[(rows.key[:, 4] >> _INTERFACE).astype(np.int64)]
        inside = np.flatnonzero(of_row >= 0)
        if not len(inside):
            return
        order, starts = by_connection(rows.key[inside])
        order = inside[order]
        bounds = [*starts.tolist(), len(order)]
        limited: dict[_Place, list[tuple[_Half, Ints]]] = {}
        for begin, stop in pairwise(bounds):
            chosen = order[begin:stop]
            key = rows.key[chosen[0]].copy()
            interface = int(key[4] >> _INTERFACE)
            key[4] &= np.uint64(MASK)
            place = int(of_row[chosen[0]]), key.tobytes()
            half = self._half(place, interface)
            _note(half, rows, chosen)
            limited.setdefault(place, []).append((half, chosen))
        for place, here in limited.items():
            self._match(place)
            for half, chosen in here:
                target = self._joined.get((place, half.interface))
                if target is not None:
                    rest = rows.key[chosen, 4] & np.uint64(MASK)
                    rows.key[chosen, 4] = np.uint64(target) << _INTERFACE | rest

    def _half(self, place: _Place, interface: int) -> _Half:
        halves = self._places.get(place)
        if halves is None:
            halves = self._places[place] = []
            if len(self._places) > limits.CONNECTIONS:
                gone, those = self._places.popitem(last=False)
                for half in those:
                    self._joined.pop((gone, half.interface), None)
        for half in halves:
            if half.interface == interface:
                return half
        half = _Half(interface)
        if len(halves) < _MOST_HALVES:
            halves.append(half)
        return half

    def _match(self, place: _Place) -> None:
        """Join the halves of a place that fit each other, and no third."""
        halves = [half for half in self._places.get(place, []) if half.sides in (1, 2)]
        for half in halves:
            fitting = [other for other in halves if half.fits(other)]
            if len(fitting) == 1 and half.interface > fitting[0].interface:
                (other,) = fitting
                if sum(other.fits(third) for third in halves) == 1:
                    self._joined[place, half.interface] = other.interface


def _note(half: _Half, rows: Rows, chosen: Ints) -> None:
    """Take note of the directions and the numbers of some segments of one connection."""
    sides = rows.side[chosen]
    half.sides |= (1 if (sides == 0).any() else 0) | (2 if (sides == 1).any() else 0)
    if half.sides == 3:
        return
    few = np.concatenate([chosen[: _LATEST // 2], chosen[_LATEST // 2 :][-_LATEST // 2 :]])
    flags = rows.flags[few]
    ends = rows.seq[few] + rows.wire[few] + (flags & SYN > 0) + (flags & FIN > 0)
    half.ends.extend((ends & MASK).tolist())
    half.acks.extend(rows.ack[few[flags & ACK > 0]].tolist())
