"""The evidence of a finding: sentences, each with the frames that show it.

Law: a fact says what was seen, not what it means; what it means is the causes' business. What the
second look could not show is left out, never guessed.

The items are those that tell the causes apart: was the capture complete, did the request arrive,
how did its connection end and is that usual for its server, was the response really in sequence
where it went, in which order were the connections accepted, who else was waiting, what came after.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from analyzer.baselines.habits import Habit
from analyzer.baselines.pace import Pace
from analyzer.correlate.frames import Frame, listed
from analyzer.correlate.pool import Pool
from analyzer.correlate.sides import Side, missed_fin, side_of, strange_reset, ttl_of
from analyzer.correlate.view import Id, Row, Tables, given_up
from analyzer.diagnosis.idle import Race
from analyzer.findings.model import Fact
from analyzer.findings.words import counted, milliseconds, seconds
from analyzer.intervals import covers
from analyzer.matching.assignment import (
    CACHED,
    COPIED,
    CROSSED,
    GIVEN_UP,
    LATE,
    OUT_OF_STEP,
    SHARED,
    SLIPPED,
    STOLEN,
)
from analyzer.matching.chains import Chain
from analyzer.matching.messages import Messages
from analyzer.matching.swaps import LEAKED, Swap
from analyzer.matching.unread import Unread
from analyzer.second_pass.model import CLIENT, SERVER, Packet
from analyzer.tables import Close, ConnectionFlag, Flag, Outcome

TELLING = 1.0  # bits from which on a comparison is among the evidence
MOST_NAMED = 5  # frames of requests in flight that are named
LONGEST_FLIGHT = 600_000_000_000  # ns that a request counts as in flight, at most

_FIN, _RST = 0x01, 0x04
_WORD = 0xFFFFFFFF
AROUND = 60_000_000_000  # ns before and after an incident in which others tell of the server
_SYNS = ConnectionFlag.CLIENT_SYN | ConnectionFlag.SERVER_SYN
_GAPS = ConnectionFlag.CLIENT_GAP | ConnectionFlag.SERVER_GAP


@dataclass(slots=True)
class Case:
    """All that evidence is drawn from: the tables, what is usual, the second look."""

    tables: Tables
    messages: Messages
    habits: dict[int, Habit]  # by server
    pace: Pace
    # By the position of an exchange: frames of the requests outstanding when its response began.
    in_flight: dict[tuple[int, int, int], list[Frame]]
    races: dict[Id, Race]  # servers that closed idle connections
    starved: Pool  # requests that nobody was seen to answer, those in `races` left out
    torn: list[Row] = field(default_factory=list)  # responses that lack a known number of bytes
    chains: dict[Id, Chain] = field(default_factory=dict)  # by the recipients of their links
    unread: dict[Id, Unread] = field(default_factory=dict)  # by those who were answered instead

    def habit(self, row: Row) -> Habit:
        """How the row's server ordinarily ends its connections."""
        return self.habits.get(self.tables.server(row), Habit())

    def packets(self, row: Row) -> tuple[Packet, ...]:
        """The packets of the row's connection where it is judged."""
        return self.messages.packets(row["connection"])

    def side(self, row: Row) -> Side:
        """The place nearest the server from which the row's connection was seen."""
        found = {
            side_of(self.messages.packets(number))
            for number in self.tables.joined.members(row["connection"])
        }
        order = (Side.SERVER, Side.BETWEEN, Side.UNKNOWN, Side.CLIENT)
        return next((side for side in order if side in found), Side.UNKNOWN)


# --- completeness and delivery -------------------------------------------------------------


def completeness(case: Case, rows: list[Row]) -> Iterator[Fact]:
    """Whether the capture has the connections whole, and how long it watched."""
    connections = {row["connection"]: case.tables.connection(row) for row in rows}
    whole = [
        case.tables.frame_of(connection, "first")
        for connection in connections.values()
        if int(connection["flags"]) & (_SYNS | _GAPS) == _SYNS
    ]
    if len(whole) == len(connections):
        which = "the connection" if len(whole) == 1 else "both connections"
        begin = " and ".join(f"frame {frame}" for frame in whole)
        yield Fact(
            f"the capture has {which} from the first SYN on ({begin}), and no byte is missing",
            tuple(whole),
        )
    row = rows[0]
    watched = case.tables.watched_until(row) - row["request_time"]
    asked = case.tables.asked(row)
    if asked:
        yield Fact(
            f"the capture goes on for {seconds(watched)} s after the request in frame {asked}",
            (asked,),
        )


