"""Ordinary exchanges read at once, block sizes, shares: the tables stay the same."""

import gzip
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import bulk, compiled, limits, pipeline
from analyzer.errors import InputError
from analyzer.extraction import Recorder
from analyzer.features.echoes import Rule
from analyzer.tables import ConnectionFlag, Flag
from analyzer.tcp.blocks import Gone
from analyzer.tcp.streams import Tracker
from tests.builder import (
    CLIENT,
    SECOND,
    SERVER,
    Conversation,
    as_json,
    in_time,
    pcap,
    request,
    response,
)
from tests.recordings import Recording, plain, recordings
from tests.tools import Row, connections_of, extracted, rows_of

KINDS = [r for r in recordings() if r.vantage == "container"]
CLIENTS = [r for r in recordings() if r.vantage.startswith("client")]
ONE_STEP = [r for r in recordings() if r.vantage != "host-any" and r not in CLIENTS] + CLIENTS[::4]


def tables(
    path: Path, *, block: int = 1 << 24, parts: int = 1
) -> tuple[list[Row], list[Row], dict[str, int]]:
    """Exchanges, connections and anomalies."""
    found = extracted(path, block=block, parts=parts)
    return rows_of(found), connections_of(found), dict(found.extraction.anomalies)


def rules(path: Path) -> dict[tuple[str, ...], Rule]:
    """What is learned of tokens, by endpoint and place."""
    found = extracted(path).tables
    return {(*found.endpoints[of], place): rule for (of, place), rule in found.echoes.items()}


def without_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave everything to the general path, as where the kernels could not be built."""
    monkeypatch.setattr(compiled, "kernels", None)


@contextmanager
def taken_in_one_step() -> Iterator[list[int]]:
    """How many exchanges are taken in one step, run by run."""
    runs: list[int] = []
    flush = Recorder.flush

    def counted(self: Recorder, *block: Any) -> None:
        runs.extend(count for *_, count in self._taken)
        flush(self, *block)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "flush", counted)
        yield runs


@pytest.mark.parametrize("recording", ONE_STEP, ids=str)
def test_one_step_and_state_machine_agree(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client's own capture has messages that another one of its scenario has too: of those every
    fourth is taken. `test_same_bytes.py` also scans one of every scenario without kernels.
    """
    in_one_step = tables(recording.path)
    without_fast_path(monkeypatch)
    assert tables(recording.path) == in_one_step


def written(talk: Conversation, side: int, parts: list[bytes], *, acks: bool = False) -> None:
    """A side sends segments; with `acks` the other one acknowledges each."""
    for part in parts:
        talk.send(side, part)
        if acks:
            talk.send(1 - side)


def ordinary_traffic() -> bytes:
    talks = []
    for number in range(12):
        talk = Conversation(("10.0.0.1", 40_000 + number), isns=(number, 2**32 - 300 * number))
        talk.open()
        for item in range(8):
            body = as_json({"id": item, "name": "n" * item})
            asked = request(f"/items/{item}?n={number}", "POST" if item % 3 else "GET", body=body)
            talk.send(CLIENT, asked)
            talk.answer(response(body, 200 + item % 2, fields=f"X-N: {item}\r\n"))
        talks.append(talk.close().frames)
    return pcap(in_time(*talks))


def test_the_fast_path_takes_ordinary_traffic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(ordinary_traffic())
    with taken_in_one_step() as runs:
        in_one_step = tables(path)
    assert sum(runs) > 0.8 * 12 * 8
    without_fast_path(monkeypatch)
    assert tables(path) == in_one_step
    assert len(in_one_step[0]) == 96


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda text: text,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "GZIP, identity": gzip.compress,
    "gzip": lambda text: gzip.compress(text)[:-9] if len(text) % 7 == 0 else gzip.compress(text),
}


