"""What is kept of one connection while the captures pass by again: packets, messages, numbers.

Law: numbers become relative as they come, and bounded means bounded: of more than there is room
for, the first half and the last half stay.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Generic, TypeVar

from analyzer.http import content
from analyzer.http.messages import Message as HttpMessage
from analyzer.intervals import advance, distance
from analyzer.packets.segments import ACK, FIN, RST, SYN
from analyzer.second_pass.headers import Headers
from analyzer.second_pass.model import CLIENT, SERVER, Extra, Message, Packet, Reread, Wanted

_MOST_RANGES = 256  # separate ranges of bytes seen, of one direction
_MOST_ENDS = 16_384  # segments of one direction whose end is remembered
_MOST_EXTRAS = 1_024  # responses of one connection whose extra bytes are kept
_OVERHEAD = 512  # bytes that a message takes beside its head and body
_FRAME = 0xFFFFFFFF


T = TypeVar("T")


class Bounded(Generic[T]):
    """A list that holds what weighs `most` in all: the first half, and the last."""

    def __init__(self, most: int, weight: Callable[[T], int]) -> None:
        self._half = most // 2
        self._weight = weight
        self._first: list[T] = []
        self._last: deque[T] = deque()
        self._weights = [0, 0]
        self.left_out = 0

    def add(self, item: T) -> None:
        """Append, and let go of what is too much."""
        weight = self._weight(item)
        if not self._last and self._weights[0] + weight <= self._half:
            self._first.append(item)
            self._weights[0] += weight
            return
        self._last.append(item)
        self._weights[1] += weight
        while self._weights[1] > self._half and self._last:
            self._weights[1] -= self._weight(self._last.popleft())
            self.left_out += 1

    def items(self) -> list[T]:
        """What is left."""
        return [*self._first, *self._last]


class _Numbers:
    """The sequence numbers of one direction, made relative; and which of its bytes were seen."""

    def __init__(self) -> None:
        self.base: int | None = None
        self._latest = (0, 0)  # a number and what it is relative
        self._ranges: list[tuple[int, int]] = []  # half open, in order, apart from each other
        self.highest = 0

    def begin(self, base: int) -> None:
        """The number that counts as 0, unless it is known already."""
        if self.base is None:
            self.base = base
            self._latest = base, 0

    def relative(self, number: int) -> int:
        """A sequence or acknowledgement number, relative; it may have wrapped meanwhile."""
        known, at = self._latest
        found = at + distance(known, number)
        if found > at:
            self._latest = number, found
        return found

    def saw(self, start: int, end: int) -> bool:
        """Note bytes as seen; whether all of them had been before."""
        self.highest = max(self.highest, end)
        ranges = self._ranges
        if ranges and ranges[-1][1] == start:
            ranges[-1] = ranges[-1][0], end
            return False
        place = bisect_right(ranges, (start, float("inf")))
        if place and ranges[place - 1][1] >= end:
            return True
        first = place - 1 if place and ranges[place - 1][1] >= start else place
        last = place
        while last < len(ranges) and ranges[last][0] <= end:
            last += 1
        joined = [*ranges[first:last], (start, end)]
        ranges[first:last] = [(min(a for a, _ in joined), max(b for _, b in joined))]
        if len(ranges) > _MOST_RANGES:
            del ranges[0]
        return False


_Exchange = tuple[HttpMessage | None, HttpMessage | None, int, int]


class Watched:
    """One wanted connection and what has been seen of it so far."""

    def __init__(self, wanted: Wanted, most_packets: int, most_bytes: int) -> None:
        self.wanted = wanted
        self.ends_before: int | None = None  # id of a frame that begins another connection
        self._most_bytes = most_bytes // 4
        self._packets: Bounded[Packet] = Bounded(most_packets, lambda _: 1)
        self._messages: Bounded[Message] = Bounded(most_bytes, _weight)
        self._numbers = _Numbers(), _Numbers()
        self._ends: tuple[dict[int, int], dict[int, int]] = {}, {}
        self._bodies_left_out = 0
        self._exchanges = 0
        self._extras: dict[int, HttpMessage] = {}  # by exchange
        self._pending: list[_Exchange] = []
        self._seen = False

    def _keeps(self, time: int) -> bool:
        since, until = self.wanted.since, self.wanted.until
        return (since is None or time >= since) and (until is None or time <= until)

    def packet(
        self,
        frame: int,
        time: int,
        side: int,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        captured: int,
        wire: int,
        more: Headers,
    ) -> None:
        """The next segment, in the order of the capture; `seq` and `ack` as in its header."""
        if self.ends_before is not None and frame >= self.ends_before:
            return
        self._seen = True
        ours, theirs = self._numbers[side], self._numbers[1 - side]
        ours.begin(seq if flags & SYN else advance(seq, -1))
        start = ours.relative(seq)
        answered = 0
        if flags & ACK:
            theirs.begin(advance(ack, -1))
            answered = theirs.relative(ack)
        end = start + wire + (flags & SYN > 0) + (flags & FIN > 0)
        probe = wire <= 1 and not flags & (SYN | FIN | RST) and start == ours.highest - 1
        again = end > start and ours.saw(start, end) and not probe
        if not self._keeps(time):
            return
        self._packets.add(
            Packet(
                capture=frame >> 32,
                frame=frame & _FRAME,
                interface=self.wanted.interface,
                time=time,
                side=side,
                seq=start,
                ack=answered,
                flags=flags,
                window=window,
                length=wire,
                captured=captured,
                again=again,
                probe=probe,
                source_mac=more.source_mac,
                target_mac=more.target_mac,
                ttl=more.ttl,
                ip_id=more.ip_id,
                stamp=more.stamp,
                echo=more.echo,
            )
        )

    def delivered(self, side: int, frame: int, seq: int, size: int) -> None:
        """`size` bytes in order, from a frame (its id) whose number is `seq`."""
        ends = self._ends[side]
        ends[frame] = advance(seq, size)
        if len(ends) > _MOST_ENDS:
            for old in list(ends)[: _MOST_ENDS // 2]:
                del ends[old]

    def exchange(
        self, request: HttpMessage | None, response: HttpMessage | None, outcome: int, flags: int
    ) -> int:
        """A request and the response that was paired with it, or one alone; returns its number."""
        self._pending.append((request, response, outcome, flags))
        return self._exchanges + len(self._pending) - 1

    def extra(self, exchange: int, stray: HttpMessage) -> None:
        """Behind the response of an exchange came bytes that begin no message."""
        if len(self._extras) < _MOST_EXTRAS:
            self._extras.setdefault(exchange, stray)

    def settle(self) -> None:
        """The packets of all exchanges so far have been seen: their numbers are known."""
        for request, response, outcome, flags in self._pending:
            number = self._exchanges
            self._exchanges += 1
            for side, message in ((CLIENT, request), (SERVER, response)):
                if message is not None and self._keeps(message.end_time or message.time):
                    self._messages.add(self._message(side, message, number, outcome, flags))
        self._pending.clear()

    def _message(
        self, side: int, message: HttpMessage, number: int, outcome: int, flags: int
    ) -> Message:
        ours, theirs = self._numbers[side], self._numbers[1 - side]
        ours.begin(advance(message.seq, -1))
        theirs.begin(advance(message.ack, -1))
        begins = ours.relative(message.seq)
        end = self._ends[side].get(message.end_frame) if message.complete else None
        found = plain(side, message)
        body = self._bounded(message, found.body)
        return replace(
            found,
            exchange=number,
            outcome=outcome,
            flags=flags,
            seq=begins,
            end=0 if end is None else ours.relative(end),
            ack=theirs.relative(message.ack),
            body=body,
        )

    def _with_extra(self, message: Message) -> Message:
        stray = self._extras.get(message.exchange) if message.side == SERVER else None
        if stray is None:
            return message
        ack = self._numbers[CLIENT].relative(stray.ack)
        where = stray.frame >> 32, stray.frame & _FRAME, stray.time, ack
        return replace(message, extra=Extra(*where, stray.begins))

    def _bounded(self, message: HttpMessage, body: bytes | None) -> bytes | None:
        """A body, unless it was not kept or there is no room for it."""
        if message.body is None:
            self._bodies_left_out += message.length > 0
        elif body is not None and len(body) > self._most_bytes:
            self._bodies_left_out += 1
            return None
        return body

    def reread(self) -> Reread | None:
        """All that was kept; None when no packet of the connection came by."""
        self.settle()
        if not self._seen:
            return None
        kept = map(self._with_extra, self._messages.items()) if self._extras else None
        messages = sorted(kept or self._messages.items(), key=lambda m: (m.capture, m.frame, m.seq))
        return Reread(
            number=self.wanted.number,
            interface=self.wanted.interface,
            packets=tuple(self._packets.items()),
            messages=tuple(_apart(messages)),
            bases=(self._numbers[CLIENT].base or 0, self._numbers[SERVER].base or 0),
            packets_left_out=self._packets.left_out,
            messages_left_out=self._messages.left_out,
            bodies_left_out=self._bodies_left_out,
        )


def plain(side: int, message: HttpMessage) -> Message:
    """A message by itself: its numbers are not known, nor what became of its exchange."""
    body = b"" if not message.length else None
    if message.body is not None:
        body = b"".join(message.body)
        if message.fields.content_coding and body:
            body = content.decoded(body, message.fields.content_coding)
    return Message(
        side=side,
        exchange=-1,
        outcome=0,
        flags=0,
        method=message.method.decode("latin-1"),
        target=message.target,
        status=message.status,
        capture=message.frame >> 32,
        frame=message.frame & _FRAME,
        time=message.time,
        end_frame=message.end_frame & _FRAME,
        end_time=message.end_time,
        seq=0,
        end=0,
        ack=0,
        headers=_headers(message.head),
        media_type=message.fields.media_type,
        body=body,
        length=message.length,
        complete=message.complete,
        begins=message.begins,
    )


def _apart(messages: list[Message]) -> list[Message]:
    """The messages, none of which ends behind the beginning of the next of its direction.

    Where several lie in one segment, it is the next one's beginning that tells the end.
    """
    found = list(messages)
    for side in (CLIENT, SERVER):
        places = [n for n, message in enumerate(found) if message.side == side]
        for place, following in pairwise(places):
            if found[place].end > found[following].seq:
                found[place] = replace(found[place], end=found[following].seq)
    return found


def _weight(message: Message) -> int:
    body = 0 if message.body is None else len(message.body)
    head = sum(len(name) + len(value) for name, value in message.headers)
    return _OVERHEAD + len(message.target) + head + body


def _headers(head: bytes) -> tuple[tuple[str, str], ...]:
    """Names and values of the field lines of a head (RFC 9112 §5), folded lines joined."""
    found: list[tuple[str, str]] = []
    for line in head.decode("latin-1").split("\n"):
        line = line.rstrip("\r")
        if line[:1] in (" ", "\t") and found:
            found[-1] = found[-1][0], f"{found[-1][1]} {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        if colon:
            found.append((name.strip(), value.strip()))
    return tuple(found)
