"""Why: causes that the wire supports, leaves open or excludes.

Law: every cause considered comes with the reason, and the best supported one is first. How the
hung request's connection ended tells a misdirected descriptor from a mixed-up response: a server
that still owns a connection answers the client's FIN with its own; one that has lost it does not.
"""

from analyzer.findings.model import Cause, Verdict
from analyzer.findings.swaps import How, Swap
from analyzer.findings.view import Row, Tables
from analyzer.intervals import covers
from analyzer.tables import Close, ConnectionFlag, Flag

_SUPPORTED, _POSSIBLE, _RULED_OUT = Verdict.SUPPORTED, Verdict.POSSIBLE, Verdict.RULED_OUT
PROMPT = 1_000_000_000  # ns within which a process that owns a socket closes it after its client
_CLIENT_FIN_ACKED = int(ConnectionFlag.CLIENT_FIN_ACKED)
_BODY_SKIPPED = int(Flag.BODY_SKIPPED)
_ZERO_WINDOW = int(ConnectionFlag.CLIENT_ZERO_WINDOW)


def of_slip() -> list[Cause]:
    """Causes of a connection with more responses than requests."""
    return [
        Cause("connection/desync", _SUPPORTED, "more responses than requests on the connection"),
        Cause("network/lost", _RULED_OUT, "both directions are complete up to here"),
    ]


def of_pool() -> list[Cause]:
    """Causes of a client taking a response for the answer to a later request."""
    return [
        Cause(
            "client/pool-reuse",
            _SUPPORTED,
            "a client that otherwise asks one at a time sent this on a connection that still "
            "owed an answer",
        ),
        Cause("server/crossed", _RULED_OUT, "the server answered in order on this connection"),
    ]


def of_swap(tables: Tables, swap: Swap) -> list[Cause]:
    """Causes of a request having been given the response that another asked for."""
    victim, owner = swap.victim, swap.owner
    assert owner is not None
    descriptor = Cause("server/descriptor", _RULED_OUT, "the owner's connection got a response")
    if swap.how is How.CROSSED:
        why = "each of the two requests got the other's response"
        return [Cause("server/crossed", _SUPPORTED, why), descriptor]
    if swap.how is How.COPIED:
        why = "both requests were given the same response while both were waiting"
        return [Cause("server/stolen", _SUPPORTED, why), descriptor]
    first, second = tables.connection(owner), tables.connection(victim)
    later = int(second["first_time"]) > int(owner["request_time"])
    lost, why = _ownership(first, second)
    if not later:
        lost = _RULED_OUT
        why = "the connection that got the response is older than the request it belongs to"
    elif int(victim["request_time"]) > int(victim["response_time"]):
        lost = _POSSIBLE
    stolen = {_SUPPORTED: _RULED_OUT, _POSSIBLE: _POSSIBLE, _RULED_OUT: _SUPPORTED}[lost]
    causes = [
        Cause("server/descriptor", lost, why),
        Cause("server/stolen", stolen, _of_stolen(stolen)),
        Cause("server/crossed", _RULED_OUT, "the owner got no response in exchange"),
        Cause(
            "network/lost",
            _RULED_OUT,
            "the response was in sequence and acknowledged on the wrong connection; "
            "a network cannot move it there",
        ),
    ]
    order = (_SUPPORTED, _POSSIBLE, _RULED_OUT)
    return sorted(causes, key=lambda c: order.index(c.verdict))


def _ownership(first: object, second: object) -> tuple[Verdict, str]:
    """Whether the server's process had lost the connection of the request that hung."""
    one, two = _ints(first), _ints(second)
    if one["first_close"] == Close.SERVER_FIN:
        if two["first_time"] > one["server_fin_time"]:
            return _SUPPORTED, (
                "the server closed the owner's connection without an answer, and the connection "
                "that got the response was accepted after that"
            )
        return _POSSIBLE, "the server closed the owner's connection without an answer"
    if one["client_fin_frame"] and one["flags"] & _CLIENT_FIN_ACKED:
        if not one["server_fin_frame"]:
            return _SUPPORTED, (
                "the client's FIN was acknowledged by the kernel and no FIN of the server "
                "followed: no part of the process owned that connection any more"
            )
        if one["server_fin_time"] - one["client_fin_time"] <= PROMPT:
            return _RULED_OUT, (
                "the server answered the client's FIN with its own at once: "
                "the process owned that connection to its end"
            )
    return _POSSIBLE, "how the owner's connection ended does not tell whether the process owned it"


