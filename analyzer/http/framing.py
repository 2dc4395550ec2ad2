"""How long a message's body is: one pure function that follows RFC 9112 §6.3 in order."""

from enum import Enum, auto
from typing import NamedTuple

from analyzer.http.grammar import Fields


class Kind(Enum):
    """How a body ends."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()
    TUNNEL = auto()


class Framing(NamedTuple):
    """How a body ends; `length` in bytes where it is known, else 0."""

    kind: Kind
    length: int = 0
    oddity: str = ""


_NONE = Framing(Kind.NONE)
_CHUNKED = Framing(Kind.CHUNKED)
_CLOSE = Framing(Kind.CLOSE)
_TUNNEL = Framing(Kind.TUNNEL)


def framing(fields: Fields, *, status: int = 0, method: bytes = b"") -> Framing:
    """The body's framing; `status` is 0 for a request, `method` the request's in either case."""
    if status:
        # 1. No body: answers to HEAD, and 1xx, 204, 304. A 101 ends HTTP on the connection.
        if status == 101:
            return _TUNNEL
        if method == b"HEAD" or status < 200 or status in (204, 304):
            return _NONE
        # 2. A tunnel: a successful answer to CONNECT.
        if method == b"CONNECT" and status < 300:
            return _TUNNEL
    # 3. and 4. Transfer-Encoding overrides Content-Length.
    if fields.transfer_codings:
        if fields.transfer_codings[-1] == b"chunked":
            return _CHUNKED
        if fields.transfer_codings != (b"identity",):
            end = Kind.CLOSE if status else Kind.NONE
            return Framing(end, oddity="transfer-coding-unknown")
    # 5. and 6. Content-Length; an invalid one leaves a response to end with the connection.
    if fields.content_length is not None:
        if fields.content_length >= 0:
            return Framing(Kind.LENGTH, fields.content_length) if fields.content_length else _NONE
        return _CLOSE if status else _NONE
    # 7. and 8. Neither: a request has no body, a response ends with the connection.
    return _CLOSE if status else _NONE
