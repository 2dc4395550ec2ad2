"""Messages that end too early, or that bytes follow which are of none: the facts, and why.

Law: the numbers are told first: what was announced, what came, and who stopped. Bytes behind a
message belong to the exchange that made them, though it is the next one that meets them.
"""

from collections.abc import Iterator

from analyzer.correlate.view import Row
from analyzer.diagnosis.evidence import Case
from analyzer.findings import octets
from analyzer.findings.model import Cause, Fact, How, Verdict
from analyzer.findings.words import counted, seconds
from analyzer.second_pass.model import CLIENT, SERVER
from analyzer.tables import Close, ConnectionFlag, Flag

NEAR = 60_000_000_000  # ns between a response that breaks off and the one that has its rest

_HEAD_CUT, _NOT_HTTP = int(Flag.HEAD_CUT), int(Flag.NOT_HTTP)
_BODY_WHOLE = int(Flag.BODY_WHOLE)
_ZERO_WINDOW = int(ConnectionFlag.CLIENT_ZERO_WINDOW)
# Event streams, and images that follow each other.
_ENDLESS = ("text/event-stream", "multipart/x-mixed-replace")
_BODILESS = {204: "RFC 9110 §15.3.5", 304: "RFC 9110 §15.4.5"}
_SUPPORTED, _POSSIBLE = Verdict.SUPPORTED, Verdict.POSSIBLE


# --- too little ----------------------------------------------------------------------------


def stalled(case: Case, row: Row) -> int:
    """How long, in ns, the server had sent nothing when the client left; 0 if not remarkable."""
    connection = case.tables.connection(row)
    left = int(connection["client_fin_time"]) or int(connection["reset_time"])
    packets = [p for p in case.packets(row) if p.time <= left]
    data = [p for p in packets if p.side == SERVER and p.length]
    if not left or not data:
        return 0
    last = max(data, key=lambda p: p.end)
    acked = any(p.side == CLIENT and p.ack >= last.end for p in packets)
    silent = left - last.time
    return silent if acked and silent > case.pace.patience(case.tables.endpoint(row)) else 0


def never_sent(case: Case, row: Row) -> str:
    """What is said of a request that its client never finished sending."""
    request = case.messages.message(row, CLIENT)
    expects = "" if request is None else (request.header("Expect") or "")
    if expects.lower() == "100-continue":
        return (
            "the client never finished sending: it asked with Expect: 100-continue, and may have "
            "waited for a 100 that did not come (RFC 9110 §10.1.1)"
        )
    return "the client never finished sending"


def left_by_choice(case: Case, row: Row) -> str:
    """What is noted of a client that ended a response which was still coming in; "": it did not.

    Nothing had gone wrong yet: a client may cancel a download, or ask for the status only; and an
    event stream has no other end.
    """
    connection = case.tables.connection(row)
    close = Close(int(connection["first_close"]))
    if close not in (Close.CLIENT_FIN, Close.CLIENT_RST) or not row["request_frame"]:
        return ""
    if int(connection["flags"]) & _ZERO_WINDOW or row["flags"] & (_HEAD_CUT | _NOT_HTTP):
        return ""
    response = case.messages.message(row, SERVER)
    endless = response is not None and response.media_type in _ENDLESS
    if not endless and stalled(case, row):
        return ""
    if row["flags"] & _BODY_WHOLE and not endless:
        return "the client left before the end of the response, whose body was whole by itself"
    return "the client left in the middle of the response, which was still coming"


def is_misannounced(row: Row) -> bool:
    """Whether the body is whole by its own grammar, and shorter than its Content-Length says."""
    return bool(row["flags"] & _BODY_WHOLE and row["response_announced"] > row["response_length"])


def what_came(case: Case, row: Row) -> Iterator[Fact]:
    """How much of a response came, how much was announced, and whether it is whole by itself."""
    frame, length = case.tables.came(row), row["response_length"]
    message = case.messages.message(row, SERVER)
    if row["flags"] & _NOT_HTTP:
        begins = message.begins if message is not None else b""
        told = f", {octets.named(begins)}, beginning with {octets.shown(begins)}" if begins else ""
        yield Fact(
            "what came where the response must begin is not HTTP/1.x: "
            f"{_bytes(length)} from frame {frame} on{told}",
            (case.tables.asked(row), frame),
        )
        return
    if row["flags"] & _HEAD_CUT:
        line = octets.status_line(message)
        yield Fact(
            f"of the response came no more than a part of its head: {_bytes(length)}, in frame "
            f"{frame}{f', beginning with {line}' if line else ''}",
            (case.tables.asked(row), frame),
        )
        return
    announced = row["response_announced"]
    if announced:
        yield Fact(
            f"the response that begins in frame {frame} announces {_bytes(announced)} "
            f"(Content-Length), and {_bytes(length)} came",
            (frame,),
        )
    else:
        yield Fact(
            f"the response begins in frame {frame}, and {_bytes(length)} of its body came; how "
            "many there should be it does not announce",
            (frame,),
        )
    if row["flags"] & _BODY_WHOLE:
        lacks = (
            f"the {announced - length} that are missing were announced and never sent"
            if announced
            else "what is missing is the end of the message (its last chunk, or the CRLF after it)"
        )
        yield Fact(f"what came is whole by its own grammar; {lacks}", (frame,))
    silent = stalled(case, row)
    if silent:
        yield Fact(
            f"the server had sent nothing for {seconds(silent)} s when the client left, though the "
            "client had acknowledged all and waited",
            (frame,),
        )


