"""Which response answers which request: order and causality, and what a loss leaves open."""

import signal
from collections.abc import Iterator

import pytest

from analyzer.http.exchanges import Carries
from analyzer.tables import Flag
from tests.builder import request, response
from tests.http.reading import Wire

A, B, C = request("/a"), request("/b"), request("/c")
OK = response(b"{}")
LOSS = Flag.LOSS & ~Flag.OPEN_AT_END


def test_one_after_the_other() -> None:
    wire = Wire().client(A).server(OK).client(B).server(response(b"", 404))
    assert wire.finish() == [(b"/a", 200, "answered", 0), (b"/b", 404, "answered", 0)]
    assert (wire.http.requests, wire.http.answered) == (2, 2)


def test_pipelined_requests_are_answered_in_order() -> None:
    wire = Wire().client(A + B).client(C).server(OK + response(b"", 201)).server(response(b"", 202))
    assert wire.finish() == [
        (b"/a", 200, "answered", 0),
        (b"/b", 201, "answered", Flag.PIPELINED),
        (b"/c", 202, "answered", Flag.PIPELINED),
    ]


@pytest.mark.parametrize("status", [100, 102, 103])
def test_interim_responses_leave_the_request_outstanding(status: int) -> None:
    interim = f"HTTP/1.1 {status} Wait\r\n\r\n".encode()
    wire = Wire().client(A).server(interim).server(interim).server(OK).client(B)
    assert wire.finish() == [
        (b"/a", 200, "answered", Flag.INTERIM),
        (b"/b", 0, "unanswered", 0),
    ]


