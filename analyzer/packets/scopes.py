"""What keeps equal addresses apart: the interface of a cooked header, the numbers of tunnels.

Law: two packets with equal addresses and ports belong to one connection only in one scope. A scope
is what the headers around a packet say of its network: the interface index of a cooked v2 header,
the network identifier of VXLAN (RFC 7348 §5) and GENEVE (RFC 8926 §3.4), the key of GRE (RFC 2890
§2.1) and NVGRE (RFC 7637 §3.2), the session of ERSPAN; one in the other. Tunnels that number
nothing, or number the two directions apart (IP in IP, GTP, MPLS, PPPoE), make no scope.
"""

import numpy as np

from analyzer.packets.segments import Ints

MOST_SCOPES = 65_536  # of one capture; more are somebody's intention

FULL = -1


class Scopes:
    """Numbers the scopes of a capture; 0 is that of a packet with nothing around it."""

    def __init__(self) -> None:
        self._names: list[tuple[str, ...]] = [()]
        self._numbers: dict[tuple[int, str, int], int] = {}

    def number(self, parent: int, name: str, value: int) -> int:
        """The number of the scope that `name` and `value` make within `parent`, or FULL."""
        key = (parent, name, value)
        found = self._numbers.get(key)
        if found is None:
            found = len(self._names)
            if found >= MOST_SCOPES:
                return FULL
            self._numbers[key] = found
            self._names.append((*self._names[parent], f"{name}{value}"))
        return found

    def numbers(self, parents: Ints, name: str, values: Ints) -> Ints:
        """`number` for arrays of one shape; the values have at most 32 bits."""
        if not len(values):
            return parents
        keys = parents << 32 | values
        if (keys == keys[0]).all():
            found = self.number(int(parents[0]), name, int(values[0]))
            return np.full(len(keys), found, np.int64)
        different, inverse = np.unique(keys, return_inverse=True)
        numbers = [self.number(key >> 32, name, key & 0xFFFFFFFF) for key in different.tolist()]
        chosen: Ints = np.array(numbers, np.int64)[inverse]
        return chosen

    def name(self, number: int) -> str:
        """What a person calls the scope, the outermost first; empty for scope 0."""
        return " > ".join(self._names[number])
