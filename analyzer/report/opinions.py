"""What somebody said of an incident after a look at it; `marks` keeps it in a file."""

from dataclasses import dataclass
from enum import StrEnum


class Opinion(StrEnum):
    """What somebody thinks of an incident."""

    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Mark:
    """An opinion with its note ("": none), and when it was given (RFC 3339, UTC)."""

    mark: Opinion
    note: str
    time: str

    @property
    def sentence(self) -> str:
        """The mark in words."""
        return f"Marked {self.mark} on {self.time[:10]}{f': {self.note}' if self.note else ''}"


Marks = dict[str, Mark]  # by the id of the incident
