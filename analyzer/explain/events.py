"""One connection's packets and messages as events: who did what to whom, when.

Law: an event is told by what it means for somebody who waits for an answer, not by its flags; every
one that a packet shows carries its frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from analyzer import secrets
from analyzer.correlate.frames import NO_FRAME, Frame
from analyzer.explain.model import Event, Manner
from analyzer.explain.words import counted, duration, size
from analyzer.findings.octets import named
from analyzer.second_pass.model import CLIENT, SERVER, Message, Packet, Reread
from analyzer.tables import Flag, Outcome

# TCP control bits (RFC 9293 §3.1)
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
MOST_OTHERS = 2  # ordinary exchanges of a connection that are told singly, around the odd ones
_SILENT = 1_000_000_000  # ns of the capture after a last packet that are worth a word
_LONGEST_TARGET = 160


class Astray(NamedTuple):
    """A suspect response: the frame of the request that it came to (0: none), what it is, whose."""

    asked: int
    what: str
    owner: Frame


@dataclass(slots=True)
class Part:
    """A connection's part in the incident.

    `lanes` are those of its client and server. `astray` has suspect responses by capture and frame,
    of which one may have several. `watched_until` (ns since 1970) is when the
    capture ended, `swapped` whether its suspect responses belong to another connection, `opened`
    when it was first seen, and `requests_in_all` how many requests it carried.
    """

    look: Reread
    lanes: tuple[int, int]
    watched_until: int
    swapped: bool
    opened: int
    requests_in_all: int
    passes_on: bool = False  # a proxy's own connection, on which it asks for its clients
    requests: set[tuple[int, int]] = field(default_factory=set)  # capture, frame: involved
    astray: dict[tuple[int, int], list[Astray]] = field(default_factory=dict)

    def suspect(self, message: Message) -> Astray | None:
        """What is said of a response of the connection; None: nothing."""
        found = self.astray.get((message.capture, message.frame), [])
        if not found or message.side == CLIENT:
            return None
        every = self.look.messages
        beside = [m for m in every if m.side != CLIENT and m.frame == message.frame]
        if len(beside) == 1:
            return found[0]
        asked = (m.frame for m in every if m.side == CLIENT and m.exchange == message.exchange)
        frame = next(asked, 0)
        return next((one for one in found if one.asked == frame), None)


@dataclass(frozen=True, slots=True)
class Moment:
    """An event at a time; its place in the story comes later."""

    time: int
    side: int  # who does it
    manner: Manner
    text: str
    capture: int = 0
    frame: int = 0
    matters: bool = True
    belongs_to: Frame = NO_FRAME


def moments(part: Part) -> list[Moment]:
    """All moments of a connection, in order."""
    found = [
        *_opening(part),
        *_messages(part),
        *_repeats(part),
        *_confirmations(part),
        *_closing(part),
        *_windows(part),
        *_end(part),
    ]
    return sorted(found, key=lambda m: (m.time, m.capture, m.frame))


def _at(packet: Packet, manner: Manner, text: str, *, matters: bool = True) -> Moment:
    return Moment(
        packet.time, packet.side, manner, text, packet.capture, packet.frame, matters=matters
    )


def _opening(part: Part) -> Iterator[Moment]:
    syns = [p for p in part.look.packets if p.flags & _SYN and p.side == CLIENT]
    if not syns:
        return
    first = syns[0]
    again = f", {counted(len(syns) - 1, 'more time', 'more times')} until it is heard" * (
        len(syns) > 1
    )
    yield _at(first, Manner.OPEN, f"opens a connection{again}")
    accepted = next((p for p in part.look.packets if p.flags & _SYN and p.side == SERVER), None)
    if accepted is not None and accepted.time - first.time > _SILENT:
        yield _at(accepted, Manner.OPEN, "takes the connection")


# --- messages ------------------------------------------------------------------------------


def _involved(part: Part) -> set[int]:
    """The exchanges that the incident is about."""
    found = set()
    for message in part.look.messages:
        place = message.capture, message.frame
        if place in part.requests if message.side == CLIENT else part.suspect(message):
            found.add(message.exchange)
    return found


def _messages(part: Part) -> Iterator[Moment]:
    involved = _involved(part)
    messages = part.look.messages
    if not involved or not messages:
        involved = {m.exchange for m in messages[-2:]}
    odd = [m for m in messages if m.exchange in involved]
    begins = min((m.time for m in odd), default=0)
    ends = max((m.end_time or m.time for m in odd), default=0)
    before = _exchanges(m for m in messages if m.exchange not in involved and m.time < begins)
    after = _exchanges(m for m in messages if m.exchange not in involved and m.time > ends)
    between = _exchanges(
        m for m in messages if m.exchange not in involved and begins <= m.time <= ends
    )
    if odd:
        yield from _earlier(part, before, odd[0])
    if part.passes_on:
        between, after = [], []  # other clients' requests, most likely
    for exchange in [*between[:MOST_OTHERS], *after[:MOST_OTHERS]]:
        for message in exchange:
            yield _message(part, message, matters=False)
    for which in (between, after):
        if len(which) > MOST_OTHERS:
            left = counted(len(which) - MOST_OTHERS, "more exchange", "more exchanges")
            text = f"{left} on this connection"
            yield Moment(which[MOST_OTHERS][0].time, CLIENT, Manner.NOTE, text, matters=False)
    for message in odd:
        yield _message(part, message, matters=True)
        if message.extra is not None:
            extra = message.extra
            text = f"bytes that are no part of it: {named(extra.begins)}"
            yield Moment(extra.time, SERVER, Manner.RESPONSE, text, extra.capture, extra.frame)


def _earlier(part: Part, seen: list[list[Message]], first: Message) -> Iterator[Moment]:
    """What was before the first odd message on its connection."""
    later = {m.exchange for m in part.look.messages if m.side == CLIENT and m.time >= first.time}
    number = part.requests_in_all - len(later)
    if number <= 0:
        return
    fared = f", {_fared(seen)}" if len(seen) == number else ""
    since = ""
    if first.time - part.opened > _SILENT:
        since = f", which is {duration(first.time - part.opened)} old"
    exchanges = counted(number, "exchange", "exchanges")
    time = max((m.end_time or m.time for exchange in seen for m in exchange), default=first.time)
    text = f"{exchanges} before on this connection{since}{fared}"
    yield Moment(min(time, first.time) - 1, CLIENT, Manner.NOTE, text, matters=False)


def _exchanges(messages: Iterator[Message]) -> list[list[Message]]:
    found: dict[int, list[Message]] = {}
    for message in messages:
        found.setdefault(message.exchange, []).append(message)
    return list(found.values())


def _fared(exchanges: list[list[Message]]) -> str:
    bad = sum(exchange[0].outcome != Outcome.ANSWERED for exchange in exchanges)
    if bad:
        return f"{bad} of them not answered"
    return "answered" if len(exchanges) == 1 else "all of them answered"


def _message(part: Part, message: Message, *, matters: bool) -> Moment:
    place, stray = (message.capture, message.frame), part.suspect(message)
    if message.side == CLIENT:
        target = secrets.target(message.target.decode("latin-1"))
        if len(target) > _LONGEST_TARGET:
            target = target[: _LONGEST_TARGET - 1] + "…"
        text = f"{message.method} {target}"
        if part.passes_on and place in part.requests:
            text = "passes it on"
        if not message.complete:
            text += " (it never ends)"
        manner = Manner.REQUEST
    else:
        text = f"{message.status}, {size(message.length)}"
        if message.flags & Flag.NOT_HTTP:
            text = f"{size(message.length)} that are no HTTP: {named(message.begins)}"
        elif message.flags & Flag.HEAD_CUT:
            text = f"{size(message.length)} of a head that never ends"
        elif message.flags & Flag.BODY_WHOLE:
            text += ", whole, and the end of the message never comes"
        elif not message.complete:
            text = f"{message.status}, and {size(message.length)} of a body that never ends"
        elif message.end_time - message.time > _SILENT:
            text += f", whole after {duration(message.end_time - message.time)}"
        manner = Manner.RESPONSE
        if stray is not None:
            text += f": {stray.what}"
            manner = Manner.ASTRAY
    return Moment(
        message.time,
        message.side,
        manner,
        text,
        message.capture,
        message.frame,
        matters=matters,
        belongs_to=NO_FRAME if stray is None else stray.owner,
    )


# --- what TCP says -------------------------------------------------------------------------


def _repeats(part: Part) -> Iterator[Moment]:
    """Bytes that were sent again: told once for all repetitions of the same.

    Of those that were received after all, only what the incident is about.
    """
    involved = _involved(part)
    odd = [m for m in part.look.messages if m.exchange in involved]
    seen: dict[tuple[int, int], list[Packet]] = {}
    for packet in part.look.packets:
        if packet.again and not packet.flags & _SYN:
            seen.setdefault((packet.side, packet.seq), []).append(packet)
    for again in seen.values():
        first, last = again[0], again[-1]
        times = (
            "once"
            if len(again) == 1
            else f"{len(again)} times in {duration(last.time - first.time)}"
        )
        what = "its goodbye (FIN)" if not first.length else size(first.length)
        heard = any(
            p.side != first.side and p.flags & _ACK and p.ack >= first.end and p.time >= first.time
            for p in part.look.packets
        )
        if heard and not any(
            m.side == first.side and m.seq < first.end and (not m.end or first.seq < m.end)
            for m in odd
        ):
            continue
        text = f"sends {what} again, {times}: " + (
            "no confirmation had come" if heard else "no confirmation ever comes"
        )
        yield _at(first, Manner.REPEAT, text, matters=not heard)


def _confirmations(part: Part) -> Iterator[Moment]:
    """The first ack of every odd request without an answer of its own, and of suspect responses."""
    for message in part.look.messages:
        place = message.capture, message.frame
        hung = (
            message.side == CLIENT
            and place in part.requests
            and message.outcome != Outcome.ANSWERED
            and message.end
        )
        suspect = part.swapped and part.suspect(message) and message.end
        if not hung and not suspect:
            continue
        packet = next(
            (
                p
                for p in part.look.packets
                if p.side != message.side
                and p.flags & _ACK
                and not p.flags & _RST
                and p.ack >= message.end
            ),
            None,
        )
        if packet is None or packet.length or packet.flags & _FIN:
            continue
        if hung:
            yield _at(packet, Manner.ACK, "its host has received all of it (ACK)")
        else:
            yield _at(packet, Manner.ACK, "takes it as its own (ACK)")


def _owes(part: Part, time: int) -> bool:
    """Whether an odd request was without an answer at `time`."""
    answered = {m.exchange: m.time for m in part.look.messages if m.side == SERVER}
    return any(
        m.side == CLIENT
        and (m.capture, m.frame) in part.requests
        and m.time < time
        and answered.get(m.exchange, time) >= time
        for m in part.look.messages
    )


def _closing(part: Part) -> Iterator[Moment]:
    packets = part.look.packets
    fins: list[Packet | None] = [None, None]
    reset = next((p for p in packets if p.flags & _RST), None)
    for packet in packets:
        if packet.flags & _FIN and fins[packet.side] is None:
            fins[packet.side] = packet
    first = min((p for p in fins if p is not None), key=lambda p: p.time, default=None)
    for fin in fins:
        if fin is None:
            continue
        owes = _owes(part, fin.time)
        if fin.side == CLIENT:
            text = "gives up and closes (FIN)" if owes and fin is first else "closes (FIN)"
        elif owes:
            text = "closes (FIN) without an answer"
        else:
            text = "closes (FIN)"
        yield _at(fin, Manner.CLOSE, text)
    ours, theirs = fins
    if ours is not None and theirs is None and reset is None:
        yield from _orphaned(part, ours)
    if reset is not None:
        owes = _owes(part, reset.time)
        if reset.side == SERVER:
            text = "breaks the connection off (RST)" + (" instead of an answer" if owes else "")
        elif owes and first is None:
            text = "gives up and breaks the connection off (RST)"
        else:
            text = "refuses what comes now (RST)" if ours else "breaks the connection off (RST)"
        yield _at(reset, Manner.RESET, text)


def _orphaned(part: Part, fin: Packet) -> Iterator[Moment]:
    """The client has closed, and its server's host alone says something to that."""
    noted = next(
        (
            p
            for p in part.look.packets
            if p.side == SERVER and p.time >= fin.time and p.flags & _ACK and p.ack >= fin.end
        ),
        None,
    )
    if noted is not None and not noted.length:
        text = "its kernel takes note (ACK); the process does not close its side"
        yield _at(noted, Manner.ACK, text)