def coded_traffic() -> bytes:
    """Bodies of several types, chunked or not, in every coding, some of them broken."""
    talks = []
    for number, (coding, encoded) in enumerate(CODINGS.items()):
        talk = Conversation(
            ("10.0.0.1", 41_000 + number), isns=(number, 2**32 - 300 * number)
        ).open()
        for item in range(24):
            text = as_json({"id": f"item-{number}{item}", "name": "n" * item})
            kind = ("application/json", "text/html", "text/plain", "text/css")[item % 4]
            if kind == "text/html":
                text = b"<html><h1>Item %d</h1><p class=x>%b</p></html>" % (item, text)
            body = encoded(text if item % 11 else b"")
            fields = f"Content-Type: {kind}\r\n"
            fields += f"Content-Encoding: {coding}\r\n" if coding else ""
            talk.send(CLIENT, request(f"/{kind}/item-{number}{item}"))
            said = response(body, fields=fields)
            if item % 3:
                size = 1 + len(body) // (item % 3)
                parts = [body[at : at + size] for at in range(0, len(body), size)]
                head = f"HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n".encode()
                said = head + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in [*parts, b""])
            talk.answer(said)
        talks.append(talk.close().frames)
    return pcap(in_time(*talks))


@pytest.mark.parametrize("room", [1 << 20, 400, 0])
def test_chunked_and_coded_bodies_are_taken_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(coded_traffic())
    monkeypatch.setattr(bulk, "_MOST_LAID", room)
    with taken_in_one_step() as runs:
        in_one_step, learned = tables(path), rules(path)
    assert sum(runs) == 2 * 24 * len(CODINGS)
    without_fast_path(monkeypatch)
    assert tables(path) == in_one_step
    assert rules(path) == learned


@pytest.mark.parametrize("recording", KINDS, ids=str)
def test_block_sizes_and_shares_of_the_connections_agree(recording: Recording) -> None:
    whole = tables(recording.path)
    # The recordings are small: 4 KiB cuts them where 64 KiB cuts a long one.
    size = len(plain(recording.path))
    for block in (4_096, 65_536, 1 << 20):
        if block < size:
            assert tables(recording.path, block=block) == whole, block
    for parts in (2, 3):
        assert tables(recording.path, parts=parts) == whole, parts


def test_several_processes_agree(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(ordinary_traffic())
    one, captures, _ = pipeline.extract([str(path)])
    two, same, _ = pipeline.extract([str(path)], jobs=2)
    assert captures == same
    assert sorted(one.begun) == sorted(two.begun)
    assert one.exchanges.length == two.exchanges.length == 96


@pytest.mark.parametrize("jobs", [1, 2])
def test_several_processes_complain_like_one(tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(b"no capture")
    with pytest.raises(InputError, match="not a pcap or pcapng capture"):
        pipeline.extract([str(path)], jobs=jobs)


def test_bytes_behind_a_response_are_counted_on_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Conversation().open()
    for target in ("/a", "/b", "/c"):
        extra = b"No Content" if target == "/b" else b""
        one.ask(request(target)).answer(response(b"", 204, fields="") + extra)
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(one.close().frames))
    found = tables(path)
    assert [row["response_extra"] for row in found[0]] == [0, 10, 0]
    assert [Flag(row["flags"]) for row in found[0]] == [0, Flag.EXTRA_BYTES, Flag.AFTER_EXTRA]
    assert found[1][0]["flags"] & ConnectionFlag.EXTRA_BYTES
    assert tables(path, parts=2) == found
    without_fast_path(monkeypatch)
    assert tables(path) == found


@pytest.mark.parametrize("block", [1 << 24, 150])
def test_bytes_behind_an_ordinary_exchange_are_counted_on_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    talk = Conversation().open()
    for target in ("/a", "/b", "/c"):
        talk.ask(request(target)).answer(response(b"{}"))
    # Those of /c come when the client has acknowledged the response, and said more than that: bytes
    # behind a plain ack are of one message with those before it.
    talk.send(CLIENT, window=0)
    written(talk, SERVER, [b"No", b" Content"], acks=True)
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(talk.frames))
    with taken_in_one_step() as runs:
        found = tables(path, block=block)
    assert sum(runs) >= (3 if block > 150 else 0)
    assert [row["response_extra"] for row in found[0]] == [0, 0, 10]
    without_fast_path(monkeypatch)
    assert tables(path) == found


