"""Each echo that the protocol demands: kept, broken, what honest servers do all the same."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.features.demanded import (
    DEMANDS,
    NOTED,
    Agreement,
    Demand,
    Head,
    accept_of,
    agreements,
    flags,
    head_of,
)
from analyzer.findings.model import SWAP
from analyzer.tables import Flag
from tests.builder import Conversation, as_json, pcap, request, response
from tests.tools import exchanges

KEPT, OPEN, BROKEN = Agreement.KEPT, Agreement.OPEN, Agreement.BROKEN

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

Lines = dict[str, str]


def agreed(name: str, asked: Lines, status: int, said: Lines, method: str = "GET") -> object:
    """What the demand of that name finds; None: it does not tell."""
    one, two = head_of(asked.items(), method=method), head_of(said.items(), status=status)
    return {demand.name: found for demand, found in agreements(one, two)}.get(name)


# (Range, Content-Range of a 206, what that is)
RANGES = [
    ("bytes=100-199", "bytes 100-199/1000", KEPT),
    ("bytes=0-99", "bytes 0-99/1000", KEPT),
    ("bytes=900-", "bytes 900-999/1000", KEPT),
    ("bytes=-100", "bytes 900-999/1000", KEPT),
    ("BYTES=100-199", "Bytes 100-199/*", KEPT),
    # Cut at the end of the file.
    ("bytes=900-1999", "bytes 900-999/1000", KEPT),
    # What fits many, or is less than was asked, or sloppily more.
    ("bytes=0-", "bytes 0-999/1000", OPEN),
    ("bytes=0-5000", "bytes 0-999/1000", OPEN),
    ("bytes=-5000", "bytes 0-999/1000", OPEN),
    ("bytes=-100", "bytes 900-999/*", OPEN),
    ("bytes=100-199", "bytes 100-149/1000", OPEN),
    ("bytes=100-199", "bytes 100-999/1000", OPEN),
    # Several may be put together (RFC 9110 section 15.3.7.2).
    ("bytes=0-9, 20-29", "bytes 0-29/1000", OPEN),
    ("bytes=20-29, 0-9", "bytes 0-9/1000", OPEN),
    # Another's.
    ("bytes=100-199", "bytes 200-299/1000", BROKEN),
    ("bytes=100-199", "bytes 0-199/1000", BROKEN),
    ("bytes=-100", "bytes 0-99/1000", BROKEN),
    ("bytes=900-", "bytes 100-999/1000", BROKEN),
    ("bytes=0-9, 20-29", "bytes 400-499/1000", BROKEN),
    # What cannot be read says nothing.
    ("bytes=199-100", "bytes 200-299/1000", None),
    ("bytes=-", "bytes 200-299/1000", None),
    ("bytes=", "bytes 200-299/1000", None),
    ("lines=1-9", "lines 20-29/100", None),
    ("lines=1-9", "bytes 20-29/100", None),
    ("bytes=100-199", "", None),
    ("bytes=100-199", "bytes */1000", None),
    ("bytes=100-199", "bytes 1-" + "9" * 5000 + "/*", None),
    ("bytes=" + "9" * 5000 + "-", "bytes 1-2/3", None),
]


@pytest.mark.parametrize(("asked", "said", "found"), RANGES)
def test_a_part_is_the_one_that_was_asked_for(asked: str, said: str, found: object) -> None:
    assert agreed("range", {"Range": asked}, 206, {"Content-Range": said}) == found


def test_a_part_that_nobody_asked_for() -> None:
    assert agreed("range", {}, 206, {"Content-Range": "bytes 0-9/100"}) is BROKEN
    # Several parts have their ranges in the body.
    assert agreed("range", {"Range": "bytes=0-9,20-29"}, 206, {}) is None


def test_a_range_may_be_ignored() -> None:
    assert agreed("range", {"Range": "bytes=100-199"}, 200, {}) is None
    assert agreed("range", {"Range": "bytes=5-9"}, 200, {"Content-Range": "bytes 0-9/10"}) is None


@pytest.mark.parametrize(
    ("asked", "said", "found"),
    [
        ("bytes=1000-", "bytes */1000", OPEN),
        ("bytes=1000-1999", "bytes */1000", OPEN),
        ("bytes=-0", "bytes */1000", OPEN),
        ("bytes=999-", "bytes */1000", BROKEN),
        ("bytes=2000-, 0-9", "bytes */1000", BROKEN),
        ("bytes=-5", "bytes */1000", BROKEN),
        ("bytes=0-", "bytes */0", OPEN),
        ("bytes=0-9", "", None),
    ],
)
def test_what_begins_behind_the_end_is_refused(asked: str, said: str, found: object) -> None:
    assert agreed("range", {"Range": asked}, 416, {"Content-Range": said}) == found


@pytest.mark.parametrize(
    ("named", "given", "found"),
    [
        ('"a"', '"a"', KEPT),
        ('W/"a"', '"a"', KEPT),  # weak comparison
        ('"a"', 'W/"a"', KEPT),
        ('"b", W/"a"', '"a"', KEPT),
        ('"a-gzip"', '"a"', KEPT),  # what Apache puts behind the tag of what it has coded
        ('"a"', 'W/"a;br"', KEPT),
        ("*", '"a"', OPEN),
        ('"a"', '"b"', BROKEN),
        ('"a", "b"', '"c"', BROKEN),
        ('"a"', None, None),  # RFC 9110 demands one, and many have none
        ('"a"', "a", None),
    ],
)
def test_what_has_not_changed_is_what_was_named(
    named: str, given: str | None, found: object
) -> None:
    said = {} if given is None else {"ETag": given}
    assert agreed("etag", {"If-None-Match": named}, 304, said) == found
    assert agreed("etag", {"If-None-Match": named}, 200, said) is None
    assert agreed("etag", {"If-None-Match": named}, 304, said, "POST") is None


def test_an_unconditional_request_is_not_told_that_nothing_changed() -> None:
    assert agreed("etag", {}, 304, {"ETag": '"a"'}) is BROKEN
    assert agreed("etag", {}, 304, {}) is None  # some services mean "nothing new" by it
    by_date = {"If-Modified-Since": "Tue, 24 Nov 2026 10:00:00 GMT"}
    assert agreed("etag", by_date, 304, {"ETag": '"a"'}) is None


def test_a_part_is_of_what_the_client_has() -> None:
    asked = {"Range": "bytes=5-9", "If-Range": '"a"'}
    assert agreed("if-range", asked, 206, {"ETag": '"a"'}) is KEPT
    assert agreed("if-range", asked, 206, {"ETag": '"b"'}) is BROKEN
    assert agreed("if-range", asked, 206, {}) is None
    assert agreed("if-range", asked, 200, {"ETag": '"b"'}) is None
    dated = {"Range": "bytes=5-9", "If-Range": "Tue, 24 Nov 2026 10:00:00 GMT"}
    assert agreed("if-range", dated, 206, {"ETag": '"b"'}) is None


def test_a_handshake_has_the_hash_of_its_key() -> None:
    assert accept_of(KEY) == ACCEPT
    asked = {"Sec-WebSocket-Key": KEY}
    assert agreed("websocket", asked, 101, {"Sec-WebSocket-Accept": ACCEPT}) is KEPT
    other = {"Sec-WebSocket-Accept": accept_of("AAAAAAAAAAAAAAAAAAAAAA==")}
    assert agreed("websocket", asked, 101, other) is BROKEN
    assert agreed("websocket", {}, 101, other) is BROKEN
    assert agreed("websocket", asked, 101, {"Upgrade": "chat"}) is None
    assert agreed("websocket", asked, 200, other) is None


def result(*ids: object) -> list[object]:
    return [{"jsonrpc": "2.0", "id": one, "result": {}} for one in ids]


def call(*ids: object) -> list[object]:
    return [{"jsonrpc": "2.0", "id": one, "method": "add"} for one in ids]


LONG = "c-118-77"
NOTICE = {"jsonrpc": "2.0", "method": "progress"}
ASKS = {"jsonrpc": "2.0", "id": 900, "method": "sampling"}  # a call of the server's own


@pytest.mark.parametrize(
    ("asked", "said", "found"),
    [
        (call(LONG)[0], result(LONG)[0], KEPT),
        (call(7)[0], result(7)[0], OPEN),
        (call(7)[0], result("7")[0], OPEN),
        (call(7)[0], result(8)[0], BROKEN),
        (call(7)[0], {"jsonrpc": "2.0", "id": 8, "error": {"code": 1}}, BROKEN),
        (call(7)[0], {"jsonrpc": "2.0", "id": None, "error": {"code": -32700}}, None),
        (call(7, LONG), result(LONG, 7), KEPT),
        (call(7, 8), result(7), OPEN),
        (call(7, 8), result(7, 9), BROKEN),
        # A stream of events, in which the server may tell and ask something too.
        (call(7)[0], (NOTICE, ASKS, result(7)[0]), OPEN),
        (call(7)[0], (NOTICE, result(8)[0]), BROKEN),
        (call(7)[0], (NOTICE, ASKS), None),
        (call(7)[0], {"id": 8, "result": 1}, None),
        (NOTICE, result(8)[0], None),
        ({"id": 7, "method": "add"}, result(8)[0], None),
        (call(True)[0], result(8)[0], None),
        (None, result(8)[0], None),
        (call([])[0], result({})[0], None),
    ],
)
def test_a_result_has_the_id_of_its_call(asked: object, said: object, found: object) -> None:
    one, two = Head("POST", 0, {}, asked), Head("", 200, {}, said)
    assert dict(agreements(one, two)) == ({} if found is None else {DEMANDS[-1]: found})


TEXT = st.text(st.characters(max_codepoint=255), max_size=60)


@given(st.dictionaries(st.sampled_from(["Range", "If-None-Match", "If-Range"]), TEXT), TEXT, TEXT)
def test_nothing_that_is_said_is_a_traceback(asked: Lines, content_range: str, tag: str) -> None:
    one = head_of(asked.items(), method="GET")
    for status in (101, 206, 304, 416):
        lines = {"Content-Range": content_range, "ETag": tag, "Sec-WebSocket-Accept": tag}
        for _, agreement in agreements(one, head_of(lines.items(), status=status)):
            assert agreement in Agreement


@given(st.integers(0, 999), st.integers(0, 1999), st.integers(1, 1000))
def test_an_honest_server_breaks_no_range(first: int, length: int, total: int) -> None:
    """What RFC 9110 section 14.1.2 says to send, whatever is asked."""
    for asked in (f"bytes={first}-{first + length}", f"bytes={first}-", f"bytes=-{length + 1}"):
        start = first if not asked.startswith("bytes=-") else max(0, total - length - 1)
        end = min(first + length, total - 1) if asked.endswith(f"-{first + length}") else total - 1
        if start < total:
            said = {"Content-Range": f"bytes {start}-{end}/{total}"}
            assert agreed("range", {"Range": asked}, 206, said) in (KEPT, OPEN)
        else:
            said = {"Content-Range": f"bytes */{total}"}
            assert agreed("range", {"Range": asked}, 416, said) is OPEN


@pytest.mark.parametrize("demand", DEMANDS, ids=lambda one: one.name)
def test_a_breach_weighs_less_than_a_swap_is_rare(demand: Demand) -> None:
    """No demand that is broken is by itself a reason to call a response another's."""
    assert NOTED <= demand.broken < SWAP and 0 < demand.kept < SWAP


