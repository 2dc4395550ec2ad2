"""The bytes of a connection: order, copies, gaps, and which SYN begins another connection."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer.anomalies import Anomalies
from analyzer.capture.frames import Frames
from analyzer.packets.decode import Decoder
from analyzer.tables import Close, ConnectionFlag
from analyzer.tcp.blocks import arrange
from analyzer.tcp.streams import Connection, Tracker
from tests.builder import (
    ACK,
    CLIENT,
    FIN,
    MILLISECOND,
    RAW,
    RST,
    SECOND,
    SERVER,
    SYN,
    Conversation,
    Frame,
)


@dataclass
class Listener:
    """Writes down what a connection's sink is told; side 0 is the client's (the lower address)."""

    connection: Connection
    events: list[tuple[object, ...]] = field(default_factory=list)
    wants_data: bool = True
    awaits_request_of: int | None = None

    def data(self, side: int, piece: bytes, frame: int, time: int, seq: int, ack: int) -> None:
        last = self.events[-1] if self.events else ()
        if last[:2] == ("data", side):
            self.events[-1] = ("data", side, str(last[2]) + piece.decode())
        else:
            self.events.append(("data", side, piece.decode()))

    def gap(self, side: int, size: int) -> None:
        self.events.append(("gap", side, size))

    def close(self, side: int, frame: int, time: int) -> None:
        self.events.append(("close", side))

    def finish(self, *, open_at_end: bool) -> None:
        self.events.append(("open at end",) if open_at_end else ("over",))

    def take_ordinary(self, row: int, count: int, seq: int, ack: int) -> None:
        raise AssertionError


@dataclass
class Heard:
    """What was heard of all connections."""

    listeners: list[Listener]
    anomalies: Anomalies
    streams: int

    @property
    def events(self) -> list[tuple[object, ...]]:
        """Of the only connection."""
        (one,) = self.listeners
        return one.events


def hear(frames: list[Frame], *, block: int = 0) -> Heard:
    """Feed the frames to a tracker, `block` frames at a time (0: all)."""
    from analyzer.capture.frames import Capture, Interface
    from analyzer.pipeline import Interfaces, _rows

    anomalies, listeners = Anomalies(), list[Listener]()

    def opener(connection: Connection) -> Listener:
        listeners.append(Listener(connection))
        return listeners[-1]

    tracker = Tracker(opener, anomalies)
    capture, interfaces = Capture("built", interfaces=[Interface(RAW)]), Interfaces()
    decoder = Decoder(capture.fates, capture.anomalies)
    size = block or len(frames) or 1
    for at in range(0, len(frames), size):
        part = frames[at : at + size]
        lengths = [len(frame.packet) for frame in part]
        table = Frames(
            data=b"".join(frame.packet for frame in part) + bytes(8),
            number=np.arange(at + 1, at + 1 + len(part), dtype=np.int64),
            time=np.array([frame.time for frame in part], np.int64),
            interface=np.zeros(len(part), np.int64),
            captured=np.array(lengths, np.int64),
            wire=np.array([frame.wire or len(frame.packet) for frame in part], np.int64),
            offset=np.cumsum([0, *lengths[:-1]], dtype=np.int64),
        )
        found = decoder.segments(table, np.full(len(part), RAW))
        tracker.feed(arrange(_rows(table, found, capture, interfaces)))
    tracker.finish()
    return Heard(listeners, anomalies, len(tracker.begun))


def talk(**how: object) -> Conversation:
    """An open connection; the client has the lower address, so it is side 0."""
    return Conversation(**how).open()  # type: ignore[arg-type]


ORDINARY = [("data", 0, "question"), ("data", 1, "answer"), ("close", 0), ("close", 1), ("over",)]


@pytest.mark.parametrize("isns", [(1_000, 5_000), (2**32 - 4, 2**32 - 3), (2**32 - 1, 2**31 - 2)])
@pytest.mark.parametrize("block", [0, 1, 3])
def test_in_order_over_the_wrap_of_the_numbers(isns: tuple[int, int], block: int) -> None:
    frames = talk(isns=isns).ask(b"question", 3).answer(b"answer", 2).close().frames
    heard = hear(frames, block=block)
    assert heard.events == ORDINARY
    assert not heard.anomalies


@pytest.mark.parametrize("isns", [(1_000, 5_000), (2**32 - 5, 2**32 - 3)])
def test_out_of_order(isns: tuple[int, int]) -> None:
    frames = talk(isns=isns).ask(b"question", 2).answer(b"answer", 2).close().frames
    frames[3], frames[5] = frames[5], frames[3]
    frames[8], frames[10] = frames[10], frames[8]
    heard = hear(frames)
    assert heard.events == ORDINARY
    assert not heard.anomalies


def test_a_reply_recorded_before_its_request() -> None:
    frames = talk().ask(b"question").answer(b"answer").close().frames
    frames.insert(3, frames.pop(5))
    assert hear(frames).events == ORDINARY


def test_a_syn_recorded_after_its_answer() -> None:
    frames = talk().ask(b"question").answer(b"answer").close().frames
    frames[0], frames[1] = frames[1], frames[0]
    heard = hear(frames)
    assert heard.events == ORDINARY
    assert heard.streams == 1
    assert heard.listeners[0].connection.initiator == CLIENT


def test_a_syn_recorded_after_the_first_request() -> None:
    frames = talk().ask(b"question").answer(b"answer").close().frames
    frames.insert(4, frames.pop(0))
    heard = hear(frames)
    assert heard.streams == 1
    assert heard.events == ORDINARY


def test_a_repeated_handshake_is_no_new_connection() -> None:
    open_ = talk()
    frames = [*open_.frames[:2], *open_.frames[:2], *open_.frames[2:]]
    open_.frames = frames
    heard = hear(open_.ask(b"question").answer(b"answer").close().frames)
    assert heard.events == ORDINARY
    assert heard.streams == 1


def test_retransmissions_are_read_once() -> None:
    frames = talk().ask(b"question", 3).answer(b"answer").close().frames
    for at in (3, 5, 8):
        frames.insert(at + 2, frames[at])
    heard = hear(frames)
    assert heard.events == ORDINARY
    assert not heard.anomalies


def test_a_retransmission_that_brings_more() -> None:
    call = talk()
    start = call.next[CLIENT]
    call.send(CLIENT, b"que")
    call.send(CLIENT, b"question", seq=start)
    call.next[CLIENT] = start + 8
    call.send(SERVER)
    heard = hear(call.answer(b"answer").close().frames)
    assert heard.events == ORDINARY
    assert not heard.anomalies


def test_the_first_copy_of_a_byte_wins_and_a_different_one_is_noted() -> None:
    call = talk()
    start = call.next[CLIENT]
    call.send(CLIENT, b"quest")
    call.send(CLIENT, b"QUESTION", seq=start)
    call.next[CLIENT] = start + 8
    call.send(SERVER)
    heard = hear(call.answer(b"answer").close().frames)
    assert heard.events[0] == ("data", 0, "questION")
    assert heard.anomalies == {"retransmission-differs": 1}


def test_overlapping_segments_out_of_order() -> None:
    call = talk()
    start = call.next[CLIENT]
    call.send(CLIENT, b"stion", seq=start + 3)
    call.send(CLIENT, b"on", seq=start + 6)
    call.send(CLIENT, b"quest", seq=start)
    call.next[CLIENT] = start + 8
    call.send(SERVER)
    heard = hear(call.answer(b"answer").close().frames)
    assert heard.events == ORDINARY


def test_a_keep_alive_probe_is_no_data() -> None:
    call = talk().ask(b"question")
    call.wait(30 * SECOND)
    call.send(CLIENT, b"\0", seq=call.next[CLIENT] - 1)
    call.send(SERVER)
    call.send(CLIENT, seq=call.next[CLIENT] - 1)
    call.send(SERVER)
    heard = hear(call.answer(b"answer").close().frames)
    assert heard.events == ORDINARY
    assert not heard.anomalies


def test_an_acknowledged_hole_is_a_gap() -> None:
    call = talk().say(CLIENT, b"que")
    call.send(CLIENT, b"sti", captured=False)
    call.say(CLIENT, b"on").wait(SECOND).answer(b"answer").close()
    heard = hear(call.frames)
    assert heard.events == [
        ("data", 0, "que"),
        ("gap", 0, 3),
        ("data", 0, "on"),
        *ORDINARY[1:],
    ]
    assert heard.anomalies == {"gap": 1}
    assert heard.listeners[0].connection.flags(CLIENT) & ConnectionFlag.CLIENT_GAP


def test_a_hole_nobody_acknowledged_waits_for_its_retransmission() -> None:
    call = talk()
    start = call.next[CLIENT]
    call.send(CLIENT, b"que", captured=False)
    call.send(CLIENT, b"stion")
    call.send(SERVER, ack=start)
    call.wait(5 * SECOND)
    call.send(CLIENT, b"que", seq=start)
    call.send(SERVER)
    heard = hear(call.answer(b"answer").close().frames)
    assert heard.events == ORDINARY
    assert not heard.anomalies


def test_what_lies_behind_a_hole_never_acknowledged_reached_nobody() -> None:
    call = talk()
    start = call.next[CLIENT]
    call.send(CLIENT, b"que", captured=False)
    call.send(CLIENT, b"stion")
    call.send(SERVER, ack=start)
    heard = hear(call.frames)
    assert heard.events == [("open at end",)]
    assert heard.anomalies == {"lost-on-the-way": 1}


def test_an_acknowledged_tail_nobody_saw_is_a_gap() -> None:
    call = talk().ask(b"question")
    call.send(SERVER, b"answer", captured=False)
    call.send(CLIENT)
    heard = hear(call.close().frames)
    assert ("gap", 1, 6) in heard.events
    assert heard.anomalies == {"gap": 1}


def test_a_cut_segment_is_data_and_a_gap() -> None:
    call = talk().ask(b"question")
    whole = call.send(SERVER, b"answer")
    call.frames[-1] = Frame(whole.time, whole.packet[:-2], len(whole.packet))
    call.send(CLIENT)
    heard = hear(call.close().frames)
    assert heard.events[1:3] == [("data", 1, "answ"), ("gap", 1, 2)]
    assert not heard.anomalies


def test_offloaded_segments_without_a_length() -> None:
    call = talk().ask(b"question")
    call.send(SERVER, b"x" * 100_000, length_zero=True)
    call.send(CLIENT)
    heard = hear(call.close().frames)
    assert heard.events[1] == ("data", 1, "x" * 100_000)


def test_a_late_start_begins_where_it_is_first_seen() -> None:
    frames = talk().ask(b"question", 4).answer(b"answer").close().frames[4:]
    heard = hear(frames)
    assert heard.events == [("data", 0, "tion"), *ORDINARY[1:]]
    assert heard.listeners[0].connection.midstream
    assert not heard.anomalies


def test_a_half_closed_connection_goes_on() -> None:
    frames = talk().ask(b"question").fin(CLIENT).answer(b"answer").fin(SERVER).frames
    heard = hear(frames)
    assert heard.events == [
        ("data", 0, "question"),
        ("close", 0),
        ("data", 1, "answer"),
        ("close", 1),
        ("over",),
    ]
    assert heard.listeners[0].connection.closed_first(CLIENT) is Close.CLIENT_FIN


def test_a_fin_with_data_and_repeated() -> None:
    call = talk().ask(b"question")
    call.send(SERVER, b"answer", FIN | ACK)
    call.frames.append(call.frames[-1])
    call.send(CLIENT)
    heard = hear(call.fin(CLIENT).frames)
    assert heard.events == [*ORDINARY[:2], ("close", 1), ("close", 0), ("over",)]


@pytest.mark.parametrize(
    ("side", "close"), [(CLIENT, Close.CLIENT_RST), (SERVER, Close.SERVER_RST)]
)
def test_a_reset_ends_it(side: int, close: Close) -> None:
    call = talk().ask(b"question").reset(side)
    heard = hear(call.frames)
    assert heard.events == [("data", 0, "question"), ("over",)]
    connection = heard.listeners[0].connection
    assert connection.closed_first(CLIENT) is close
    assert connection.reset is not None
    assert connection.reset.frame == len(call.frames)


@pytest.mark.parametrize("side", [CLIENT, SERVER])
@pytest.mark.parametrize("apart", [-1, -9, 805_306_368, -(2**31)])
def test_a_reset_with_a_number_that_counts_for_nothing(side: int, apart: int) -> None:
    call = talk().ask(b"que").answer(b"an")
    call.send(side, flags=RST, seq=call.next[side] + apart)
    heard = hear(call.ask(b"stion").answer(b"swer").close().frames)
    assert [e for e in heard.events if e[1:2] == (0,)] == [
        ("data", 0, "que"), ("data", 0, "stion"), ("close", 0),
    ]  # fmt: skip
    assert heard.anomalies == {"reset-ignored": 1}
    flags = heard.listeners[0].connection.flags(CLIENT)
    assert flags & ConnectionFlag.RESET_IGNORED
    assert not flags & ConnectionFlag.SERVER_RESET


@pytest.mark.parametrize("side", [CLIENT, SERVER])
@pytest.mark.parametrize("ahead", [0, 1, 2, 400])
@pytest.mark.parametrize("block", [0, 1])
def test_a_reset_after_which_both_sides_go_on(side: int, ahead: int, block: int) -> None:
    call = talk()
    call.send(side, flags=RST | ACK, seq=call.next[side] + ahead)
    heard = hear(call.ask(b"question").answer(b"answer").close().frames, block=block)
    assert heard.events == ORDINARY
    assert heard.anomalies == {"reset-ignored": 1}
    assert heard.streams == 1


def test_what_was_on_its_way_does_not_refute_a_reset() -> None:
    call = talk().ask(b"question").reset(SERVER)
    call.send(CLIENT, b"more")
    call.send(SERVER, flags=RST, ack=0)
    call.send(CLIENT, flags=FIN | ACK)
    heard = hear(call.frames)
    assert heard.events == [("data", 0, "question"), ("over",)]
    assert heard.anomalies == {"data-after-close": 1}


def test_a_reset_recorded_before_its_senders_last_bytes() -> None:
    call = talk().ask(b"question").answer(b"answer").reset(SERVER)
    *before, answer, ack, reset = call.frames
    heard = hear([*before, reset, answer, ack])
    assert heard.events == [("data", 0, "question"), ("data", 1, "answer"), ("over",)]
    connection = heard.listeners[0].connection
    assert connection.closed_first(CLIENT) is Close.SERVER_RST
    assert not connection.flags(CLIENT) & ConnectionFlag.RESET_IGNORED


def test_a_reset_ahead_of_all_that_was_seen_shows_that_bytes_are_missing() -> None:
    call = talk().ask(b"question")
    call.send(SERVER, b"answer", captured=False)
    heard = hear(call.reset(SERVER).frames)
    assert heard.events == [("data", 0, "question"), ("gap", 1, 6), ("over",)]
    assert heard.listeners[0].connection.flags(CLIENT) & ConnectionFlag.SERVER_GAP


def test_a_port_used_again_after_a_reset_is_another_connection() -> None:
    one = talk().ask(b"one").reset(SERVER)
    two = talk(isns=(77_000, 88_000), start=one.time).ask(b"two").close()
    heard = hear([*one.frames, *two.frames])
    assert [listener.events[0][2] for listener in heard.listeners] == ["one", "two"]
    assert not heard.anomalies


def test_a_reset_connection_is_let_go_in_time() -> None:
    one = talk().ask(b"one").reset(SERVER)
    other = talk(client=("10.0.0.9", 1), start=one.time + 100 * SECOND).ask(b"x").answer(b"y")
    heard = hear([*one.frames, *other.frames], block=1)
    assert heard.listeners[0].events[-1] == ("over",)


def test_data_after_the_end_is_noted() -> None:
    call = talk().ask(b"question").reset(SERVER)
    call.send(CLIENT, b"more")
    assert hear(call.frames).anomalies == {"data-after-close": 1}


def test_a_port_used_again_after_the_close_is_another_connection() -> None:
    one = talk().ask(b"one").close()
    two = talk(isns=(77_000, 88_000), start=one.time).ask(b"two").close()
    heard = hear([*one.frames, *two.frames])
    assert [listener.events[0] for listener in heard.listeners] == [
        ("data", 0, "one"),
        ("data", 0, "two"),
    ]
    assert heard.streams == 2
    assert not heard.anomalies


def test_a_port_used_again_without_a_close_is_another_connection() -> None:
    one = talk().ask(b"one")
    two = talk(isns=(77_000, 88_000), start=one.time).ask(b"two").close()
    heard = hear([*one.frames, *two.frames])
    assert [listener.events[0][2] for listener in heard.listeners] == ["one", "two"]
    assert heard.anomalies == {"port-reused": 1}


def test_equal_addresses_on_other_ports_are_other_connections() -> None:
    one = talk(client=("10.0.0.1", 40_000)).ask(b"one").close()
    two = talk(client=("10.0.0.1", 40_001)).ask(b"two").close()
    mixed = [frame for pair in zip(one.frames, two.frames, strict=True) for frame in pair]
    heard = hear(mixed)
    assert {listener.events[0][2] for listener in heard.listeners} == {"one", "two"}


def test_a_connection_to_itself() -> None:
    # Same address at both ends: the ports tell the sides apart.
    call = talk(client=("127.0.0.1", 40_000), server=("127.0.0.1", 30_000))
    heard = hear(call.ask(b"question").answer(b"answer").close().frames)
    (listener,) = heard.listeners
    side = listener.connection.initiator
    assert side is not None
    assert listener.events[:2] == [("data", side, "question"), ("data", 1 - side, "answer")]


def test_an_orphaned_close_stays_open() -> None:
    call = talk().ask(b"question").fin(CLIENT)
    heard = hear(call.frames)
    assert heard.events[-1] == ("open at end",)
    flags = heard.listeners[0].connection.flags(CLIENT)
    assert flags & ConnectionFlag.CLIENT_FIN_ACKED
    assert flags & ConnectionFlag.OPEN_AT_END


def test_a_closed_window_of_the_client_is_kept() -> None:
    call = talk().ask(b"question")
    call.send(CLIENT, window=0)
    call.answer(b"answer")
    flags = hear(call.frames).listeners[0].connection.flags(CLIENT)
    assert flags & ConnectionFlag.CLIENT_ZERO_WINDOW


@pytest.mark.parametrize(("times", "expected"), [(3, False), (4, True)])
@pytest.mark.parametrize("acked", [False, True])
def test_bytes_repeated_in_vain_are_kept_in_mind(times: int, expected: bool, acked: bool) -> None:
    call = talk().ask(b"question")
    start = call.next[SERVER]
    call.send(SERVER, b"answer")
    for _ in range(times):
        call.wait(SECOND).send(SERVER, b"answer", seq=start)
    if acked:
        call.send(CLIENT)
    flags = hear(call.frames).listeners[0].connection.flags(CLIENT)
    assert bool(flags & ConnectionFlag.SERVER_REPEATS) is (expected and not acked)


def test_one_direction_alone() -> None:
    call = talk().ask(b"question", 3).answer(b"answer").close()
    frames = [frame for frame in call.frames if frame.packet[12:16] == bytes([10, 0, 0, 2])]
    heard = hear(frames)
    assert ("data", 1, "answer") in heard.events
    assert heard.listeners[0].connection.flags(CLIENT) & ConnectionFlag.ONE_WAY


def test_too_much_out_of_order_data_is_given_up() -> None:
    call = talk()
    start = call.next[CLIENT]
    call.send(CLIENT, b"?", captured=False)
    for _ in range(1_100):
        call.send(CLIENT, b"x", ack=None)
        call.time -= call.step
    call.send(SERVER, ack=start)
    heard = hear(call.frames)
    assert heard.anomalies["reassembly-limit"] == 1
    assert heard.events[:2] == [("gap", 0, 1), ("data", 0, "x" * 1_100)]


def test_a_syn_without_ack_on_an_open_connection_with_other_numbers_is_new() -> None:
    one = talk().ask(b"one").answer(b"1")
    late = Conversation(isns=(9_000_000, 8_000_000), start=one.time)
    late.send(CLIENT, flags=SYN)
    heard = hear([*one.frames, *late.frames])
    assert heard.streams == 2


def test_reset_before_any_data_opens_no_sink() -> None:
    call = Conversation()
    call.send(CLIENT, flags=SYN)
    call.send(SERVER, flags=RST | ACK)
    heard = hear(call.frames)
    assert heard.listeners == []
    assert heard.streams == 1


def test_frames_in_a_hurry_and_a_hole_acknowledged_late() -> None:
    # Reordered by less than the wait: nothing is given up though the ack came before the data.
    call = talk()
    late = call.send(CLIENT, b"que", captured=False)
    call.say(CLIENT, b"stion")
    call.frames.append(Frame(call.time + 20 * MILLISECOND, late.packet))
    call.wait(30 * MILLISECOND)
    heard = hear(call.answer(b"answer").close().frames)
    assert heard.events == ORDINARY
    assert not heard.anomalies


def test_the_end_comes_while_segments_wait() -> None:
    call = Conversation()
    call.send(CLIENT, flags=SYN)
    call.send(SERVER, flags=SYN | ACK, captured=False)
    call.send(CLIENT, b"one before", captured=False)
    asked = call.send(CLIENT, b"question", captured=False)
    answered = call.send(SERVER, b"answer", captured=False)
    call.send(CLIENT)
    call.frames += [answered, asked]
    call.send(SERVER, flags=FIN | ACK)
    call.send(CLIENT, flags=FIN | ACK)
    events = hear(call.frames).events
    assert events[-1] in (("over",), ("open at end",))


def test_only_the_first_ack_says_where_the_other_side_begins() -> None:
    call = Conversation()
    call.send(CLIENT, flags=SYN)
    call.send(SERVER, flags=SYN | ACK, captured=False)
    asked = call.send(CLIENT, b"question", captured=False)
    answered = call.send(SERVER, b"answer", captured=False)
    call.send(CLIENT)
    call.frames += [asked, answered]
    assert hear(call.frames).events[:2] == ORDINARY[:2]


@settings(max_examples=300)
@given(st.permutations(range(11)), st.integers(0, 11), st.integers(1, 11))
@example([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 11, 11)
def test_any_order_is_survived_and_no_byte_is_invented(
    order: list[int], count: int, block: int
) -> None:
    frames = talk().ask(b"question", 4).answer(b"answer", 3).close().frames
    heard = hear([frames[at] for at in order[:count] if at < len(frames)], block=block)
    for listener in heard.listeners:
        said = {
            side: "".join(str(e[2]) for e in listener.events if e[:2] == ("data", side))
            for side in (0, 1)
        }
        for side, whole in ((0, "question"), (1, "answer")):
            rest = iter(whole)
            assert all(letter in rest for letter in said[side])