def _of_stolen(verdict: Verdict) -> str:
    return {
        _SUPPORTED: "two live responses were mixed up while the process owned both connections",
        _POSSIBLE: "both connections may have been live when the response was written",
        _RULED_OUT: "the process no longer owned the connection that the response belonged to",
    }[verdict]


def of_silence(
    tables: Tables, row: Row, *, usual_wait: int, refused: bool, lost: bool
) -> list[Cause]:
    """Causes of a request that got no answer; `usual_wait` is the server's longest, in ns."""
    connection = _ints(tables.connection(row))
    acked = covers(connection["client_acked"], row["request_seq"])
    if row["flags"] & _BODY_SKIPPED:
        return [
            Cause(
                "connection/desync",
                _SUPPORTED,
                "the request before it announced a body that was never sent; the server takes "
                "this request for that body, or closes",
            ),
            Cause("server/silent", _POSSIBLE, "the server did not answer this request"),
        ]
    closed_before = 0 < connection["server_fin_time"] <= row["request_time"]
    if not acked and closed_before and connection["reset_frame"]:
        return [
            Cause(
                "server/closed",
                _SUPPORTED,
                "the server had closed the idle connection when the request arrived, and reset it",
            ),
            Cause("network/lost", _RULED_OUT, "the reset answers the request: it did arrive"),
        ]
    if not acked:
        return [
            Cause("network/lost", _SUPPORTED, "the request was never acknowledged by the server"),
            Cause("server/silent", _RULED_OUT, "the server's host never received the request"),
        ]
    close = connection["first_close"]
    if lost:
        return [
            Cause("network/lost", _SUPPORTED, "the response was sent and never acknowledged"),
            Cause("server/silent", _RULED_OUT, "the server did answer"),
        ]
    if refused:
        return [
            Cause("client/gave-up", _SUPPORTED, "the response came after the client had left"),
            Cause("network/lost", _RULED_OUT, "the request was acknowledged, the response sent"),
        ]
    if close == Close.SERVER_FIN:
        return [
            Cause("server/closed", _SUPPORTED, "the server closed the connection instead"),
            Cause("network/lost", _RULED_OUT, "the server's FIN is in sequence: it sent no answer"),
        ]
    if close == Close.SERVER_RST:
        return [
            Cause("server/reset", _SUPPORTED, "a reset came from the server's side instead"),
            Cause("network/reset", _POSSIBLE, "something in between may have sent the reset"),
        ]
    left = connection["client_fin_time"] or connection["reset_time"]
    waited = left - row["request_time"]
    kept = Cause("network/lost", _RULED_OUT, "the server sent no byte that could have been lost")
    if usual_wait and waited < usual_wait:
        return [
            Cause("client/gave-up", _SUPPORTED, "the client left sooner than answers usually take"),
            Cause("server/silent", _POSSIBLE, "the server might not have answered later either"),
            kept,
        ]
    return [
        Cause("server/silent", _SUPPORTED, "the server acknowledged the request and sent nothing"),
        Cause("client/gave-up", _POSSIBLE, "the client was the first to close"),
        kept,
    ]


def of_break(tables: Tables, row: Row) -> list[Cause]:
    """Causes of a response that began and never ended."""
    connection = _ints(tables.connection(row))
    close = Close(connection["first_close"])
    if close is Close.SERVER_FIN:
        return [Cause("server/closed", _SUPPORTED, "the server closed before the end of the body")]
    if close is Close.SERVER_RST:
        return [
            Cause("server/reset", _SUPPORTED, "a reset came from the server's side"),
            Cause("network/reset", _POSSIBLE, "something in between may have sent the reset"),
        ]
    if connection["flags"] & _ZERO_WINDOW:
        return [Cause("client/gave-up", _SUPPORTED, "the client stopped reading (zero window)")]
    return [Cause("client/gave-up", _SUPPORTED, "the client closed before the end of the body")]


def _ints(row: object) -> dict[str, int]:
    return {name: int(row[name]) for name in row.dtype.names}  # type: ignore[attr-defined,index]