def test_a_short_body_keeps_the_length_that_was_announced(tmp_path: Path) -> None:
    one = Conversation().open()
    one.ask(request("/a")).answer(response(b'{"a": 1}', length=50))
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(one.close().frames))
    (row,) = tables(path)[0]
    assert (row["response_length"], row["response_announced"]) == (8, 50)
    assert row["flags"] == Flag.BODY_WHOLE


def stragglers() -> tuple[bytes, int]:
    """Brief connections, and long after each what may come late: data, a reset, the same ports.

    Also where in the capture that begins.
    """
    early, late = [], []
    for number in range(8):
        place = ("10.0.0.1", 42_000 + number)
        talk = Conversation(place, isns=(number, 2**32 - 300 * number - 1))
        talk.open().ask(request(f"/a/{number}")).answer(response(as_json({"id": number}))).close()
        early.append(talk.frames)
        talk.frames = []
        talk.wait(SECOND)
        if number % 4 == 1:
            talk.send(number // 4, b"too late")
        elif number % 4 == 2:
            talk.reset(number // 4)
        elif number % 4 == 3:
            talk = Conversation(place, isns=(7_000, 9_000), start=talk.time)
            talk.open().ask(request("/again")).answer(response(b"[]")).close()
        late.append(talk.frames)
    before = in_time(*early)
    return pcap([*before, *in_time(*late)]), len(pcap(before))


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("most", [6, 65_536])
def test_what_comes_behind_a_brief_connection_is_told_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool, most: int
) -> None:
    capture, late = stragglers()
    path = tmp_path / "c.pcap"
    path.write_bytes(capture)
    block = 1 << 24 if at_once else late
    recalled = []
    recall = Tracker._recalled

    def counted(self: Tracker, name: bytes, key: Any) -> Any:
        recalled.append(isinstance(self._connections.get(name), Gone))
        return recall(self, name, key)

    monkeypatch.setattr(Tracker, "_recalled", counted)
    monkeypatch.setattr(limits, "CONNECTIONS", most)
    found = tables(path, block=block)
    assert any(recalled) is not at_once
    assert len(found[0]) == 10
    if most > 8:
        assert found[2]["data-after-close"] == 2
    without_fast_path(monkeypatch)
    assert tables(path, block=block) == found


# --- messages in several segments -------------------------------------------------------------


def test_messages_in_several_segments_are_taken_in_one_step(tmp_path: Path) -> None:
    talk = Conversation().open()
    for number in range(8):
        asked = request(f"/items/{number}", "POST", body=as_json({"number": number}))
        said = response(as_json({"id": number, "text": "x" * 5_000}))
        head = asked.index(b"\r\n\r\n") + 4
        written(talk, CLIENT, [asked[:head], asked[head:]])
        written(talk, SERVER, [said[at : at + 1_448] for at in range(0, len(said), 1_448)])
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(talk.close().frames))
    with taken_in_one_step() as runs:
        rows, *_ = whole = tables(path)
    assert sum(runs) == 8
    assert [row["response_end_frame"] - row["response_frame"] for row in rows] == [3] * 8
    with pytest.MonkeyPatch.context() as patch:
        without_fast_path(patch)
        assert tables(path) == whole


@pytest.mark.parametrize("inner", [request("/inner"), response(b'{"inner": 1}')], ids=["GET", "OK"])
def test_a_body_that_looks_like_a_message_is_a_body(tmp_path: Path, inner: bytes) -> None:
    talk = Conversation().open()
    for number in range(4):
        asked, said = request(f"/{number}", "POST", body=inner), response(inner)
        written(talk, CLIENT, [asked[: -len(inner)], inner])
        written(talk, SERVER, [said[: -len(inner)], inner])
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(talk.close().frames))
    with taken_in_one_step() as runs:
        whole = tables(path)
    assert runs == [4]
    assert [row["target"] for row in whole[0]] == [b"/0", b"/1", b"/2", b"/3"]
    with pytest.MonkeyPatch.context() as patch:
        without_fast_path(patch)
        assert tables(path) == whole


