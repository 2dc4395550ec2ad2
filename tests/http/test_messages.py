"""Messages out of bytes: whole, byte by byte, at random; against h11; gaps and damage."""

from collections.abc import Callable

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.anomalies import Anomalies
from analyzer.http.messages import Message, MessageReader, State
from analyzer.limits import BODY as LONGEST_BODY
from analyzer.limits import HEAD
from tests.builder import request, response
from tests.http.reading import Read, messages

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

# What is asked, and what is answered, as bytes; and the methods that the answers answer.
REQUESTS: dict[str, bytes] = {
    "get": request("/a"),
    "post": request("/b", "POST", body=b"x" * 50),
    "pipelined": request("/a") + request("/b", "POST", body=b"abc") + request("/c"),
    "chunked": b"PUT /c HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"3\r\nabc\r\n10;e=1\r\n"
    + b"y" * 16 + b"\r\n0\r\nTrailer: t\r\n\r\n" + request("/after"),
    "empty lines before": b"\r\n\r\n" + request("/a") + b"\r\n" + request("/b"),
    "bare line feeds": b"GET /lf HTTP/1.1\nHost: h\nContent-Length: 2\n\nab" + request("/next"),
    "http 1.0": request("/old", version="1.0"),
    "folded": b"GET /f HTTP/1.1\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\nz" + request("/n"),
}  # fmt: skip
RESPONSES: dict[str, tuple[bytes, list[bytes]]] = {
    "length": (response(b'{"a": 1}'), [b"GET"]),
    "empty": (response(b""), [b"GET"]),
    "chunked": (
        b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"5\r\nhello\r\nA\r\n0123456789\r\n000\r\nT: 1\r\n\r\n"
        + response(b"next"),
        [b"GET", b"GET"],
    ),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"body"), [b"POST"]),
    "hints": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + response(b"b"),
        [b"GET"],
    ),
    "head": (response(b"", length=100) + response(b"real"), [b"HEAD", b"GET"]),
    "no content": (
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
        + response(b"x"),
        [b"DELETE", b"GET", b"GET"],
    ),
    "until close": (b"HTTP/1.0 200 OK\r\n\r\nanything\r\nHTTP/1.1 200 OK\r\n\r\n", [b"GET"]),
    "upgrade": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
        [b"GET"],
    ),
    "connect": (b"HTTP/1.1 200 Connected\r\n\r\n\x16\x03\x01rest", [b"CONNECT"]),
    "pipelined": (response(b"1") + response(b"22") + response(b"333", 404), [b"GET"] * 3),
}  # fmt: skip


def _request(data: list[bytes]) -> list[Read]:
    return messages(data)[0]


def _response(methods: list[bytes]) -> Callable[[list[bytes]], list[Read]]:
    return lambda data: messages(data, answers=methods, close=True)[0]


ALL = [pytest.param(data, _request, id=f"request {name}") for name, data in REQUESTS.items()] + [
    pytest.param(data, _response(methods), id=f"response {name}")
    for name, (data, methods) in RESPONSES.items()
]
Reading = Callable[[list[bytes]], list[Read]]


@pytest.mark.parametrize(("data", "read"), ALL)
def test_byte_by_byte_gives_the_same_messages(data: bytes, read: Reading) -> None:
    whole = read([data])
    assert whole
    assert all(message.complete for message in whole)
    assert read([data[at : at + 1] for at in range(len(data))]) == whole


@pytest.mark.parametrize(("data", "read"), ALL)
def test_any_two_pieces_give_the_same_messages(data: bytes, read: Reading) -> None:
    whole = read([data])
    for at in range(1, len(data)):
        assert read([data[:at], data[at:]]) == whole, at


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=5),
    st.lists(st.integers(1, 60), min_size=1, max_size=30),
)
def test_any_pieces_give_the_same_messages(names: list[str], sizes: list[int]) -> None:
    data = b"".join(REQUESTS[name] for name in names)
    pieces, at, turn = [], 0, 0
    while at < len(data):
        pieces.append(data[at : at + sizes[turn % len(sizes)]])
        at += len(pieces[-1])
        turn += 1
    assert messages(pieces) == messages([data])


def bodies(found: list[Read]) -> list[tuple[int, bytes | None]]:
    return [(message.status, message.body) for message in found]


