"""Things that belong together by ties between two of them: each set has its first as its name."""


class Unions:
    """Sets of the numbers below `size`; a tie costs next to nothing, however many there are."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def first(self, n: int) -> int:
        """The lowest number of the set that `n` is in."""
        parent = self._parent
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    def tie(self, one: int, two: int) -> None:
        """Make one set of the two that these are in."""
        low, high = sorted((self.first(one), self.first(two)))
        self._parent[high] = low