# --- what is noted while a capture passes by -------------------------------------------------

EXCHANGED = [
    ("Range: bytes=5-9\r\n", 206, "Content-Range: bytes 5-9/99\r\n", Flag.DEMAND_KEPT),
    ("range:bytes=5-9\r\n", 206, "CONTENT-RANGE:bytes 7-9/99\r\n", Flag.DEMAND_BROKEN),
    ("Range: bytes=5-9\r\n", 200, "Content-Type: text/plain\r\n", Flag(0)),
    ('If-None-Match: "a"\r\n', 304, 'ETag: "b"\r\n', Flag.DEMAND_BROKEN),
    ('If-None-Match: "b"\r\nIf-None-Match: "a"\r\n', 304, 'ETag: "a"\r\n', Flag.DEMAND_KEPT),
    ("Accept: */*\r\n", 200, 'ETag: "b"\r\n', Flag(0)),
]


@pytest.mark.parametrize(("asked", "status", "said", "noted"), EXCHANGED)
@pytest.mark.parametrize("slow", [False, True], ids=["in bulk", "by the state machine"])
def test_it_is_noted_by_both_readers(
    tmp_path: Path, asked: str, status: int, said: str, noted: Flag, slow: bool
) -> None:
    body = b"" if status == 304 else b"12345"
    version = "1.0" if slow else "1.1"  # one of HTTP/1.0 is never ordinary
    talk = Conversation().open()
    for _ in range(3):
        talk.ask(request("/f", fields=asked, version=version))
        talk.answer(response(body, status, fields=said))
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(talk.close().frames))
    wanted = Flag.DEMAND_KEPT | Flag.DEMAND_BROKEN
    assert {Flag(row["flags"]) & wanted for row in exchanges(path)} == {noted}