def delivery(case: Case, row: Row) -> Iterator[Fact]:
    """Whether the request arrived, and how often it was sent."""
    frame = case.tables.asked(row)
    packets, request = case.packets(row), case.messages.message(row, CLIENT)
    if request is None or not request.end:
        if covers(int(case.tables.connection(row)["client_acked"]), row["request_seq"]):
            yield Fact("the server's host acknowledged the request", (frame,))
        return
    sent = [p for p in packets if p.side == CLIENT and p.length and p.seq < request.end <= p.end]
    ack = _acknowledged(packets, SERVER, request.end, row["request_time"])
    if ack is not None:
        after = milliseconds(ack.time - row["request_time"])
        acked = case.tables.frame(ack)
        yield Fact(
            f"the server's host acknowledged the whole request in frame {acked}, {after} ms "
            f"after its first byte",
            (frame, acked),
        )
    again = [case.tables.frame(p) for p in sent if p.again]
    if again:
        times = "once more" if len(again) == 1 else f"{len(again)} times more"
        yield Fact(f"the request was sent {times}", tuple(again[:MOST_NAMED]))
    if ack is None:
        yield Fact("nothing that the server sent acknowledges the request", (frame,))


def accepted(case: Case, owner: Row, recipient: Row) -> Iterator[Fact]:
    """In which order the two connections were opened, and what was asked on the second before."""
    first, second = case.tables.connection(owner), case.tables.connection(recipient)
    if owner["connection"] == recipient["connection"]:
        return
    one, two = (case.tables.frame_of(connection, "first") for connection in (first, second))
    apart = int(second["first_time"]) - owner["request_time"]
    when = f"{seconds(abs(apart))} s {'after' if apart > 0 else 'before'}"
    asked = case.tables.asked(owner)
    yield Fact(
        f"the connection that got the response begins in frame {two}, {when} the request in frame "
        f"{asked}, which came on the connection that begins in frame {one}",
        (one, asked, two),
    )
    yield from history(case, recipient)


def history(case: Case, row: Row) -> Iterator[Fact]:
    """What the connection of a request had carried before it."""
    reread = case.messages.rereads.get(row["connection"])
    if reread is None or reread.messages_left_out:
        return
    requests = [m for m in reread.messages if m.side == CLIENT and m.time <= row["request_time"]]
    frame = case.tables.asked(row)
    if len(requests) == 1:
        yield Fact(f"the request in frame {frame} is the first of its connection", (frame,))
    elif requests:
        early = sum(bool(m.flags & Flag.PIPELINED) for m in requests)
        how = (
            "never with another one outstanding"
            if not early
            else f"{early} of them while another one was outstanding"
        )
        yield Fact(
            f"the request in frame {frame} is number {len(requests)} on its connection, "
            f"sent one after the other, {how}",
            (frame,),
        )


def flight(case: Case, recipient: Row) -> Iterator[Fact]:
    """Which requests were outstanding at the server when the response began."""
    frames = case.in_flight.get(recipient.position)
    if not frames:
        return
    count = "one request was" if len(frames) == 1 else f"{len(frames)} requests were"
    yield Fact(
        f"{count} outstanding at the server when the response in frame "
        f"{case.tables.came(recipient)} began: {listed(frames, MOST_NAMED)}",
        tuple(frames[:MOST_NAMED]),
    )


def outstanding(tables: Tables, rows: list[Row]) -> dict[tuple[int, int, int], list[Frame]]:
    """For each exchange the frames of the requests that its server owed an answer to.

    At the moment of its response's first byte, its own request left out.
    """
    found: dict[tuple[int, int, int], list[Frame]] = {row.position: [] for row in rows}
    if not rows:
        return found
    servers = {row.position: tables.server(row) for row in rows}
    for chunk, _ in tables.judged():
        server = tables.joined.service[chunk["connection"]]
        asked = (chunk["request_frame"] > 0) & (chunk["request_time"] > 0)
        for row in rows:
            at, own = row["response_time"], row.position
            chosen = asked & (chunk["request_time"] < at)
            chosen &= at - chunk["request_time"] < LONGEST_FLIGHT
            chosen &= (chunk["response_time"] == 0) | (chunk["response_time"] > at)
            chosen &= server == servers[own]
            frames = [tables.frame_of(chunk[i], "request") for i in np.flatnonzero(chosen)]
            found[own] += [frame for frame in frames if frame != tables.asked(row)]
    return {position: sorted(frames) for position, frames in found.items()}


