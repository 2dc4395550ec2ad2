"""The messages and packets of the few exchanges that matter, as the second look saw them.

Law: judging asks once for all that it may need, and where that is much, first for the messages that
decide, and for whole connections of what is found. What the second look could not give (standard
input that was not kept, a limit) is missing here, and whoever asks must do without.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from analyzer.correlate.view import Id, Row, Tables
from analyzer.features import echoes, forms
from analyzer.features.echoes import Leaves
from analyzer.second_pass.model import CLIENT, SERVER, Message, Packet, Place, Reread

# Connections by their numbers, each with the time in ns since 1970 from which and until which it
# matters, to what was seen of them.
Windows = dict[int, tuple[int, int]]
Look = Callable[[Windows], dict[int, Reread]]
# Places of messages, with the interfaces of their connections, to what could be read there alone.
Read = Callable[[dict[Place, int]], dict[Place, Message]]

MARGIN = 60_000_000_000  # ns before and after an exchange that are looked at too
MOST_CONNECTIONS = 400  # looked at in one scan, beyond which findings have fewer facts
MOST_WHOLE = 5_000  # requests of connections that are looked at before anything is found


@dataclass(frozen=True)
class Said:
    """What a response says: its field lines and its body, without any coding."""

    head: bytes
    body: bytes
    media_type: str = ""

    @cached_property
    def leaves(self) -> Leaves | None:
        """What stands in the body, if that has a JSON value."""
        value = forms.value(self.media_type, self.body)
        return None if value is None else Leaves.of(value)


@dataclass(slots=True)
class Messages:
    """Rereads of connections, asked for by rows."""

    tables: Tables
    look: Look | None = None
    read: Read | None = None
    rereads: dict[int, Reread] = field(default_factory=dict)
    # By connection, side, and capture and frame of the first byte.
    _messages: dict[tuple[int, int, int, int], list[Message]] = field(default_factory=dict)
    _alone: dict[Place, Message] = field(default_factory=dict)
    _tokens: dict[Id, dict[str, bytes]] = field(default_factory=dict)
    _said: dict[Id, Said | None] = field(default_factory=dict)
    _later: Windows = field(default_factory=dict)  # not looked at as a whole so far

    def take(self, rows: list[Row], silent: list[Row], beside: list[Row]) -> None:
        """Look at the connections of `rows` and of the `silent`, at every place that saw them.

        Those of `beside` are looked at too, where they are judged. Where there are many, of all but
        the silent the messages are read alone.
        """
        if self.look is None:
            return
        windows: Windows = {}
        members = self.tables.joined.members
        whole = {number for row in silent for number in members(row["connection"])}
        wanted = [(row, n) for row in (*rows, *silent) for n in members(row["connection"])]
        wanted += [(row, row["connection"]) for row in beside]
        for row, number in wanted:
            if number not in windows and len(windows) >= MOST_CONNECTIONS:
                continue
            begin, end = self._window(row)
            known = windows.get(number, (begin, end))
            windows[number] = min(known[0], begin), max(known[1], end)
        asked = self.tables.connections["requests"][[*windows]].sum() if windows else 0
        if self.read is not None and asked > MOST_WHOLE:
            chosen = [
                row for row in (*rows, *beside) if row["connection"] in windows.keys() - whole
            ]
            whole |= self._read_alone(self.read, chosen)
            self._later = {number: windows.pop(number) for number in windows.keys() - whole}
        self._look(windows)

    def settle(self, rows: Iterable[Row]) -> None:
        """Look at those connections of `rows` that were left for later."""
        members = self.tables.joined.members
        numbers = {number for row in rows for number in members(row["connection"])}
        self._look({number: self._later.pop(number) for number in numbers & self._later.keys()})

    def _look(self, windows: Windows) -> None:
        if self.look is None or not windows:
            return
        self.rereads |= self.look(windows)
        self._messages = {}
        self._forget()
        for number, reread in self.rereads.items():
            for m in reread.messages:
                if _final(m):
                    self._messages.setdefault((number, m.side, m.capture, m.frame), []).append(m)

    def _read_alone(self, read: Read, rows: list[Row]) -> set[int]:
        """Read the messages of `rows`; the connections of those that have to be seen as a whole."""
        where: dict[Place, int] = {}
        places: dict[Place, int] = {}
        for row in rows:
            connection = self.tables.connection(row)
            for side in (CLIENT, SERVER):
                place = self._place(row, side)
                if place is not None:
                    places[place] = int(connection["interface"])
                    where[place] = row["connection"]
        self._alone = read(places)
        self._forget()
        return {number for place, number in where.items() if place not in self._alone}

    def _forget(self) -> None:
        self._tokens, self._said = {}, {}

    def _place(self, row: Row, side: int) -> Place | None:
        which = "response" if side else "request"
        if not row[f"{which}_frame"]:
            return None
        frame = row[f"{which}_capture"] << 32 | row[f"{which}_frame"]
        method = self.tables.names[self.tables.endpoint(row)].method if side else ""
        return Place(frame, row[f"{which}_seq"], side, method.encode("latin-1", "replace"))

    def _window(self, row: Row) -> tuple[int, int]:
        times = [t for t in (row["request_time"], row["response_end_time"]) if t]
        return min(times) - MARGIN, max(*times, self.tables.ended(row, times[0])) + MARGIN

    def tokens(self, row: Row) -> dict[str, bytes]:
        """The tokens of the request of `row` by place; none if it was not seen."""
        found = self._tokens.get(row.id)
        if found is None:
            message = self.message(row, CLIENT)
            every = (
                echoes.tokens(message.target, field_lines(message), message.body or b"")
                if message is not None
                else ()
            )
            found = self._tokens[row.id] = {
                place: value
                for place, value in every
                if echoes.SHORTEST_TOKEN <= len(value) <= echoes.LONGEST_TOKEN
            }
        return found

    def said(self, row: Row) -> Said | None:
        """What the response of `row` says; None where its body is not all there."""
        if row.id not in self._said:
            message, said = self.message(row, SERVER), None
            if message is not None and message.body is not None and message.complete:
                said = Said(field_lines(message), message.body, message.media_type)
            self._said[row.id] = said
        return self._said[row.id]

    def message(self, row: Row, side: int) -> Message | None:
        """The request (CLIENT) or the response (SERVER) of `row`."""
        reread = self.rereads.get(row["connection"])
        if reread is None:
            return self._alone.get(self._place(row, side)) if self._alone else None  # type: ignore[arg-type]
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


def field_lines(message: Message) -> bytes:
    return b"".join(
        name.encode("latin-1", "replace") + b": " + value.encode("latin-1", "replace") + b"\r\n"
        for name, value in message.headers
    )
