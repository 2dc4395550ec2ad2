"""Rows of logs, whatever their format: one schema."""

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Whose log it is."""

    CLIENT = "client"
    SERVER = "server"


class Moment(StrEnum):
    """What the time of a row is the time of."""

    START = "start"  # the request was sent, or had come
    END = "end"  # the answer was read, or written: when the row was made
    UNKNOWN = "unknown"  # one of these, or between them


@dataclass(frozen=True, slots=True)
class LogRow:
    """One request as a log has it. What a log does not say is None, or empty.

    `time` in ns since 1970; where not `zoned` the digits are read as UTC. `resolution` is the unit
    of its last digit, in ns: the true time is that much later at most. `duration` in ns, known to
    within `duration_unit`. `length` in bytes, as logged. `peer` is the client's `ip:port`, or the
    `ip` alone. `error` is what a client says instead of a status.
    """

    line: int
    method: str = ""
    target: str = ""
    time: int | None = None
    zoned: bool = True
    resolution: int = 1
    moment: Moment = Moment.UNKNOWN
    duration: int | None = None
    duration_unit: int = 0
    status: int | None = None
    length: int | None = None
    address: str = ""
    port: int | None = None
    host: str = ""
    ids: tuple[str, ...] = ()
    error: str = ""

    @property
    def peer(self) -> str:
        """The client's `ip:port` as reports have it, an IPv6 address in brackets; else ""."""
        if not self.address or self.port is None:
            return ""
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else f"{self.address}:{self.port}"
        )

    @property
    def key(self) -> tuple[str, str]:
        """What was asked for."""
        return self.method, self.target

    @property
    def start(self) -> int | None:
        """When it was sent or had come, to within `resolution` and `duration_unit`."""
        if self.time is None or self.moment is Moment.START:
            return self.time
        if self.moment is Moment.END and self.duration is not None:
            return self.time - self.duration
        return None

    @property
    def slack(self) -> int:
        """How wrong `start` may be either way, in ns, beside the resolution of `time`."""
        return self.duration_unit if self.moment is Moment.END else 0


@dataclass(slots=True)
class Log:
    """One log, read: of the files of a rotated set one each."""

    path: str
    side: Side
    format: str
    rows: list[LogRow]
    lines: int = 0
    blank: int = 0
    unread: int = 0  # lines that are no request of the format
    first_unread: tuple[int, ...] = ()  # their numbers, the first few
    left_out: int = 0  # rows beyond the limit
    damaged: bool = False  # its compression ended early

    @property
    def zoned(self) -> bool:
        """Whether all its times say their zone."""
        return all(row.zoned for row in self.rows)