# --- whose it is ---------------------------------------------------------------------------

_WHAT_THE_OWNER_GOT = {
    STOLEN: "got no response of its own",
    CROSSED: "got another request's response",
    SHARED: "got a response of its own",
    COPIED: "got the same response, byte for byte",
    LEAKED: "bears the credentials that this goes with",
    CACHED: "had been given the same response, byte for byte",
    SLIPPED: "had been given the response to an earlier request on this connection",
    LATE: "had been given another request's response before",
    GIVEN_UP: "was told that it was given up on",
    OUT_OF_STEP: "had been given another request's response before",
}


def whose(case: Case, swap: Swap) -> Iterator[Fact]:
    """What tells that a response is another's, whose it is, and who else could have asked."""
    owner, recipient = swap.owner, swap.recipient
    frame, at = case.tables.came(recipient), case.tables.asked(recipient)
    if at:
        yield Fact(
            f"the response in frame {frame} answers, by its place on the connection, "
            f"the request in frame {at}",
            (at, frame),
        )
    for one in sorted(swap.comparisons, key=lambda c: -c.bits):
        if one.bits >= TELLING:
            yield Fact(one.fact, one.frames)
    if owner is None:
        return
    asked, there = case.tables.asked(owner), case.tables.endpoint_name(owner)
    waited = seconds(recipient["response_time"] - owner["request_time"])
    came = (
        f"had come to the same server {waited} s before"
        if swap.how in (CACHED, LATE, GIVEN_UP, OUT_OF_STEP)
        else f"had waited at the same server for {waited} s"
    )
    got = _WHAT_THE_OWNER_GOT[GIVEN_UP if given_up(owner) else swap.how]
    yield Fact(
        f"the request in frame {asked} for {there} {came} and {got}",
        (asked,),
    )
    if swap.rivals:
        others = counted(swap.rivals, "other request", "other requests")
        yield Fact(f"{others} could as well have asked for it: a tie", (asked,))


def chained(case: Case, recipient: Row) -> Iterator[Fact]:
    """The chain that a response in the wrong place is a link of."""
    chain = case.chains.get(recipient.id)
    if chain is None:
        return
    asked = [case.tables.asked(link.recipient) for link in chain.links]
    first = chain.links[0].owner
    assert first is not None
    clients = len({case.tables.connection(link.recipient)["client"] for link in chain.links})
    whose = f", by {clients} clients," if clients > 1 else ""
    yield Fact(
        f"it is one of {len(asked)} in a row: the requests in {listed(asked, MOST_NAMED)}"
        f"{whose} were given, in this order, the responses to those before them, from frame "
        f"{case.tables.asked(first)} on",
        (case.tables.asked(first), *asked[:MOST_NAMED]),
    )


# --- the response where it went ------------------------------------------------------------


def in_sequence(case: Case, recipient: Row) -> Iterator[Fact]:
    """Whether the response was an ordinary part of the connection that it came on."""
    response = case.messages.message(recipient, SERVER)
    packets = case.packets(recipient)
    if response is None or not response.end or not packets:
        return
    frame = case.tables.frame(response)
    before = (p for p in packets if p.side == SERVER and p.time <= response.time)
    expected = max((p.end for p in before if case.tables.frame(p) != frame), default=0)
    seen = _acknowledged(packets, CLIENT, response.end, response.time)
    ack = case.tables.frame(seen) if seen else None
    if expected == response.seq:
        told = f" and the client acknowledged all of it in frame {ack}" if ack else ""
        yield Fact(
            f"the response in frame {frame} begins at the very byte that the server owed next on "
            f"this connection{told}",
            (frame, ack) if ack else (frame,),
        )
    ttl = ttl_of(packets, SERVER)
    stamps = [p.stamp for p in packets if p.side == SERVER and p.stamp is not None]
    steady = bool(stamps) and all(b - a & _WORD <= _WORD >> 1 for a, b in pairwise(stamps))
    if ttl:
        clock = " and one TCP timestamp clock" if steady else ""
        yield Fact(
            f"all that the server sent on this connection has one TTL ({ttl}){clock}: one host "
            "sent it",
            (frame,),
        )


