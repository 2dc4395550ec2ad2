"""How long a body is: RFC 9112 §6.3, rule by rule."""

import pytest

from analyzer.http.framing import Framing, Kind, framing
from analyzer.http.grammar import fields

NONE, CLOSE, CHUNKED, TUNNEL = (
    Framing(Kind.NONE),
    Framing(Kind.CLOSE),
    Framing(Kind.CHUNKED),
    Framing(Kind.TUNNEL),
)
UNKNOWN = "transfer-coding-unknown"


def length(size: int) -> Framing:
    return Framing(Kind.LENGTH, size)


RESPONSES = [
    # rule 1: no body whatever the fields say
    (b"HEAD", 200, b"Content-Length: 9\r\n", NONE),
    (b"HEAD", 200, b"Transfer-Encoding: chunked\r\n", NONE),
    (b"GET", 100, b"Content-Length: 9\r\n", NONE),
    (b"GET", 103, b"", NONE),
    (b"GET", 204, b"Content-Length: 9\r\n", NONE),
    (b"GET", 304, b"Content-Length: 9\r\n", NONE),
    (b"GET", 101, b"", TUNNEL),
    # rule 2: CONNECT
    (b"CONNECT", 200, b"Content-Length: 9\r\n", TUNNEL),
    (b"CONNECT", 299, b"Transfer-Encoding: chunked\r\n", TUNNEL),
    (b"CONNECT", 407, b"Content-Length: 9\r\n", length(9)),
    # rules 3 and 4: Transfer-Encoding wins
    (b"GET", 200, b"Transfer-Encoding: chunked\r\n", CHUNKED),
    (b"GET", 200, b"transfer-encoding:CHUNKED\r\n", CHUNKED),
    (b"GET", 200, b"Transfer-Encoding: gzip, chunked\r\n", CHUNKED),
    (b"GET", 200, b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
    (b"GET", 200, b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
    (b"GET", 200, b"Transfer-Encoding: chunked, gzip\r\n", Framing(Kind.CLOSE, 0, UNKNOWN)),
    (b"GET", 200, b"Transfer-Encoding: gzip\r\n", Framing(Kind.CLOSE, 0, UNKNOWN)),
    (b"GET", 200, b"Transfer-Encoding: identity\r\nContent-Length: 9\r\n", length(9)),
    # rules 5 and 6: Content-Length
    (b"GET", 200, b"Content-Length: 9\r\n", length(9)),
    (b"GET", 200, b"content-length:9\r\n", length(9)),
    (b"GET", 200, b"Content-Length: 0\r\n", NONE),
    (b"GET", 200, b"Content-Length: 9, 9\r\n", length(9)),
    (b"GET", 200, b"Content-Length: 9\r\nContent-Length: 9\r\n", length(9)),
    (b"GET", 404, b"Content-Length: 9\r\n", length(9)),
    (b"GET", 200, b"Content-Length: 9\r\nContent-Length: 8\r\n", CLOSE),
    (b"GET", 200, b"Content-Length: nine\r\n", CLOSE),
    (b"GET", 200, b"Content-Length: -9\r\n", CLOSE),
    (b"GET", 200, b"Content-Length: +9\r\n", CLOSE),
    (b"GET", 200, b"Content-Length: 0x9\r\n", CLOSE),
    (b"GET", 200, b"Content-Length:\r\n", CLOSE),
    (b"GET", 200, b"Content-Length: 99999999999999999999999\r\n", CLOSE),
    # rule 8: neither
    (b"GET", 200, b"", CLOSE),
    (b"POST", 500, b"Content-Type: text/plain\r\n", CLOSE),
]

REQUESTS = [
    (b"POST", b"Transfer-Encoding: chunked\r\n", CHUNKED),
    (b"POST", b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n", CHUNKED),
    (b"POST", b"Transfer-Encoding: gzip\r\n", Framing(Kind.NONE, 0, UNKNOWN)),
    (b"POST", b"Content-Length: 9\r\n", length(9)),
    (b"GET", b"Content-Length: 9\r\n", length(9)),
    (b"HEAD", b"Content-Length: 9\r\n", length(9)),
    (b"POST", b"Content-Length: many\r\n", NONE),
    # rule 7: a request without either has no body
    (b"POST", b"", NONE),
    (b"GET", b"", NONE),
]


@pytest.mark.parametrize(("method", "status", "block", "expected"), RESPONSES)
def test_responses(method: bytes, status: int, block: bytes, expected: Framing) -> None:
    assert framing(fields(block), status=status, method=method) == expected


@pytest.mark.parametrize(("method", "block", "expected"), REQUESTS)
def test_requests(method: bytes, block: bytes, expected: Framing) -> None:
    assert framing(fields(block), method=method) == expected