# What bodies are made of: much of it looks like messages, or like ends of some.
PIECES = st.sampled_from(
    [
        request("/inner"),
        request("/inner", "POST", body=b"{}"),
        request("/inner", "POST", body=b"0123456789")[:-6],
        response(b'{"inner": 1}'),
        response(b"", 204, fields=""),
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\r\n\r\n",
        b'{"a": [1, null]}',
        b"x" * 1_500,
    ]
)
BODIES = st.lists(PIECES, max_size=3)


@st.composite
def message(draw: st.DrawFn, *, asks: bool) -> list[bytes]:
    """A message, or nearly one, in segments: head, pieces of the body, cut further here and there.

    Now and then it has more or less than it announces, or another one stands behind it.
    """
    pieces = draw(BODIES)
    body = b"".join(pieces)
    size = max(0, len(body) + draw(st.sampled_from([0] * 8 + [-1, 3])))
    chunked = not asks and draw(st.booleans())
    if chunked:
        pieces = [b"%x\r\n%b\r\n" % (len(p), p) for p in pieces] + [b"0\r\n\r\n"]
        framing = "Transfer-Encoding: chunked\r\n"
    else:
        framing = f"Content-Length: {size}\r\n"
    line = "POST /a HTTP/1.1" if asks else "HTTP/1.1 200 OK"
    segments = [f"{line}\r\nContent-Type: application/json\r\n{framing}\r\n".encode(), *pieces]
    if draw(st.booleans()):
        # Head and body in one, unless they are cut.
        segments = [b"".join(segments)]
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(segments) - 1))
        cut = draw(st.integers(1, max(1, len(segments[at]) - 1)))
        segments[at : at + 1] = [segments[at][:cut], segments[at][cut:]]
    if draw(st.integers(0, 9)) == 0:
        segments.append(draw(PIECES))
    return [segment for segment in segments if segment]


@st.composite
def conversation(draw: st.DrawFn, port: int) -> Conversation:
    """A connection with a few exchanges, most of them in turns."""
    talk = Conversation(("10.0.0.1", port), isns=(draw(st.sampled_from([1, 2**32 - 700])), 9))
    talk.open()
    for _ in range(draw(st.integers(1, 5))):
        turn = draw(st.sampled_from(["one"] * 6 + ["two asked", "only asked", "only said"]))
        acks = draw(st.booleans())
        if turn != "only said":
            written(talk, CLIENT, draw(message(asks=True)), acks=acks)
        if turn == "two asked":
            written(talk, CLIENT, draw(message(asks=True)), acks=acks)
        if turn != "only asked":
            written(talk, SERVER, draw(message(asks=False)), acks=draw(st.booleans()))
    return talk.close() if draw(st.booleans()) else talk


@settings(max_examples=60, deadline=None)
@given(st.tuples(conversation(40_000), conversation(40_001)))
def test_messages_in_segments_are_the_same_both_ways(talks: tuple[Conversation, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.pcap"
        path.write_bytes(pcap(in_time(*(talk.frames for talk in talks))))
        whole = tables(path)
        assert tables(path, block=2_000) == whole
        assert tables(path, parts=2) == whole
        with pytest.MonkeyPatch.context() as patch:
            without_fast_path(patch)
            assert tables(path) == whole


@pytest.mark.parametrize("block", [1 << 24, 4_096])
@pytest.mark.parametrize("words", [5_800, 6_000])  # of one the last segment is not acknowledged
def test_an_answer_in_many_segments_is_taken_though_no_request_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, words: int
) -> None:
    body = as_json({"words": ["word"] * words})
    talk = Conversation().open().ask(request("/a"))
    for at in range(0, len(answered := response(body)), 1_448):
        talk.send(SERVER, answered[at : at + 1_448])
        if at // 1_448 % 2:
            talk.send(CLIENT)
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(talk.frames))
    with taken_in_one_step() as runs:
        found = tables(path, block=block)
    assert runs == ([1] if block > len(body) else [])
    assert found[1][0]["server_acked"] > len(body) // 2
    without_fast_path(monkeypatch)
    assert tables(path) == found
