"""Which segments of a block belong to wanted connections: with numpy, before anything else."""

import struct

import numpy as np

from analyzer.packets.segments import Ints
from analyzer.second_pass.model import Wanted
from analyzer.tcp.blocks import Rows


class Selection:
    """The wanted connections, by the keys that `streams.Rows` have."""

    def __init__(self, connections: list[Wanted]) -> None:
        self._firsts = [wanted.first for wanted in connections]
        # Connections of one key, in the order of their first frames.
        self._by_key: dict[bytes, list[int]] = {}
        for n in sorted(range(len(connections)), key=self._firsts.__getitem__):
            self._by_key.setdefault(_key(connections[n]), []).append(n)
        # Ports and interface are the last word of a key: enough to leave nearly all rows out.
        self._last_words = np.array(
            sorted({int.from_bytes(key[-8:], "little") for key in self._by_key}), dtype=np.uint64
        )

    def of(self, rows: Rows) -> tuple[Ints, Ints]:
        """Which rows belong to wanted connections, and to which of them (their places)."""
        near = np.flatnonzero(np.isin(rows.key[:, 4], self._last_words))
        owner = np.full(len(near), -1, dtype=np.int64)
        keys = np.ascontiguousarray(rows.key[near], dtype="<u8")
        for name in {key.tobytes() for key in np.unique(keys, axis=0)} & self._by_key.keys():
            same = (keys == np.frombuffer(name, "<u8")).all(axis=1)
            members = np.array(self._by_key[name])
            firsts = np.array([self._firsts[n] for n in members])
            at = np.searchsorted(firsts, rows.frame[near[same]], side="right") - 1
            owner[same] = np.where(at >= 0, members[at], -1)
        return near[owner >= 0], owner[owner >= 0]


def _key(wanted: Wanted) -> bytes:
    """The key of a connection as `streams.Rows` has it, its bytes little endian."""
    low, high = sorted((wanted.client, wanted.server))
    ports = low[2] << 16 | high[2]
    return struct.pack("<5Q", *low[:2], *high[:2], wanted.interface << 32 | ports)