@pytest.mark.parametrize(("told", "noted"), [(7, Flag.DEMAND_KEPT), (8, Flag.DEMAND_BROKEN)])
@pytest.mark.parametrize("media_type", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("slow", [False, True], ids=["in bulk", "by the state machine"])
def test_calls_are_noted_by_both_readers(
    tmp_path: Path, told: int, noted: Flag, media_type: str, slow: bool
) -> None:
    body = as_json(result(told)[0])
    if media_type != "application/json":
        body = b"event: message\ndata: " + body + b"\n\n"
    version = "1.0" if slow else "1.1"
    fields = "Content-Type: application/json\r\n"
    asked = request("/rpc", "POST", body=as_json(call(7)[0]), fields=fields, version=version)
    talk = Conversation().open()
    for _ in range(3):
        talk.ask(asked).answer(response(body, fields=f"Content-Type: {media_type}\r\n"))
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(talk.close().frames))
    wanted = Flag.DEMAND_KEPT | Flag.DEMAND_BROKEN
    assert {Flag(row["flags"]) & wanted for row in exchanges(path)} == {noted}


def test_only_what_tells_much_is_noted() -> None:
    assert flags(b"GET", b"Host: a\r\n", 200, b"ETag: x\r\n") == 0
    assert flags(b"GET", b"", 304, b"ETag: x\r\n") == 0