def _windows(part: Part) -> Iterator[Moment]:
    for side in (CLIENT, SERVER):
        full = next(
            (
                p
                for p in part.look.packets
                if p.side == side and not p.window and not p.flags & (_SYN | _FIN | _RST)
            ),
            None,
        )
        if full is not None:
            yield _at(full, Manner.WINDOW, "has no room for more: nobody reads (window 0)")


def _end(part: Part) -> Iterator[Moment]:
    packets = part.look.packets
    last = max(packets, key=lambda p: p.time)
    closed = {p.side for p in packets if p.flags & _FIN} == {CLIENT, SERVER}
    left = part.watched_until - last.time
    if closed or any(p.flags & _RST for p in packets) or left < _SILENT:
        return
    text = f"no further packet in the {duration(left)} until the capture ends"
    yield Moment(last.time + 1, SERVER, Manner.NOTE, text)


def placed(moment: Moment, part: Part, frame: Frame, begins: int, before: int) -> Event:
    """The moment as an event of the story, which begins at `begins`, behind one at `before`."""
    return Event(
        after=moment.time - begins,
        pause=moment.time - before,
        source=part.lanes[moment.side],
        target=part.lanes[1 - moment.side],
        manner=moment.manner,
        text=moment.text,
        frame=frame,
        connection=part.look.number,
        matters=moment.matters,
        belongs_to=moment.belongs_to,
    )
