"""Start lines, fields, and what a connection's first bytes say it carries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.http import grammar
from analyzer.http.grammar import Protocol


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET / HTTP/1.1", (b"GET", b"/", b"1.1")),
        (b"GET  /two  HTTP/1.0", (b"GET", b"/two", b"1.0")),
        (b"M-SEARCH * HTTP/1.1", (b"M-SEARCH", b"*", b"1.1")),
        (b"GET http://host/path?q HTTP/1.1", (b"GET", b"http://host/path?q", b"1.1")),
        (b"CONNECT host:443 HTTP/1.1", (b"CONNECT", b"host:443", b"1.1")),
        (b"GET /a b c HTTP/1.1", (b"GET", b"/a b c", b"1.1")),
        (b"GET /\xff\xfe HTTP/1.1 ", (b"GET", b"/\xff\xfe", b"1.1")),
        (b"GET /", None),
        (b"GET / HTTP/2.0", None),
        (b"GET / http/1.1", (b"GET", b"/", b"1.1")),
        (b"GET / HTTP/1.0.8", (b"GET", b"/", b"1.0.8")),
        (b"GET / HTTP/1x", None),
        (b" GET / HTTP/1.1", None),
        (b"G@T / HTTP/1.1", None),
        (b"", None),
        (b"X" * 33 + b" / HTTP/1.1", None),
    ],
)
def test_request_lines(line: bytes, expected: tuple[bytes, bytes, bytes] | None) -> None:
    assert grammar.request_line(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"HTTP/1.1 200 OK", (200, b"1.1")),
        (b"HTTP/1.0 404", (404, b"1.0")),
        (b"HTTP/1.1 200 ", (200, b"1.1")),
        (b"HTTP/1.1  503  Much \xe9 text", (503, b"1.1")),
        (b"HTTP/1.1 099 No", None),
        (b"HTTP/1.1 20 OK", None),
        (b"HTTP/1.1 2000 OK", None),
        (b"HTTP/2 200", None),
        (b"ICY 200 OK", None),
    ],
)
def test_status_lines(line: bytes, expected: tuple[int, bytes] | None) -> None:
    assert grammar.status_line(line) == expected


def test_a_long_target_is_kept_in_part() -> None:
    read = grammar.request_line(b"GET /" + b"x" * 20_000 + b" HTTP/1.1")
    assert read is not None
    assert len(read[1]) == grammar.LONGEST_TARGET


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"", Protocol.UNDECIDED),
        (b"\r\n", Protocol.UNDECIDED),
        (b"G", Protocol.UNDECIDED),
        (b"GET /", Protocol.UNDECIDED),
        (b"GET / HTTP/1.1\r\n", Protocol.REQUEST),
        (b"\r\nGET / HTTP/1.1\r\n", Protocol.REQUEST),
        (b"PROPFIND /dav HTTP/1.1\r\n", Protocol.REQUEST),
        (b"GET / HTTP/3\r\n", Protocol.OTHER),
        (b"HTT", Protocol.UNDECIDED),
        (b"HTTP/1.1 ", Protocol.RESPONSE),
        (b"HTTP/2 200", Protocol.OTHER),
        (b"\x16", Protocol.UNDECIDED),
        (b"\x16\x03\x01", Protocol.TLS),
        (b"\x16\x05\x01", Protocol.OTHER),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol.HTTP2),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Protocol.OTHER),
        (b"*1\r\n$4\r\nPING\r\n", Protocol.OTHER),
        (b"\x00\x00\x00\x01", Protocol.OTHER),
        (b"220 mail ESMTP\r\n", Protocol.OTHER),
        (b"EHLO client\r\n", Protocol.OTHER),
        (b"x" * 9_000, Protocol.OTHER),
    ],
)
def test_what_a_connection_carries(start: bytes, expected: Protocol) -> None:
    assert grammar.sniff(start) is expected


@given(st.binary(max_size=40))
def test_more_bytes_never_change_a_decision(start: bytes) -> None:
    for whole in (start, b"GET " + start, b"HTTP/1." + start, b"PRI * " + start):
        decided = Protocol.UNDECIDED
        for size in range(len(whole) + 1):
            now = grammar.sniff(whole[:size])
            assert decided in (Protocol.UNDECIDED, now)
            decided = now


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"A\r\n\r\nrest", 5),
        (b"A\n\nrest", 3),
        (b"A\r\n\nrest", 4),
        (b"A\n\r\nrest", 4),
        (b"A\n\nB\r\n\r\n", 3),
        (b"A\r\nB: c\r\n", -1),
        (b"", -1),
    ],
)
def test_the_end_of_a_head(data: bytes, size: int) -> None:
    assert grammar.end_of_head(data) == size


def test_the_fields_that_matter() -> None:
    read = grammar.fields(
        b"HOST:  Api.Example:8080 \r\nContent-Type: Application/JSON; charset=utf-8\r\n"
        b"Content-Encoding: GZIP\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
        b"Expect: 100-continue\r\nX-Content-Length: 7\r\n"
    )
    assert read.host == "api.example:8080"
    assert read.media_type == "application/json"
    assert read.content_coding == "gzip"
    assert read.connection == {b"keep-alive", b"upgrade"}
    assert (read.upgrade, read.expect) == (True, True)
    assert (read.content_length, read.oddities) == (None, ())


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_line_ends(end: bytes) -> None:
    read = grammar.fields(end.join([b"Host: h", b"Content-Length: 3", b""]))
    assert (read.host, read.content_length) == ("h", 3)


def test_folded_lines_are_joined() -> None:
    read = grammar.fields(b"Transfer-Encoding: gzip,\r\n  chunked\r\nHost: h\r\n")
    assert read.transfer_codings == (b"gzip", b"chunked")
    assert read.host == "h"


def test_a_folded_line_of_another_field_is_not_taken() -> None:
    read = grammar.fields(b"X-Note: see\r\n Content-Length: 9\r\nHost: h\r\n")
    assert read.content_length is None


@pytest.mark.parametrize(
    ("block", "oddities"),
    [
        (b"Content-Length: 3\r\nContent-Length: 4\r\n", ("content-length-invalid",)),
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", ("content-length-and-chunked",)),
        (
            b"Content-Length: x\r\nTransfer-Encoding: chunked\r\n",
            ("content-length-invalid", "content-length-and-chunked"),
        ),
        (b"Content-Length: 3\r\n", ()),
    ],
)
def test_oddities_are_named(block: bytes, oddities: tuple[str, ...]) -> None:
    assert grammar.fields(block).oddities == oddities


def test_white_space_before_the_colon_is_tolerated() -> None:
    assert grammar.fields(b"Content-Length : 12\r\n").content_length == 12


@given(
    st.lists(
        st.sampled_from(
            [
                b"Content-Length: 1",
                b"content-length: 2",
                b"Transfer-Encoding: chunked",
                b"TRANSFER-ENCODING: gzip",
                b"Host: one",
                b"hOST: two",
                b" folded: 1",
                b"\tContent-Length: 5",
                b"X-Other: Host: no",
                b"Contents: none",
                b"",
                b"no colon",
            ]
        ),
        max_size=6,
    ),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_remembered_heads_say_what_fresh_ones_say(lines: list[bytes], end: bytes) -> None:
    block = end.join(lines)
    remembered = grammar.fields(block)
    grammar._known.clear()
    assert grammar.fields(block) == remembered
    # The lines that do not matter do not matter.
    assert grammar.fields(b"X-First: 1" + end + block) == remembered or lines[:1] in (
        [b" folded: 1"],
        [b"\tContent-Length: 5"],
    )