def misannounced(case: Case, row: Row) -> list[Cause]:
    """Causes of a whole body behind a Content-Length that says more."""
    announced, length = row["response_announced"], row["response_length"]
    found = [
        Cause(
            "connection/desync",
            _SUPPORTED,
            f"Content-Length announced {announced} bytes, and the {length} that were sent are a "
            "whole body: the length was taken of something else (a body before it was compressed "
            "or changed, say)",
            (case.tables.came(row),),
        )
    ]
    connection = case.tables.connection(row)
    if int(connection["first_close"]) == Close.SERVER_FIN:
        at = case.tables.came(row), case.tables.frame_of(connection, "server_fin")
        why = "the server closed before it had sent all that it announced"
        found.append(Cause("server/closed", _POSSIBLE, why, at))
    return found


def not_http(case: Case, row: Row) -> list[Cause]:
    """Causes of something that is no HTTP where a response must begin."""
    message = case.messages.message(row, SERVER)
    if message is not None and message.begins[:5].upper() == b"HTTP/":
        how = How.BAD_STATUS_LINE
        why = (
            "the server answered with a status line that cannot be read (RFC 9112 §4): its "
            "version, or its code, is none"
        )
    else:
        how = How.NOT_HTTP
        why = (
            "the server answered, and not with HTTP/1.x: it speaks another protocol on this port, "
            "or these bytes are the rest of another message"
        )
    return [Cause("connection/desync", _SUPPORTED, why, (case.tables.came(row),), how)]


# --- too much ------------------------------------------------------------------------------


def behind(case: Case, row: Row) -> Iterator[Fact]:
    """What came behind the end of a response, and who met it."""
    frame, extra = case.tables.came(row), row["response_extra"]
    message = case.messages.message(row, SERVER)
    bytes_ = message.extra if message is not None else None
    where = case.tables.frame(bytes_) if bytes_ is not None else frame
    what = f": {octets.named(bytes_.begins)}" if bytes_ is not None else ""
    yield Fact(
        f"{_bytes(extra)} stand behind the end of the response that begins in frame {frame}, from "
        f"frame {where} on{what}; {_allowed(case, row)}",
        (case.tables.asked(row), frame, where),
    )
    yield from _met(case, row)


def _allowed(case: Case, row: Row) -> str:
    """Where the response ends, and by which rule."""
    status = row["status"]
    if case.tables.names[case.tables.endpoint(row)].method == "HEAD":
        return "the answer to HEAD ends with its head (RFC 9110 §9.3.2)"
    if status in _BODILESS:
        return f"a {status} ends with its head ({_BODILESS[status]})"
    return f"its body ends after {_bytes(row['response_length'])}, as it announces"


def _met(case: Case, row: Row) -> Iterator[Fact]:
    """What the client reads next because of the bytes behind a response."""
    reread = case.messages.rereads.get(row["connection"])
    if reread is None or reread.messages_left_out:
        return
    asked = row["request_time"]
    following = next((m for m in reread.messages if m.side == CLIENT and m.time > asked), None)
    if following is None:
        yield Fact(
            "nothing was asked after them on this connection, so nothing else was spoilt",
            (case.tables.came(row),),
        )
        return
    answer = next(
        (m for m in reread.messages if m.side == SERVER and m.exchange == following.exchange), None
    )
    fate = (
        f"its own begins behind them, in frame {case.tables.frame(answer)}"
        if answer is not None
        else "none of its own followed"
    )
    yield Fact(
        f"the client's next request there, in frame {case.tables.frame(following)}, finds them "
        f"where its response must begin; {fate}",
        tuple(case.tables.frame(one) for one in (following, answer) if one is not None),
    )


def of_extra(case: Case, row: Row) -> list[Cause]:
    """Causes of bytes behind a response's end."""
    torn = _lacking(case, row)
    if torn is not None:
        frames = (case.tables.came(torn), case.tables.came(row))
        why = (
            f"the response in frame {frames[0]}, on another connection of this "
            f"server at that time, breaks off and lacks exactly {_bytes(row['response_extra'])}: "
            "its rest went here"
        )
        framed = "the response may have been framed wrongly by itself"
        return [
            Cause("server/stolen", _SUPPORTED, why, frames),
            Cause("connection/desync", _POSSIBLE, framed, frames),
        ]
    return [
        Cause(
            "connection/desync",
            _SUPPORTED,
            f"the server sent {_bytes(row['response_extra'])} more than its response has: "
            f"{_allowed(case, row)}",
            (case.tables.came(row),),
        )
    ]


def _lacking(case: Case, row: Row) -> Row | None:
    """A response of the same server that lacks as many bytes as stand behind this one."""
    for torn in case.torn:
        if (
            torn["response_announced"] - torn["response_length"] == row["response_extra"]
            and torn["connection"] != row["connection"]
            and case.tables.server(torn) == case.tables.server(row)
            and abs(torn["response_time"] - row["response_time"]) < NEAR
        ):
            return torn
    return None


def _bytes(number: int) -> str:
    return counted(number, "byte", "bytes")
