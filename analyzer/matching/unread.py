"""A request's body that its server did not read, and took for the beginning of the next request.

Law: the response has to show it. A server that refuses a request may leave its body unread; where
it keeps the connection all the same, the next request line begins with that body and is bad
(RFC 9112 §6.3, §9.3), whatever was asked. Some repeat what they could not read: the body, and right
behind it the next request's method, stand together nowhere else than on that connection.
"""

import html
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from analyzer.correlate.history import histories
from analyzer.correlate.view import Counts, Row, Tables
from analyzer.findings import octets
from analyzer.findings.model import Cause, Fact, How, Verdict
from analyzer.findings.words import counted
from analyzer.matching.messages import Messages
from analyzer.second_pass.model import CLIENT, SERVER
from analyzer.tables import Close, Flag, Outcome

MOST = 200  # responses that are looked at
LEAST = 8  # bytes of a body, from which on it is no accident that they are repeated
LONGEST = 1_000  # bytes of a body that are looked for
SOON = 10_000_000_000  # ns after such an answer within which the connection is closed
# What a server says to a request line that it cannot read (RFC 9110 §15.5, §15.6).
BAD_LINE = (400, 405, 414, 501, 505)

_PIPELINED = int(Flag.PIPELINED)
_SERVER_CLOSED = (Close.SERVER_FIN, Close.SERVER_RST)


class Unread(NamedTuple):
    """A response that repeats `shown` bytes of the body of the request `before` on its connection.

    `glued`: right behind them it has the method of the request that was given it.
    """

    row: Row
    before: Row
    shown: int
    glued: bool


def suspects(tables: Tables, counts: Counts) -> list[tuple[Row, Row]]:
    """Requests that were told that they are bad, behind one with a body on their connection."""
    if not any(status in BAD_LINE for _, status, _ in counts.keys):
        return []
    bad = np.array(BAD_LINE, dtype=np.int64)
    never = np.iinfo(np.int64).max - SOON
    ends = [tables.connections[name] for name in ("client_fin_time", "server_fin_time")]
    ended = np.minimum(*(np.where(time > 0, time, never) for time in ends))
    rows = tables.pick(
        lambda rows: (
            np.isin(rows["status"], bad)
            & (rows["outcome"] == Outcome.ANSWERED)
            & (rows["request_frame"] > 0)
            & (rows["flags"] & _PIPELINED == 0)
            & (ended[rows["connection"]] < rows["response_end_time"] + SOON)
        )
    )[:MOST]
    asked = histories(tables, rows)
    found = []
    for row in rows:
        known = asked.get(row["connection"])
        before = known.before(row["request_time"]) if known else None
        if before is not None and before["request_length"] and before["response_frame"]:
            found.append((row, before))
    return found


def shown(messages: Messages, row: Row, before: Row) -> Unread | None:
    """What a response repeats of the body before it; None where that says nothing."""
    request, response = messages.message(row, CLIENT), messages.message(row, SERVER)
    earlier = messages.message(before, CLIENT)
    if request is None or response is None or earlier is None or not earlier.body:
        return None
    # Whoever cannot read a line does not know where the next one begins.
    closed = int(messages.tables.connection(row)["first_close"]) in _SERVER_CLOSED
    closed = closed or "close" in (response.header("Connection") or "").lower()
    body = earlier.body[:LONGEST].split(b"\r\n")[0].split(b"\n")[0]
    method = request.method.encode("latin-1")
    for text in (response.body or b"", _plain(response.body or b"")):
        at = text.find(body) if len(body) >= LEAST else -1
        glued = at >= 0 and text.startswith(method, at + len(body))
        if glued or (at >= 0 and closed):
            return Unread(row, before, len(body), glued)
    return None


def _plain(page: bytes) -> bytes:
    """A page's text, character references resolved."""
    return html.unescape(page.decode("utf-8", "replace")).encode()


def facts(tables: Tables, messages: Messages, unread: Unread) -> Iterator[Fact]:
    """What shows that the body was not read, and what became of the request behind it."""
    earlier, asked, came = (
        tables.asked(unread.before),
        tables.asked(unread.row),
        tables.came(unread.row),
    )
    message = messages.message(unread.before, CLIENT)
    what = octets.named(message.body or b"") if message is not None else "its body"
    behind = (
        f", and right behind them what the request in frame {asked} begins with"
        if unread.glued
        else ""
    )
    yield Fact(
        f"the request in frame {earlier} has a body of "
        f"{_bytes(unread.before['request_length'])} ({what}); the response in frame {came}, a "
        f"{unread.row['status']}, repeats {_bytes(unread.shown)} of it{behind}",
        (earlier, asked, came),
    )
    yield Fact(
        f"the request in frame {earlier} had been answered, with a {unread.before['status']} in "
        f"frame {tables.came(unread.before)}, before the one in frame {asked} was sent",
        (tables.came(unread.before), asked),
    )


def causes(tables: Tables, unread: Unread) -> list[Cause]:
    """Causes of a response to what was left unread."""
    at = tables.asked(unread.before), tables.asked(unread.row), tables.came(unread.row)
    return [
        Cause(
            "connection/desync",
            Verdict.SUPPORTED,
            f"the server answered the request in frame {at[0]} without reading its body of "
            f"{_bytes(unread.before['request_length'])}, and kept the connection: it took the body "
            f"for the beginning of the next request, in frame {at[1]}, and that for bad. What was "
            "asked there nobody has answered. A server has to read such a body, or close "
            "(RFC 9112 §9.3)",
            at,
            How.BODY_UNREAD,
        ),
        Cause(
            "server/crossed",
            Verdict.RULED_OUT,
            "the response repeats what was sent on this very connection",
            at,
        ),
    ]


def _bytes(number: int) -> str:
    return counted(number, "byte", "bytes")