def test_what_responses_say() -> None:
    read = {name: _response(methods)([data]) for name, (data, methods) in RESPONSES.items()}
    assert bodies(read["length"]) == [(200, b'{"a": 1}')]
    assert bodies(read["chunked"]) == [(200, b"hello0123456789"), (200, b"next")]
    assert [m.length for m in read["chunked"]] == [15, 4]
    assert bodies(read["interim"]) == [(100, None), (200, b"body")]
    assert bodies(read["hints"]) == [(103, None), (100, None), (200, b"b")]
    assert bodies(read["head"]) == [(200, None), (200, b"real")]
    assert bodies(read["no content"]) == [(204, None), (304, None), (200, b"x")]
    assert bodies(read["until close"]) == [(200, b"anything\r\nHTTP/1.1 200 OK\r\n\r\n")]
    assert [m.tunnel for m in read["upgrade"]] == [True]
    assert [m.tunnel for m in read["connect"]] == [True]
    assert bodies(read["pipelined"]) == [(200, b"1"), (200, b"22"), (404, b"333")]


def test_what_requests_say() -> None:
    assert [(m.method, m.target, m.length) for m in _request([REQUESTS["pipelined"]])] == [
        (b"GET", b"/a", 0),
        (b"POST", b"/b", 3),
        (b"GET", b"/c", 0),
    ]
    assert [(m.target, m.length) for m in _request([REQUESTS["chunked"]])] == [
        (b"/c", 19),
        (b"/after", 0),
    ]


def test_positions_are_those_of_the_first_byte() -> None:
    data = request("/a") + b"\r\n" + request("/b")
    first, second = _request([data])
    assert (first.seq, second.seq) == (0, len(request("/a")) + 2)


# --- h11 as the oracle -------------------------------------------------------------------------

TOKEN = st.text("abcXYZ-09", min_size=1, max_size=8)
BODY = st.binary(max_size=300)


@st.composite
def written_by_h11(draw: st.DrawFn) -> tuple[bytes, bytes, list[tuple[bytes, bytes, bytes]]]:
    """Both directions of a connection as h11 writes them; method, request and response body."""
    client, server = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
    asked, answered, expected = b"", b"", []
    for _ in range(draw(st.integers(1, 4))):
        method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"]))
        body = draw(BODY) if method in ("POST", "PUT") else b""
        framing = [("Content-Length", str(len(body)))]
        if body and draw(st.booleans()):
            framing = [("Transfer-Encoding", "chunked")]
        headers = [("Host", "h"), (f"X-{draw(TOKEN)}", draw(TOKEN)), *(framing if body else [])]
        part = client.send(h11.Request(method=method, target=f"/{draw(TOKEN)}", headers=headers))
        part = part or b""
        cut = draw(st.integers(0, len(body)))
        for data in (body[:cut], body[cut:]):
            part += client.send(h11.Data(data=data)) or b""
        part += client.send(h11.EndOfMessage()) or b""
        asked += part
        server.receive_data(part)
        while server.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            if server.their_state is h11.DONE:
                break
        if draw(st.booleans()):
            hint = server.send(h11.InformationalResponse(status_code=103, headers=[]))
            client.receive_data(hint or b"")
            answered += hint or b""
        status = draw(st.sampled_from([200, 201, 204, 304, 404, 500]))
        reply = draw(BODY) if method != "HEAD" and status not in (204, 304) else b""
        lengths = [] if draw(st.booleans()) else [("Content-Length", str(len(reply)))]
        part = server.send(h11.Response(status_code=status, headers=lengths)) or b""
        part += server.send(h11.Data(data=reply)) or b""
        part += server.send(h11.EndOfMessage()) or b""
        answered += part
        client.receive_data(part)
        while client.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            if client.their_state is h11.DONE:
                break
        expected.append((method.encode(), body, reply))
        client.start_next_cycle()
        server.start_next_cycle()
    return asked, answered, expected


@settings(max_examples=80)
@given(written_by_h11(), st.integers(1, 200))
def test_reads_what_h11_writes(
    written: tuple[bytes, bytes, list[tuple[bytes, bytes, bytes]]], size: int
) -> None:
    asked, answered, expected = written
    requests, odd = messages([asked[at : at + size] for at in range(0, len(asked), size)])
    assert [(m.method, m.length) for m in requests] == [(m, len(b)) for m, b, _ in expected]
    pieces = [answered[at : at + size] for at in range(0, len(answered), size)]
    responses, odd_too = messages(pieces, answers=[m for m, _, _ in expected])
    final = [m for m in responses if m.status >= 200]
    assert [m.body or b"" for m in final] == [reply for *_, reply in expected]
    assert all(m.complete for m in (*requests, *responses))
    assert not odd
    assert not odd_too


