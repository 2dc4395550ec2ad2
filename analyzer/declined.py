"""What could not be read with many others at once, and why: what makes a scan slow.

Law: these counts say how a capture was read, never what is in it. They are the same for any number
of processes; with other blocks, or without the compiled kernels, they are others.
"""

from collections import Counter
from dataclasses import dataclass, field

REASONS = {
    "kernels": "there are no compiled kernels here: every exchange is read by itself",
    "segments": "the numbers of the segments leave doubt which bytes are the request and its whole "
    "response: bytes lost, reordered or sent twice, requests ahead of their responses, a message "
    "that is not over where a block of the capture is, or longer than is looked into",
    "request-head": "a request's head is not plain, or one of too many kinds",
    "response-head": "a response's head is not plain, or one of too many kinds",
    "length": "a message does not end where the segments do that belong together",
    "connection": "something was outstanding on the connection",
    "body": "a response's body was read by itself: there is no code for it",
}
_OF_EXCHANGES = ("request-head", "response-head", "length", "connection")


@dataclass(slots=True)
class Declined:
    """How many exchanges were read at once (`taken`), and what was declined, by reason."""

    taken: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def count(self, reason: str, times: int) -> None:
        """Count what was declined for a reason of REASONS."""
        assert reason in REASONS
        self.counts[reason] += times

    def add(self, other: "Declined") -> None:
        """Join what was counted elsewhere."""
        self.taken += other.taken
        self.counts.update(other.counts)

    def of(self, exchanges: int, *, compiled: bool) -> dict[str, int]:
        """By reason what was declined of so many exchanges; those that nothing else is known of
        had segments that leave doubt. In the order of REASONS, none that is 0.
        """
        counts = Counter(self.counts)
        known = sum(counts[reason] for reason in _OF_EXCHANGES)
        left = max(0, exchanges - self.taken - known)
        counts["segments" if compiled else "kernels"] = left
        return {reason: counts[reason] for reason in REASONS if counts[reason]}