def aftermath(case: Case, recipient: Row) -> Iterator[Fact]:
    """What followed the response on the connection that it came on."""
    response, packets = case.messages.message(recipient, SERVER), case.packets(recipient)
    reread = case.messages.rereads.get(recipient["connection"])
    if response is None or reread is None:
        return
    frame = case.tables.frame
    later = [p for p in packets if p.time >= response.end_time and frame(p) != frame(response)]
    for packet in later:
        if packet.flags & (_FIN | _RST):
            who = "client" if packet.side == CLIENT else "server"
            what = "closed" if packet.flags & _FIN else "reset"
            after = milliseconds(packet.time - response.end_time)
            yield Fact(
                f"the {who} {what} that connection in frame {frame(packet)}, {after} ms after the "
                "response's last byte",
                (frame(packet),),
            )
            break
    surplus = [
        m
        for m in reread.messages
        if m.side == SERVER and m.time > response.time and m.outcome == Outcome.UNSOLICITED
    ]
    if surplus:
        yield Fact(
            f"after it came one more response, in frame {frame(surplus[0])}, that nobody had asked "
            "for: the recipient's own, most likely",
            (frame(surplus[0]),),
        )


def around(case: Case, rows: list[Row]) -> Iterator[Fact]:
    """What else went wrong at the server about then: closes without an answer, and refusals.

    Where a program closes numbers that are not its own, it hits other connections too, and now and
    then the one that listens.
    """
    tables, row = case.tables, rows[0]
    moment = row["response_time"] or row["request_time"]
    table, service = tables.connections, tables.joined.service
    own = [one["connection"] for one in rows]
    others = tables.joined.judged & (service == tables.server(row))
    others &= (table["server_fin_frame"] > 0) & (table["answered"] < table["requests"])
    others &= table["first_close"] == int(Close.SERVER_FIN)
    others &= np.abs(table["server_fin_time"] - moment) < AROUND
    others[own] = False
    frames = [tables.frame_of(table[n], "server_fin") for n in np.flatnonzero(others)]
    span = f"in the {AROUND // 1_000_000_000} s before and after"
    if frames:
        many = "one other connection" if len(frames) == 1 else f"{len(frames)} other connections"
        yield Fact(f"{span} the server closed {many} without an answer", tuple(frames[:MOST_NAMED]))
    connection = tables.connection(row)
    server = tables.addresses[int(connection["server"])], int(connection["server_port"])
    refused = {
        (refusal.client, refusal.client_port): tables.framed(refusal.frame)
        for refusal in tables.refusals
        if (refusal.server, refusal.server_port) == server and abs(refusal.time - moment) < AROUND
    }
    if refused:
        were = "one connection was" if len(refused) == 1 else f"{len(refused)} connections were"
        yield Fact(
            f"{span} {were} refused at the server's port with a reset, as if nobody listened",
            tuple(list(refused.values())[:MOST_NAMED]),
        )


# --- how it ended --------------------------------------------------------------------------


def ending(case: Case, row: Row) -> Iterator[Fact]:
    """How the connection of a request ended, and whether its server ordinarily ends it so."""
    connection = case.tables.connection(row)
    asked = row["request_time"]
    client, server, reset = (
        case.tables.frame_of(connection, name) for name in ("client_fin", "server_fin", "reset")
    )
    if client:
        when = _since(int(connection["client_fin_time"]) - asked)
        yield Fact(f"the client closed in frame {client}, {when} the request", (client,))
        packets = case.packets(row)
        fin = next((p for p in packets if p.side == CLIENT and p.flags & _FIN), None)
        ack = fin and _acknowledged(packets, SERVER, fin.end, fin.time)
        if fin and ack:
            yield Fact(
                f"the server's host acknowledged that in frame {case.tables.frame(ack)}, "
                f"{milliseconds(ack.time - fin.time)} ms later",
                (case.tables.frame(fin), case.tables.frame(ack)),
            )
    if server:
        delay = int(connection["server_fin_time"]) - int(connection["client_fin_time"])
        if client and delay >= 0:
            after = milliseconds(delay)
            text = f"the server closed too, in frame {server}, {after} ms after the client"
        else:
            when = _since(int(connection["server_fin_time"]) - asked)
            text = f"the server closed in frame {server}, {when} the request"
        yield Fact(text, (server,))
    elif client and missed_fin(case.packets(row)):
        told = "the client's host acknowledged a FIN of the server that the capture doesn't have"
        yield Fact(told, (client,))
    elif client and not reset:
        left = case.tables.watched_until(row) - int(connection["client_fin_time"])
        yield Fact(
            f"no FIN of the server followed in the {seconds(left)} s that the capture goes on",
            (client,),
        )
    if reset:
        when = _since(int(connection["reset_time"]) - asked)
        who = _WHO_RESET.get(Close(int(connection["first_close"])), "a reset came")
        yield Fact(f"{who} in frame {reset}, {when} the request", (reset,))
        strange = strange_reset(case.packets(row), SERVER)
        if strange is not None:
            packet, how = strange
            yield Fact(
                f"that reset {how}: it does not come from where the server is",
                (case.tables.frame(packet),),
            )
    yield from _habit(case.habit(row), client)


