"""The messages and packets of the few exchanges that matter, as the second look saw them.

Law: judging asks once, for all that it may need, so that a capture is read at most twice. What the
second look could not give (standard input that was not kept, a limit) is missing here, and whoever
asks must do without.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from analyzer import echoes
from analyzer.findings.view import Row, Tables
from analyzer.second_pass.model import CLIENT, SERVER, Message, Packet, Reread

# Connections by their numbers, each with the time in ns since 1970 from which and until which it
# matters, to what was seen of them.
Look = Callable[[dict[int, tuple[int, int]]], dict[int, Reread]]

MARGIN = 60_000_000_000  # ns before and after an exchange that are looked at too
MOST_CONNECTIONS = 400  # looked at in one scan, beyond which findings have fewer facts


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says: its tokens by place."""

    tokens: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Said:
    """What a response says: its field lines and its body, without any coding."""

    head: bytes
    body: bytes
    media_type: str = ""


@dataclass(slots=True)
class Messages:
    """Rereads of connections, asked for by rows."""

    tables: Tables
    look: Look | None = None
    rereads: dict[int, Reread] = field(default_factory=dict)
    # By connection, side, and capture and frame of the first byte.
    _messages: dict[tuple[int, int, int, int], list[Message]] = field(default_factory=dict)

    def take(self, rows: Iterable[Row], beside: Iterable[Row] = ()) -> None:
        """Look at the connections of `rows`, at every place that saw them.

        Those of `beside` are looked at too, where they are judged.
        """
        if self.look is None:
            return
        windows: dict[int, tuple[int, int]] = {}
        members = self.tables.joined.members
        wanted = [(row, number) for row in rows for number in members(row["connection"])]
        wanted += [(row, row["connection"]) for row in beside]
        for row, number in wanted:
            if number not in windows and len(windows) >= MOST_CONNECTIONS:
                continue
            begin, end = self._window(row)
            known = windows.get(number, (begin, end))
            windows[number] = min(known[0], begin), max(known[1], end)
        if windows:
            self.rereads |= self.look(windows)
        self._messages = {}
        for number, reread in self.rereads.items():
            for m in reread.messages:
                if _final(m):
                    self._messages.setdefault((number, m.side, m.capture, m.frame), []).append(m)

    def _window(self, row: Row) -> tuple[int, int]:
        times = [t for t in (row["request_time"], row["response_end_time"]) if t]
        connection = self.tables.connection(row)
        ends = [
            int(connection[name])
            for name in ("client_fin_time", "server_fin_time", "reset_time")
            if int(connection[name]) > times[0]
        ]
        first_end = [min(ends)] if ends else []
        return min(times) - MARGIN, max(times + first_end) + MARGIN

    def asked(self, row: Row) -> Asked | None:
        """What the request of `row` says."""
        if self.message(row, CLIENT) is None:
            return None
        return Asked(self.tokens(row))

    def tokens(self, row: Row) -> dict[str, bytes]:
        """The tokens of the request of `row` by place; none if it was not seen."""
        message = self.message(row, CLIENT)
        if message is None:
            return {}
        return {
            place: value
            for place, value in echoes.tokens(
                message.target, _field_lines(message), message.body or b""
            )
            if echoes.SHORTEST_TOKEN <= len(value) <= echoes.LONGEST_TOKEN
        }

    def said(self, row: Row) -> Said | None:
        """What the response of `row` says; None where its body is not all there."""
        message = self.message(row, SERVER)
        if message is None or message.body is None or not message.complete:
            return None
        return Said(_field_lines(message), message.body, message.media_type)

    def message(self, row: Row, side: int) -> Message | None:
        """The request (CLIENT) or the response (SERVER) of `row`."""
        reread = self.rereads.get(row["connection"])
        if reread is None:
            return None
        which = "response" if side else "request"
        place = row["connection"], side, row[f"{which}_capture"], row[f"{which}_frame"]
        at = self._messages.get(place, [])
        if len(at) > 1:
            seq = row[f"{which}_seq"]
            at = [m for m in at if (reread.bases[side] + m.seq - seq) & 0xFFFFFFFF == 0] or at
        return at[0] if at else None

    def packets(self, connection: int) -> tuple[Packet, ...]:
        """The packets of a connection."""
        reread = self.rereads.get(connection)
        return reread.packets if reread else ()


def _final(message: Message) -> bool:
    return message.side == CLIENT or message.status >= 200 or message.status in (0, 101)


def _field_lines(message: Message) -> bytes:
    return b"".join(
        name.encode("latin-1", "replace") + b": " + value.encode("latin-1", "replace") + b"\r\n"
        for name, value in message.headers
    )
