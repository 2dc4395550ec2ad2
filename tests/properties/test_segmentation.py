"""However a conversation is cut, reordered, repeated and recorded, its exchanges are the same."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builder import (
    ACK,
    CLIENT,
    MILLISECOND,
    PSH,
    SERVER,
    Conversation,
    Frame,
    as_json,
    pcap,
    pcapng,
    request,
    response,
)
from tests.tools import exchanges

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'6\r\n{"a": \r\n3\r\n[]}\r\n0\r\nTrailer: 1\r\n\r\n'
)
ANSWERS = {
    "json": response(as_json({"id": 1, "name": "x"})),
    "other": response(as_json([{"n": 1}, {"n": 2, "m": None}]), 201),
    "empty": response(b"", 204),
    "chunked": CHUNKED,
    "hinted": b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(b"{}"),
    "error": response(b"<p>no</p>", 404, fields="Content-Type: text/html\r\n"),
}


class Exchange(NamedTuple):
    """What is asked and answered."""

    target: str
    body: bytes
    answer: str


EXCHANGES = st.lists(
    st.builds(
        Exchange,
        st.sampled_from(["/items/1", "/items/22", "/list?x=1"]),
        st.sampled_from([b"", b"abc", b'{"q": 1}' * 20]),
        st.sampled_from(sorted(ANSWERS)),
    ),
    min_size=1,
    max_size=4,
)


def asked(one: Exchange) -> bytes:
    return request(one.target, "POST" if one.body else "GET", body=one.body)


def summary(frames: list[Frame], *, ng: bool = False) -> list[tuple[object, ...]]:
    """The exchanges in a capture, without positions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c"
        path.write_bytes(pcapng(frames) if ng else pcap(frames))
        found = exchanges(path)
    return [
        (
            row["target"],
            row["status"],
            row["outcome"],
            row["flags"],
            row["request_seq"],
            row["response_seq"],
            row["request_length"],
            row["response_length"],
            row["form"],
            row["route"],
        )
        for row in found
    ]


def plainly(talk: list[Exchange], isns: tuple[int, int]) -> list[Frame]:
    """One segment for each message."""
    one = Conversation(isns=isns).open()
    for exchange in talk:
        one.ask(asked(exchange)).answer(ANSWERS[exchange.answer])
    return one.close().frames


@settings(max_examples=120)
@given(EXCHANGES, st.data())
def test_any_way_of_sending_gives_the_same_exchanges(
    talk: list[Exchange], data: st.DataObject
) -> None:
    isns = data.draw(st.sampled_from([(1_000, 5_000), (2**32 - 30, 2**32 - 60)]))
    # Frames that change places lie close together: see streams.REORDERING.
    one = Conversation(isns=isns, step=10_000).open()
    for exchange in talk:
        for side, whole in ((CLIENT, asked(exchange)), (SERVER, ANSWERS[exchange.answer])):
            say(one, side, whole, data)
    one.close()
    expected = summary(plainly(talk, isns))
    assert len(expected) == len(talk)
    assert summary(one.frames, ng=data.draw(st.booleans())) == expected


def say(one: Conversation, side: int, whole: bytes, data: st.DataObject) -> None:
    """A message in segments of any size, some sent again and some recorded out of order."""
    size = data.draw(st.integers(1, 200))
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    begun = len(one.frames)
    for part in parts:
        at = one.next[side]
        frame = one.send(side, part, ACK | PSH)
        match data.draw(st.sampled_from(["plain", "plain", "again", "overlap", "acked"])):
            case "again":
                one.frames.append(frame._replace(time=one.time))
            case "overlap" if len(part) > 1:
                # The second half again, with what comes next still to be sent.
                one.send(side, part[len(part) // 2 :], seq=at + len(part) // 2)
            case "acked":
                one.send(1 - side)
    moved = data.draw(st.booleans())
    if moved and len(one.frames) - begun > 1:
        order = data.draw(st.permutations(range(begun, len(one.frames))))
        mixed = [one.frames[at] for at in order]
        times = sorted(frame.time for frame in mixed)
        one.frames[begun:] = [
            Frame(time, frame.packet) for time, frame in zip(times, mixed, strict=True)
        ]
    if data.draw(st.booleans()):
        one.send(1 - side)
    one.wait(data.draw(st.sampled_from([0, MILLISECOND, 50 * MILLISECOND])))


@settings(max_examples=60)
@given(EXCHANGES, st.lists(st.integers(0, 200), max_size=6), st.integers(0, 2**32))
def test_a_repeated_frame_changes_nothing(
    talk: list[Exchange], again: list[int], seed: int
) -> None:
    isns = seed, seed * 7 & 0xFFFFFFFF
    frames = plainly(talk, isns)
    expected = summary(frames)
    for at in again:
        frames.insert((at + 3) % (len(frames) + 1), frames[at % len(frames)])
    doubled = sorted(frames, key=lambda f: f.time)
    assert summary(doubled) == expected


@settings(max_examples=300)
@given(EXCHANGES, st.data())
def test_losing_frames_never_invents_an_exchange(talk: list[Exchange], data: st.DataObject) -> None:
    frames = plainly(talk, (1_000, 5_000))
    whole = summary(frames)
    lost = data.draw(st.sets(st.integers(0, len(frames) - 1), max_size=4))
    left = summary([frame for at, frame in enumerate(frames) if at not in lost])
    pairs = {(row[0], row[4], row[5]) for row in whole}
    asked_for = {(row[0], row[4]) for row in whole}
    for row in left:
        if row[0] and row[1]:
            assert (row[0], row[4], row[5]) in pairs
        elif row[0]:
            assert (row[0], row[4]) in asked_for


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.binary(max_size=60)), max_size=8), st.integers(0, 3)
)
def test_any_bytes_are_survived(pieces: list[tuple[int, bytes]], begin: int) -> None:
    one = Conversation().open()
    for side, piece in pieces:
        prefix = (b"", b"GET /x HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"\r\n")[begin]
        one.say(side, prefix + piece)
    for row in summary(one.close().frames):
        assert row[2] in (0, 1, 2, 3)