def test_an_interim_response_alone_is_no_answer() -> None:
    wire = Wire().client(A).server(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert wire.finish() == [(b"/a", 0, "unanswered", Flag.INTERIM)]


def test_a_body_sent_after_100_continue() -> None:
    head = request("/up", "PUT", fields="Content-Length: 5\r\nExpect: 100-continue\r\n")
    wire = Wire().client(head).server(b"HTTP/1.1 100 Continue\r\n\r\n").client(b"hello").server(OK)
    assert wire.client(B).server(OK).outcomes() == [
        (b"/up", 200, "answered"),
        (b"/b", 200, "answered"),
    ]


@pytest.mark.parametrize("status", [204, 304])
def test_no_body_whatever_is_said(status: int) -> None:
    wire = Wire().client(A).server(response(b"", status, length=50)).client(B).server(OK)
    assert wire.outcomes() == [(b"/a", status, "answered"), (b"/b", 200, "answered")]


def test_answers_to_head_have_no_body() -> None:
    wire = (
        Wire().client(request("/a", "HEAD")).server(response(b"", length=50)).client(B).server(OK)
    )
    assert wire.outcomes() == [(b"/a", 200, "answered"), (b"/b", 200, "answered")]


def test_head_and_get_pipelined() -> None:
    wire = Wire().client(request("/a", "HEAD") + B + request("/c", "HEAD"))
    wire.server(response(b"", length=50) + OK + response(b"", length=7))
    assert [one[2] for one in wire.outcomes()] == ["answered"] * 3


def test_a_response_until_the_close() -> None:
    wire = Wire().client(request("/a", version="1.0")).server(b"HTTP/1.0 200 OK\r\n\r\nsome")
    wire.server(b"more").close(1)
    assert wire.outcomes() == [(b"/a", 200, "answered")]


def test_a_response_until_a_close_that_never_came_is_incomplete() -> None:
    wire = Wire().client(A).server(b"HTTP/1.0 200 OK\r\n\r\nsome")
    assert wire.finish() == [(b"/a", 200, "incomplete", 0)]


def test_an_upgrade_ends_http() -> None:
    wire = Wire().client(request("/ws", fields="Upgrade: websocket\r\nConnection: Upgrade\r\n"))
    wire.server(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello")
    wire.client(b"\x81\x85GET / HTTP/1.1\r\n\r\n").server(b"HTTP/1.1 200 OK\r\n\r\n")
    assert wire.finish() == [(b"/ws", 101, "answered", Flag.TUNNEL)]
    assert wire.http.carries is Carries.TUNNEL


def test_a_refused_upgrade_goes_on_in_http() -> None:
    wire = Wire().client(request("/ws", fields="Upgrade: h2c\r\n")).server(OK).client(B).server(OK)
    assert [one[2] for one in wire.outcomes()] == ["answered", "answered"]


def test_connect_opens_a_tunnel_when_it_succeeds() -> None:
    connect = b"CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\n\r\n"
    wire = Wire().client(connect).server(b"HTTP/1.1 200 Connection established\r\n\r\n")
    wire.client(b"\x16\x03\x01").server(b"\x16\x03\x03")
    assert wire.finish() == [(b"host:443", 200, "answered", Flag.TUNNEL)]
    refused = Wire().client(connect).server(response(b"no", 407)).client(connect).server(OK)
    assert refused.outcomes() == [(b"host:443", 407, "answered"), (b"host:443", 200, "answered")]


CONNECT = b"CONNECT host:80 HTTP/1.1\r\nHost: host:80\r\n\r\n"
CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def test_http_in_a_tunnel_that_connect_opened_is_read() -> None:
    wire = Wire().client(CONNECT).server(CONNECTED).client(A[:1]).client(A[1:] + B)
    wire.server(OK).server(response(b"", 404)).client(C).server(OK)
    assert wire.finish() == [
        (b"host:80", 200, "answered", Flag.TUNNEL),
        (b"/a", 200, "answered", 0),
        (b"/b", 404, "answered", Flag.PIPELINED),
        (b"/c", 200, "answered", 0),
    ]
    assert wire.anomalies == {"tunnel-http": 1}
    assert wire.http.carries is Carries.HTTP


def test_a_client_that_does_not_wait_for_its_tunnel() -> None:
    wire = Wire().client(CONNECT + A).server(CONNECTED).server(OK).client(B).server(OK)
    assert [one[:3] for one in wire.finish()] == [
        (b"host:80", 200, "answered"),
        (b"/a", 200, "answered"),
        (b"/b", 200, "answered"),
    ]
    assert wire.anomalies == {"tunnel-http": 1}


def test_a_tunnel_in_a_tunnel() -> None:
    wire = Wire().client(CONNECT).server(CONNECTED).client(CONNECT).server(CONNECTED)
    wire.client(A).server(OK)
    assert [one[0] for one in wire.finish()] == [b"host:80", b"host:80", b"/a"]
    assert wire.anomalies == {"tunnel-http": 2}


@pytest.mark.parametrize(
    "said",
    [
        [(1, b"220 mail.example ESMTP\r\n"), (0, b"EHLO a\r\n"), (1, b"250 HTTP/1.1 200\r\n")],
        [(0, b"\x16\x03\x01\x00\x05hello"), (1, b"\x16\x03\x03")],
        [(0, b"A" * 9_000), (0, A)],
        [(0, b"A")] * 100,
        [(0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
    ],
    ids=["smtp", "tls", "no line", "bit by bit", "http2"],
)
def test_what_else_a_tunnel_carries_is_counted(said: list[tuple[int, bytes]]) -> None:
    wire = Wire().client(CONNECT).server(CONNECTED)
    for side, data in said:
        (wire.server if side else wire.client)(data)
    assert wire.finish() == [(b"host:80", 200, "answered", Flag.TUNNEL)]
    assert wire.anomalies == {"tunnel": 1}
    assert wire.http.carries is Carries.TUNNEL


def test_behind_a_hole_in_a_tunnel_a_request_is_found_again() -> None:
    wire = Wire().client(CONNECT).server(CONNECTED).gap(0, 500).client(b"rest of a body")
    wire.client(A).server(OK)
    assert wire.outcomes() == [(b"host:80", 200, "answered"), (b"/a", 200, "answered")]


def test_an_answer_before_the_body_has_been_sent() -> None:
    head = request("/up", "POST", fields="Content-Length: 1000\r\n")
    wire = Wire().client(head + b"x" * 10).server(response(b"", 413)).client(b"x" * 990)
    assert wire.client(B).server(OK).outcomes() == [
        (b"/up", 413, "answered"),
        (b"/b", 200, "answered"),
    ]


def test_a_request_without_an_answer() -> None:
    assert Wire().client(A).finish() == [(b"/a", 0, "unanswered", 0)]
    assert Wire().client(A).finish(open_at_end=True) == [(b"/a", 0, "unanswered", Flag.OPEN_AT_END)]


def test_a_request_that_never_ended() -> None:
    wire = Wire().client(request("/a", "POST", fields="Content-Length: 9\r\n") + b"part")
    assert wire.finish() == [(b"/a", 0, "unanswered", Flag.REQUEST_OPEN)]


def test_a_response_that_never_ended() -> None:
    wire = Wire().client(A).server(response(b"abc", length=10)).close(1)
    assert wire.finish() == [(b"/a", 200, "incomplete", 0)]


def test_an_answer_after_the_clients_close() -> None:
    wire = Wire().client(A).close(0).server(OK).close(1)
    assert wire.finish() == [(b"/a", 200, "answered", Flag.AFTER_CLIENT_CLOSE)]


# --- where order and causality disagree --------------------------------------------------------


def test_a_surplus_response_is_read_as_the_answer_to_the_next_request() -> None:
    wire = (
        Wire().client(A).server(OK).server(response(b"", 201)).client(B).server(response(b"", 202))
    )
    found = wire.finish()
    assert found[:2] == [
        (b"/a", 200, "answered", 0),
        (b"/b", 201, "answered", Flag.SURPLUS),
    ]
    assert [one[:3] for one in found[2:]] == [(b"", 202, "unsolicited")]


def test_a_response_sent_before_its_request_had_arrived() -> None:
    wire = Wire().client(A).server(OK)
    acked = wire.next[0]
    wire.client(B).server(response(b"", 201), ack=acked)
    assert wire.finish()[1] == (b"/b", 201, "answered", Flag.SURPLUS)


def test_a_lone_response_is_unsolicited() -> None:
    wire = Wire().client(A).server(OK).server(response(b"", 201))
    assert wire.finish() == [(b"/a", 200, "answered", 0), (b"", 201, "unsolicited", 0)]
    assert wire.anomalies == {"response-unsolicited": 1}


# --- losses --------------------------------------------------------------------------------


def test_after_a_gap_only_the_numbers_pair() -> None:
    wire = Wire().client(A).server(OK)
    wire.gap(0, len(B))  # a request nobody saw
    wire.server(response(b"", 201)).client(C).server(response(b"", 202))
    found = wire.finish()
    assert [(one.target, one.status) for one in found] == [(b"/a", 200), (b"/c", 202)]
    assert found[1].flags & LOSS
    assert wire.anomalies == {"response-without-request": 1}


def test_a_lost_response_leaves_its_request_undecided() -> None:
    wire = Wire().client(A).gap(1, len(OK)).client(B).server(response(b"", 202))
    found = wire.finish()
    assert [one[:3] for one in found] == [(b"/a", 0, "unanswered"), (b"/b", 202, "answered")]
    assert found[0].flags & Flag.GAP_RESPONSE
    assert found[1].flags & LOSS


def test_several_clear_exchanges_end_the_doubt() -> None:
    wire = Wire().client(A).gap(1, len(OK))
    for _ in range(6):
        wire.client(B).server(OK)
    found = wire.finish()
    assert found[1].flags & LOSS
    assert not found[-1].flags & LOSS


def test_a_gap_inside_a_body_leaves_the_pairing() -> None:
    wire = Wire().client(A).server(response(b"abc", length=100)).gap(1, 97).client(B).server(OK)
    found = wire.finish()
    assert [one[:3] for one in found] == [(b"/a", 200, "answered"), (b"/b", 200, "answered")]
    assert found[0].flags & Flag.GAP_RESPONSE


def test_a_late_start_begins_with_a_response() -> None:
    wire = Wire(midstream=True).server(OK).client(A).server(response(b"", 201))
    found = wire.finish()
    assert [one[:3] for one in found] == [(b"/a", 201, "answered")]
    assert wire.anomalies == {"response-without-request": 1}


@pytest.mark.parametrize("data", [b"\x00\x01\x02 what is this\r\n\r\n", b"ERR busy", b"x"])
def test_what_is_no_http_is_an_answer_that_began(data: bytes) -> None:
    wire = Wire().client(A).server(data[:1]).server(data[1:] or b"y").client(B)
    found = wire.finish()
    assert [one[:3] for one in found] == [(b"/a", 0, "incomplete"), (b"/b", 0, "unanswered")]
    assert found[0].flags == Flag.NOT_HTTP
    assert found[1].flags & Flag.DAMAGED
    assert not found[1].flags & LOSS
    assert wire.anomalies == {"start-line-invalid": 1}


@pytest.mark.parametrize(
    ("line", "status"), [(b"HTTP/1.1 2XX OK", 0), (b"http/1.1 OK", 0), (b"HTTP/1.1", 0)]
)
def test_a_status_line_that_cannot_be_read_is_named(line: bytes, status: int) -> None:
    wire = Wire().client(A).server(line + b"\r\nContent-Length: 0\r\n\r\n")
    (one,) = wire.finish()
    assert one == (b"/a", status, "incomplete", Flag.NOT_HTTP)
    assert wire.anomalies == {"status-line-invalid": 1}


def test_what_is_behind_a_status_line_that_cannot_be_read_lacks_no_frames() -> None:
    """The connection goes on: the next one is answered, and nothing was lost on the way."""
    wire = Wire().client(A).server(b"HTTP/1.1 2XX OK\r\nContent-Length: 2\r\n\r\nok")
    wire.client(B).server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    first, second = wire.finish()
    assert first[:3] == (b"/a", 0, "unanswered")
    assert first[3] & Flag.DAMAGED
    assert not first[3] & LOSS
    assert second[:3] == (b"/b", 200, "answered")


@pytest.fixture
def deadline() -> Iterator[None]:
    """Fail after 5 s of processor time: a reader that goes round and round never returns."""

    def late(*_: object) -> None:
        pytest.fail("the reader does not go on")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, 5)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("pieces", [1, 2, 40])
@pytest.mark.parametrize("ahead", [b"", b"ERR busy\r\n\r\n"])
@pytest.mark.parametrize("line", [b"HTTP/1.1 200 OK\rX", b"HTTP/1.1 200\rX"])
def test_a_damaged_status_line_is_read_once(line: bytes, ahead: bytes, pieces: int) -> None:
    # It begins as a status line must, and is none: where it stands, no message may be sought again.
    data = ahead + line + b"\r\n\r\n"
    wire = Wire().client(A).server(OK).client(B)
    size = -(-len(data) // pieces)
    for at in range(0, len(data), size):
        wire.server(data[at : at + size])
    before, one = wire.finish()
    assert before[:3] == (b"/a", 200, "answered")
    assert one == (b"/b", 0, "incomplete", Flag.NOT_HTTP)


@pytest.mark.parametrize(
    "line", [b"http/1.1 200 OK", b"HTTP/1.0.8 200 OK", b"HTTP/1 200", b"HTTP/1.1\t200\tOK"]
)
def test_an_odd_status_line_is_read_as_it_is_meant(line: bytes) -> None:
    wire = Wire().client(A).server(line + b"\r\nContent-Length: 2\r\n\r\nok").client(B).server(OK)
    found = wire.finish()
    assert [one[:3] for one in found] == [(b"/a", 200, "answered"), (b"/b", 200, "answered")]
    assert [one.flags for one in found] == [Flag.ODD_START_LINE, 0]
    assert wire.anomalies == {"start-line-odd": 1}


@pytest.mark.parametrize("version", [b"HTTP/1.0.8", b"http/1.1", b"HTTP/1"])
def test_a_request_with_an_odd_version_has_its_response(version: bytes) -> None:
    wire = Wire().client(b"GET /a " + version + b"\r\n\r\n").server(OK)
    assert wire.finish() == [(b"/a", 200, "answered", Flag.ODD_START_LINE)]


@pytest.mark.parametrize("size", [1, 4, 9, 15, 20, 40])
@pytest.mark.parametrize("open_at_end", [False, True])
def test_a_part_of_a_head_is_an_answer_that_began(size: int, open_at_end: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    wire = Wire().client(A).server(head[: size // 2]).server(head[size // 2 : size])
    (one,) = wire.finish(open_at_end=open_at_end)
    known = 200 if size >= 15 else 0
    flags = Flag.HEAD_CUT | (Flag.OPEN_AT_END if open_at_end else 0)
    assert one == (b"/a", known, "incomplete", flags)
    assert not wire.anomalies


def test_a_part_of_an_interim_response_is_no_answer() -> None:
    wire = Wire().client(A).server(b"HTTP/1.1 103 Early Hints\r\nLink: x")
    assert wire.outcomes() == [(b"/a", 0, "unanswered")]


def extra_after(first: bytes, data: bytes, *, method: str = "GET", cut: int = 0) -> Wire:
    """A response with bytes behind its end, in one segment with it or `cut` into the next ones."""
    wire = Wire().client(request("/a", method))
    pieces = [first + data] if not cut else [first, data[:cut], data[cut:]]
    for piece in pieces:
        if piece:
            wire.server(piece)
    return wire


EXTRA = [
    (response(b"", 204, fields=""), b"No Content", "DELETE"),
    (response(b"", 304, fields=""), b"0\r\n\r\n", "GET"),
    (response(b"", 200, length=5), b"<html>", "HEAD"),
    (response(b"{}", 200), b'"}', "GET"),
    (response(b"{}", 200), b"HTTP is no status line", "GET"),
]


@pytest.mark.parametrize(("first", "data", "method"), EXTRA)
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_bytes_behind_a_response_belong_to_it(
    first: bytes, data: bytes, method: str, cut: int
) -> None:
    wire = (
        extra_after(first, data, method=method, cut=cut).client(B).server(OK).client(A).server(OK)
    )
    found = wire.finish()
    assert [one[2] for one in found] == ["answered"] * 3
    assert [one.flags for one in found] == [0, Flag.AFTER_EXTRA, 0]
    assert wire.extras == {0: len(data)}
    assert wire.http.extra == len(data)
    assert wire.anomalies == {"extra-bytes": 1}


def test_a_response_in_one_segment_with_what_is_in_its_way() -> None:
    first = response(b"", 204, fields="")
    for cut in range(1, 30):
        whole = b"No Content" + OK
        wire = Wire().client(A).server(first).client(B).server(whole[:cut]).server(whole[cut:])
        found = wire.finish()
        assert [one[:3] for one in found] == [(b"/a", 204, "answered"), (b"/b", 200, "answered")]
        assert found[1].flags == Flag.AFTER_EXTRA
        assert wire.extras == {0: 10}


def test_who_waits_behind_extra_bytes_is_marked() -> None:
    wire = extra_after(response(b"", 204, fields=""), b"No Content").client(B)
    found = wire.finish()
    assert found[1] == (b"/b", 0, "unanswered", Flag.AFTER_EXTRA)
    assert wire.extras == {0: 10}


def test_text_instead_of_a_later_answer_is_not_extra() -> None:
    wire = Wire().client(A).server(OK).client(B).server(b"Service busy, go away")
    found = wire.finish()
    assert found[1] == (b"/b", 0, "incomplete", Flag.NOT_HTTP)
    assert not wire.extras


@pytest.mark.parametrize(
    ("fields", "body", "whole"),
    [
        ("Content-Type: application/json\r\n", b'{"a": [1, {"b": "}"}]}', True),
        ("Content-Type: application/json\r\n", b'{"a": [1, {"b": "}"}', False),
        ("Content-Type: application/json\r\n", b"[" * 100_000 + b"]", False),
        ("Content-Type: application/json\r\n", b"12", False),
        ("Content-Type: text/html\r\n", b"<html><p>x</p></HTML>\n", True),
        ("Content-Type: text/html\r\n", b"<html><p>x</p>", False),
        ("Content-Type: text/plain\r\n", b"", False),
    ],
)
def test_whether_a_body_that_is_too_short_is_whole(fields: str, body: bytes, whole: bool) -> None:
    wire = Wire().client(A).server(response(body, fields=fields, length=len(body) + 40))
    assert wire.finish() == [(b"/a", 200, "incomplete", Flag.BODY_WHOLE if whole else 0)]


def test_the_last_chunk_without_the_last_line_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    assert Wire().client(A).server(head + b"0\r\n").finish()[0].flags == Flag.BODY_WHOLE
    assert Wire().client(A).server(head).finish()[0].flags == 0


def test_a_client_that_goes_on_after_an_interim_response() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    wire = Wire().client(A).server(hint).client(B).server(OK).server(OK).client(A).server(OK)
    found = wire.finish()
    assert [bool(one.flags & Flag.AFTER_INTERIM) for one in found] == [False, True, True]
    pipelined = Wire().client(A + B).server(hint + OK + OK).finish()
    assert not any(one.flags & Flag.AFTER_INTERIM for one in pipelined)
    polite = Wire().client(A).server(hint).server(OK).client(B).server(OK).finish()
    assert not any(one.flags & Flag.AFTER_INTERIM for one in polite)


def test_what_follows_unreadable_bytes_does_not_follow_a_gap() -> None:
    bad = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    found = Wire().client(A).server(bad).client(B).finish()
    assert found[1].flags & Flag.DAMAGED
    assert not found[1].flags & Flag.AFTER_GAP
    gap = Wire().client(A).gap(1, 10).client(B).finish()
    assert gap[1].flags & Flag.AFTER_GAP
    assert not gap[1].flags & Flag.DAMAGED


def test_ambiguous_framing_makes_the_rest_doubtful() -> None:
    both = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    wire = Wire().client(A).server(both).client(B)
    found = wire.finish()
    assert found[0][:3] == (b"/a", 200, "answered")
    assert found[1].flags & (LOSS | Flag.DAMAGED)
    assert wire.anomalies["content-length-and-chunked"] == 1


def test_the_number_of_outstanding_requests_is_limited() -> None:
    wire = Wire()
    for _ in range(5_000):
        wire.client(A)
    found = wire.finish()
    assert len(found) == 5_000
    assert all(one.outcome == "unanswered" for one in found)
    assert len(wire.http.outstanding) == 0
    assert found[0].flags & Flag.DAMAGED