# --- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chunks",
    [
        b"xyz\r\n",
        b"-5\r\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"\r\n",
        b"5 5\r\nhello\r\n",
        b"10000000000000000\r\n",
        b"0x5\r\nhello\r\n",
        b"5" * 5_000,
        b"1_0\r\n" + b"x" * 16 + b"\r\n",
    ],
)
def test_invalid_chunks_end_the_reading(chunks: bytes) -> None:
    data = b"HTTP/1.1 200 OK\r\n" + CHUNKED + chunks + b"0\r\n\r\n"
    for pieces in ([data], [data[at : at + 7] for at in range(0, len(data), 7)]):
        found, anomalies = messages(pieces, answers=[b"GET"])
        assert not any(message.complete for message in found)
        assert anomalies["chunk-invalid"] == 1


def test_chunk_sizes_in_any_case_with_extensions_and_blanks() -> None:
    data = b"HTTP/1.1 200 OK\r\n" + CHUNKED
    data += b'00a ; ext="v"\r\n0123456789\r\nA\r\n0123456789\r\n0;x\r\n\r\n'
    assert bodies(messages([data], answers=[b"GET"])[0]) == [(200, b"0123456789" * 2)]


def test_a_head_that_never_ends() -> None:
    data = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000
    found, anomalies = messages([data[at : at + 4_000] for at in range(0, len(data), 4_000)])
    assert (found, anomalies) == ([], {"head-too-long": 1})


def test_reading_picks_up_at_a_clear_start_line_after_garbage() -> None:
    pieces = [b"garbage \x00\x01\r\n\r\n", b"more", request("/a"), request("/b")]
    found, anomalies = messages(pieces)
    assert [message.target for message in found] == [b"/a", b"/b"]
    assert anomalies == {"start-line-invalid": 1}


def test_a_long_body_is_counted_not_kept() -> None:
    size = LONGEST_BODY + 1
    data = response(b"x" * size)
    (one,), _ = messages([data[at : at + 60_000] for at in range(0, len(data), 60_000)], answers=[])
    assert (one.length, one.body, one.complete) == (size, None, True)


def reader_in(data: bytes) -> tuple[MessageReader, list[Message]]:
    """A reader of responses that has read `data`, and the messages that ended."""
    ended: list[Message] = []
    reader = MessageReader(
        is_request=False,
        on_head=lambda _: b"GET",
        on_end=ended.append,
        on_lost=lambda message, by_gap: None,
        anomalies=Anomalies(),
    )
    reader.feed(data, 1, 1, 0, 0)
    return reader, ended


def test_a_gap_inside_a_body_of_known_length_is_counted() -> None:
    reader, ended = reader_in(response(b"abc", length=10))
    reader.gap(5)
    reader.feed(b"yz" + response(b"next"), 2, 2, 0, 0)
    assert [(m.length, m.gap, m.complete) for m in ended] == [(10, True, True), (4, False, True)]


def test_a_gap_that_is_the_rest_of_a_body_ends_it() -> None:
    reader, ended = reader_in(response(b"abc", length=10))
    reader.gap(7)
    reader.feed(response(b"next"), 2, 2, 0, 0)
    assert [(m.length, m.gap) for m in ended] == [(10, True), (4, False)]


def test_a_gap_inside_a_chunk_is_counted() -> None:
    reader, ended = reader_in(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"A\r\n012")
    reader.gap(7)
    reader.feed(b"\r\n0\r\n\r\n", 2, 2, 0, 0)
    assert [(m.length, m.gap) for m in ended] == [(10, True)]


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Le", 20),
        (response(b"abc", length=10), 8),
        (b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"A\r\n012", 8),
        (b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"A", 2),
        (response(b"all"), 1),
    ],
)
def test_any_other_gap_loses_the_framing_until_a_clear_start(data: bytes, size: int) -> None:
    reader, ended = reader_in(data)
    before = len(ended)
    reader.gap(size)
    assert reader.state is State.LOST
    reader.feed(b"tail of something", 2, 2, 0, 0)
    assert len(ended) == before
    reader.feed(response(b"next"), 3, 3, 0, 0)
    assert [m.body for m in ended[before:]] == [[b"next"]]


def test_limits_hold() -> None:
    assert HEAD < LONGEST_BODY
