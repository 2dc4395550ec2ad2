"""All messages of the connections that count, once more: every exchange, as it ends.

Law: nothing is kept. Who takes the exchanges has one at a time, with all that was sent, in the
order in which they end.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from analyzer.extraction import Extraction, HttpSink, Recorder
from analyzer.http.messages import Message as HttpMessage
from analyzer.second_pass.kept import plain
from analyzer.second_pass.model import CLIENT, SERVER, Message
from analyzer.tcp.blocks import Rows, arrange
from analyzer.tcp.streams import Connection, Tracker


class Exchanged(NamedTuple):
    """A request and its response, or one of them alone.

    `connection` is the number in CONNECTIONS, `seq` the TCP sequence number of the first byte.
    """

    connection: int
    seq: int
    request: Message | None
    response: Message | None


Take = Callable[[Exchanged], None]


class Every:
    """Takes blocks of segments, and hands on the exchanges of the wanted connections.

    Those are named by the ids of their first frames, each with its number in CONNECTIONS.
    """

    def __init__(self, wanted: Mapping[int, int], take: Take) -> None:
        self._wanted = wanted
        self._take = take
        self._tracker = Tracker(self._open, Extraction().anomalies)

    def block(self, rows: Rows) -> None:
        """Take a block."""
        self._tracker.feed(arrange(rows))

    def finish(self) -> None:
        """All captures have been read: what is open ends here."""
        self._tracker.finish()

    def _open(self, connection: Connection) -> HttpSink:
        number = self._wanted.get(connection.first_frame)
        return HttpSink(_Hand(number, self._take), connection)


class _Hand(Recorder):
    """Hands on what the http stage puts out; of a connection without a number nothing."""

    whole = True

    def __init__(self, wanted: int | None, take: Take) -> None:
        super().__init__(Extraction())
        self._wanted = wanted
        self._take = take

    def exchange(
        self,
        connection: int,
        request: HttpMessage | None,
        response: HttpMessage | None,
        outcome: int,
        flags: int,
    ) -> int:
        """One finished exchange."""
        first = request or response
        if self._wanted is None or first is None:
            return 0
        asked, came = (
            None if m is None else replace(plain(side, m), outcome=outcome, flags=flags)
            for side, m in ((CLIENT, request), (SERVER, response))
        )
        self._take(Exchanged(self._wanted, first.seq, asked, came))
        return 0

    def extra(self, exchange: int, stray: HttpMessage) -> None:
        """Bytes that begin no message are none."""

    def finished(self, sink: HttpSink) -> None:
        """Connections have their row already."""