_WHO_RESET = {
    Close.CLIENT_RST: "the client reset the connection",
    Close.SERVER_RST: "a reset came from the server's side",
}


def _since(nanoseconds: int) -> str:
    """How long after, or before."""
    return f"{seconds(abs(nanoseconds))} s {'after' if nanoseconds >= 0 else 'before'}"


def starvation(case: Case, row: Row) -> Iterator[Fact]:
    """Which other requests to the same server went without an answer at about that time."""
    named, total = case.starved.others(row, AROUND, MOST_NAMED)
    if not total:
        return
    others = [case.tables.asked(one) for one in named]
    many = counted(total, "other request", "other requests")
    yield Fact(
        f"within {AROUND // 1_000_000_000} s of it {many} to this server went unanswered as well "
        f"({listed(others, MOST_NAMED, total)}): look for one cause of all",
        tuple(others),
    )


def race(case: Case, row: Row) -> Iterator[Fact]:
    """How a server's closing of an idle connection met the request, and whether it came again."""
    found = case.races.get(row.id)
    if found is None:
        return
    frame, closing = case.tables.asked(row), case.tables.frame(found.closing)
    how = "reset" if found.closing.flags & _RST else "FIN"
    yield Fact(
        f"the {how} of the server in frame {closing} acknowledges nothing of the request in "
        f"frame {frame}: it had been sent before any of that arrived",
        (closing, frame),
    )
    again = found.again
    if again is None:
        yield Fact("the same request was not seen again in the minute after", (frame,))
        return
    when = seconds(again["request_time"] - row["request_time"])
    fate = "and was answered" if found.is_made_good else "and was not answered either"
    yield Fact(
        f"the client asked the same again in frame {case.tables.asked(again)}, {when} s later on "
        f"another connection, {fate}",
        (case.tables.asked(again), case.tables.came(again)),
    )


def asked_later(case: Case, recipient: Row) -> Iterator[Fact]:
    """What was asked on a slipped connection when no answer was owed on it any more."""
    reread = case.messages.rereads.get(recipient["connection"])
    if reread is None or reread.messages_left_out:
        return
    after = recipient["request_time"]
    later = [
        case.tables.frame(m)
        for m in reread.messages
        if m.side == CLIENT and m.time > after and not m.flags & Flag.PIPELINED
    ]
    if later:
        many = counted(len(later), "later request", "later requests")
        yield Fact(
            f"{many} on this connection came when every answer had been sent: whether the client "
            "had thrown the surplus one away by then, or read it first, does not show",
            tuple(later[:MOST_NAMED]),
        )


def _habit(habit: Habit, client: Frame) -> Iterator[Fact]:
    if not client or not habit.known:
        return
    slowest = f", within {milliseconds(habit.slowest)} ms" if habit.closed else ""
    yield Fact(
        f"of {habit.closes} other connections that their clients closed first, this server "
        f"closed {habit.closed} in turn{slowest}",
        (client,),
    )


def places(case: Case, rows: list[Row]) -> Iterator[Fact]:
    """Where the connections were seen."""
    for number in dict.fromkeys(row["connection"] for row in rows):
        members = case.tables.joined.members(number)
        if len(members) < 2:
            continue
        frame = case.tables.frame_of(case.tables.connections[number], "first")
        yield Fact(
            f"the connection that begins in frame {frame} was seen at {len(members)} places, with "
            "the same sequence numbers: nothing in between opened another one",
            (frame,),
        )


def _acknowledged(packets: tuple[Packet, ...], side: int, end: int, since: int) -> Packet | None:
    """The first packet of a side that acknowledges all up to `end`."""
    return next((p for p in packets if p.side == side and p.time >= since and p.ack >= end), None)
