"""Reads the two directions of a connection straight into the http stage."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from analyzer.anomalies import Anomalies
from analyzer.http.exchanges import HttpConnection
from analyzer.http.grammar import Fields
from analyzer.http.messages import Message, MessageReader
from analyzer.tables import Outcome


class Read(NamedTuple):
    """A message, without the positions that depend on how it was cut into pieces."""

    method: bytes
    target: bytes
    status: int
    length: int
    body: bytes | None
    complete: bool
    tunnel: bool
    seq: int
    fields: Fields


def _plain(message: Message) -> Read:
    body = None if message.body is None else b"".join(message.body)
    return Read(
        message.method,
        message.target,
        message.status,
        message.length,
        body,
        message.complete,
        message.tunnel,
        message.seq,
        message.fields,
    )


def messages(
    pieces: Iterable[bytes],
    *,
    answers: Iterable[bytes] | None = None,
    close: bool = False,
) -> tuple[list[Read], Anomalies]:
    """The messages in a direction; responses when `answers` gives the methods asked with.

    A message that has not ended comes where reading it stopped.
    """
    found: list[Read] = []
    anomalies = Anomalies()
    methods = iter(answers or ())

    def on_head(message: Message) -> bytes:
        return next(methods, b"GET") if message.status >= 200 else b""

    def on_lost(message: Message | None, by_gap: bool) -> None:
        assert not by_gap
        if message is not None:
            found.append(_plain(message))

    reader = MessageReader(
        is_request=answers is None,
        on_head=on_head,
        on_end=lambda message: found.append(_plain(message)),
        on_lost=on_lost,
        anomalies=anomalies,
    )
    seq = 0
    for piece in pieces:
        reader.feed(piece, 1, 1, seq, 0)
        seq += len(piece)
    if close:
        reader.close(2, 2)
    if reader.message is not None:
        found.append(_plain(reader.message))
    return found, anomalies


class Exchange(NamedTuple):
    """An exchange: target asked for, status answered, outcome, flags."""

    target: bytes
    status: int
    outcome: str
    flags: int


@dataclass
class Wire:
    """A connection told piece by piece, with the numbers that TCP would give."""

    midstream: bool = False
    gapped: bool = False
    exchanges: list[Exchange] = field(default_factory=list)
    extras: dict[int, int] = field(default_factory=dict)
    anomalies: Anomalies = field(default_factory=Anomalies)

    def __post_init__(self) -> None:
        self.http = HttpConnection(
            0, self, self.anomalies, midstream=self.midstream, gapped=self.gapped
        )
        self.next = [1_000, 5_000]
        self.frame = 0

    def exchange(
        self,
        connection: int,
        request: Message | None,
        response: Message | None,
        outcome: int,
        flags: int,
    ) -> int:
        """Write the exchange down."""
        self.exchanges.append(
            Exchange(
                request.target if request else b"",
                response.status if response else 0,
                Outcome(outcome).name.lower(),
                flags,
            )
        )
        return len(self.exchanges) - 1

    def extra(self, exchange: int, stray: Message) -> None:
        """Write down that bytes came behind an exchange."""
        self.extras[exchange] = stray.length

    def client(self, data: bytes, *, ack: int | None = None) -> "Wire":
        """The client sends."""
        return self._say(0, data, ack)

    def server(self, data: bytes, *, ack: int | None = None) -> "Wire":
        """The server sends; `ack` is what it has received by then, where not everything."""
        return self._say(1, data, ack)

    def _say(self, side: int, data: bytes, ack: int | None) -> "Wire":
        self.frame += 1
        acked = self.next[1 - side] if ack is None else ack
        self.http.data(side, data, self.frame, self.frame, self.next[side], acked)
        self.next[side] += len(data)
        return self

    def gap(self, side: int, size: int) -> "Wire":
        """Bytes of a side are missing here."""
        self.http.gap(side, size)
        self.next[side] += size
        return self

    def close(self, side: int) -> "Wire":
        """A side's FIN."""
        self.frame += 1
        self.http.close(side, self.frame, self.frame)
        return self

    def finish(self, *, open_at_end: bool = False) -> list[Exchange]:
        """The end of the connection, or of the capture."""
        self.http.finish(open_at_end=open_at_end, flags=0)
        return self.exchanges

    def outcomes(self, *, open_at_end: bool = False) -> list[tuple[bytes, int, str]]:
        """Target, status and outcome of every exchange."""
        return [one[:3] for one in self.finish(open_at_end=open_at_end)]
