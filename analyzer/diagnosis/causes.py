"""Why: causes that the wire supports, leaves open or excludes.

Law: every cause considered comes with the reason and the frames that show it, and the best
supported one is first. How the hung request's connection ended tells a misdirected descriptor from
a mixed-up response: a server that still owns a connection answers the client's FIN with its own;
one that has lost it does not. What is usual for a server is learned from its other connections.
A cause is ruled out only by what was seen, never by what was not captured. Where two explain all
that was seen, both are possible, and none is supported.
"""

from collections.abc import Iterable

from analyzer.correlate.frames import Frame
from analyzer.correlate.sides import Side, missed_fin, strange_reset
from analyzer.correlate.view import Row, given_up
from analyzer.diagnosis import broken
from analyzer.diagnosis.evidence import Case
from analyzer.diagnosis.idle import Race
from analyzer.findings.model import BACKEND, Cause, How, Verdict
from analyzer.findings.words import counted, milliseconds, seconds
from analyzer.matching.assignment import (
    CACHED,
    COPIED,
    CROSSED,
    GIVEN_UP,
    LATE,
    OUT_OF_STEP,
    SHARED,
)
from analyzer.matching.chains import Chain, is_apart
from analyzer.matching.swaps import LEAKED, Swap
from analyzer.second_pass.model import CLIENT, SERVER, Packet
from analyzer.tables import Close, ConnectionFlag, Flag

_SUPPORTED, _POSSIBLE, _RULED_OUT = Verdict.SUPPORTED, Verdict.POSSIBLE, Verdict.RULED_OUT
OPEN = "unknown/server-or-proxy"
_ORDER = (_SUPPORTED, _POSSIBLE, _RULED_OUT)
# A client that leaves within so many ns left at a deadline of its own: no server is called silent
# for less. It cannot be learned: of those who leave at a short deadline longer waits are not seen.
DEADLINE = 1_000_000_000
SLOW = 1_000_000_000  # ns that a host takes to acknowledge a request, from which on it is said
_CLIENT_FIN_ACKED = int(ConnectionFlag.CLIENT_FIN_ACKED)
_HEAD_CUT, _NOT_HTTP = int(Flag.HEAD_CUT), int(Flag.NOT_HTTP)
_BODY_WHOLE = int(Flag.BODY_WHOLE)
_BODY_SKIPPED, _DOUBTFUL = int(Flag.BODY_SKIPPED), int(Flag.DOUBTFUL)
_ZERO_WINDOW = int(ConnectionFlag.CLIENT_ZERO_WINDOW)
_SYN, _RST = 0x02, 0x04
_BOTH = ("client", "server")


def ordered(causes: Iterable[Cause]) -> list[Cause]:
    """The causes, the best supported first."""
    return sorted(causes, key=lambda cause: _ORDER.index(cause.verdict))


def of_slip(frames: tuple[Frame, ...]) -> list[Cause]:
    """Causes of a connection with more responses than requests."""
    return [
        Cause(
            "connection/desync",
            _SUPPORTED,
            "more responses than requests on the connection",
            frames,
        ),
        Cause("network/lost", _RULED_OUT, "both directions are complete up to here", frames),
    ]


def of_pool(frames: tuple[Frame, ...]) -> list[Cause]:
    """Causes of a client taking a response for the answer to a later request."""
    return [
        Cause(
            "client/pool-reuse",
            _SUPPORTED,
            "a client that otherwise asks one at a time sent this on a connection that still "
            "owed an answer",
            frames,
        ),
        Cause(
            "server/crossed",
            _RULED_OUT,
            "the server answered in order on this connection",
            frames,
        ),
    ]


def of_interim(frames: tuple[Frame, ...]) -> list[Cause]:
    """Causes of a client taking an interim response for the final one."""
    return [
        Cause(
            "client/early-final",
            _SUPPORTED,
            "the client sent its next request when no more than an interim response (1xx) had "
            "come; the final response, which followed, it read as the answer to that, and so on",
            frames,
        ),
        Cause(
            "server/crossed",
            _RULED_OUT,
            "the server answered in order on this connection",
            frames,
        ),
    ]


def of_swap(case: Case, swap: Swap) -> list[Cause]:
    """Causes of a request having been given the response that another asked for."""
    if swap.how == LEAKED:
        return _of_leaked(case, swap)
    if swap.owner is None:
        return _of_unseen(case, swap)
    if swap.how == OUT_OF_STEP:
        return _of_late(case, swap.owner, swap.recipient)
    chain = case.chains.get(swap.recipient.id)
    if chain is not None:
        return _of_chain(case, swap.owner, swap.recipient, chain)
    if swap.how == LATE or swap.owner["flags"] & _DOUBTFUL:
        return _of_slipped_path(case, swap.owner, swap.recipient, swap.how)
    if swap.how == CACHED:
        return _of_cached(case, swap.owner, swap.recipient)
    if swap.how == GIVEN_UP:
        found = _of_given_up(case, swap, swap.owner)
    else:
        found = _mixed_up(case, swap, swap.owner)
    if case.side(swap.recipient) is not Side.CLIENT:
        # The process that answered may itself be a proxy; only its other side would show it.
        why = "whether the server itself passes requests on, this capture does not show"
        return ordered([*found, Cause("proxy/crossed", _POSSIBLE, why, ())])
    frames = (case.tables.came(swap.recipient),)
    why = (
        "only the client's side of the path was captured: the response was on the wrong "
        "connection when it came; a capture on the server's host, or behind the proxy if there is "
        "one, would tell"
    )
    open_ = [
        Cause(c.cause, _POSSIBLE, c.because, c.frames) if c.verdict is _SUPPORTED else c
        for c in found
        if c.cause != OPEN
    ]
    proxy = Cause("proxy/crossed", _POSSIBLE, "a proxy in between may have mixed them up", frames)
    return ordered([Cause(OPEN, _SUPPORTED, why, frames), *open_, proxy])


def _of_unseen(case: Case, swap: Swap) -> list[Cause]:
    """Causes of a response in another endpoint's form, whose request is not in sight."""
    frames = (case.tables.came(swap.recipient),)
    why = (
        "the request that it belongs to is not in this capture; a capture at the server, with all "
        "of its clients, would have it and show how it fared"
    )
    return [
        Cause(OPEN, _SUPPORTED, why, frames),
        Cause("server/descriptor", _POSSIBLE, "the rightful request is not in sight", frames),
        Cause("server/crossed", _POSSIBLE, "the rightful request is not in sight", frames),
        Cause("server/stolen", _POSSIBLE, "the rightful request is not in sight", frames),
        Cause("proxy/crossed", _POSSIBLE, "a proxy in between may have mixed them up", frames),
    ]


def _of_leaked(case: Case, swap: Swap) -> list[Cause]:
    """Causes of a response that shows somebody else than whoever asked."""
    frames = (case.tables.came(swap.recipient),)
    kept = (
        "a cache in front of the server may keep what one was given, under a key that does not say "
        "for whom"
    )
    proxy = Cause("proxy/crossed", _POSSIBLE, kept, frames)
    if swap.owner is None:
        why = (
            "the other one had no request under way: what a server keeps from one request to the "
            "next (a cache, a session, a variable, a setting of a connection to a database) was "
            "taken for this one's"
        )
        return [Cause("server/stolen", _SUPPORTED, why, frames, How.IDENTITY), proxy]
    at = (case.tables.asked(swap.owner), *frames)
    why = (
        "while the other one's request was under way the server took this one to be made on the "
        "other one's behalf, as happens when who is asking is kept in something that requests share"
    )
    return [Cause("server/stolen", _SUPPORTED, why, at, How.IDENTITY), proxy]


def _of_cached(case: Case, owner: Row, recipient: Row) -> list[Cause]:
    """Causes of a response that another client had been given before."""
    frames = (case.tables.came(owner), case.tables.came(recipient))
    why = (
        "a cache kept what one client was given, and gave it to another who asked later; whether "
        "that is the server's own or stands in front of it, a capture behind it would show"
    )
    network = "the response was sent again when the later request came; a network keeps none"
    return [
        Cause(OPEN, _SUPPORTED, why, frames, How.CACHE),
        Cause("proxy/crossed", _POSSIBLE, "a proxy in between may keep responses", frames),
        Cause("server/crossed", _POSSIBLE, "the server may keep responses itself", frames),
        Cause("network/lost", _RULED_OUT, network, frames),
    ]


def _of_given_up(case: Case, swap: Swap, owner: Row) -> list[Cause]:
    """Causes of a response going elsewhere whose request was told that it was given up on."""
    recipient = swap.recipient
    asked, told, came = (
        case.tables.asked(owner), case.tables.came(owner), case.tables.came(recipient),
    )  # fmt: skip
    frames = (asked, told, came)
    over = f"the request in frame {asked} was given up on with a {owner['status']} in frame {told}"
    crossed = Cause("server/crossed", _RULED_OUT, "the owner got no response in exchange", frames)
    network = Cause(
        "network/lost", _RULED_OUT, "a network cannot move a response to another request", frames
    )
    if is_apart(case.tables, swap):
        backend = (
            f"{over}, before the other one came: whoever gave up went on with the connection on "
            "which the response was still owed, and gave it to the next request"
        )
        kept = f"{over}: the process may have kept the response, in a variable for instance"
        return [
            Cause(BACKEND, _SUPPORTED, backend, frames, How.GIVEN_UP),
            Cause("server/stolen", _POSSIBLE, kept, frames),
            crossed,
            network,
        ]
    why = (
        f"{over} when its response had gone to the other one, or was about to; whether the server "
        "did that, or who gave up on it, a capture behind them would show"
    )
    backend = "a connection behind whoever gave up may have slipped by one"
    stolen = "two live responses may have been mixed up in the process"
    lost = "whether the server's process still had the connection, only its own side shows"
    return [
        Cause(OPEN, _SUPPORTED, why, frames),
        Cause(BACKEND, _POSSIBLE, backend, frames),
        Cause("server/stolen", _POSSIBLE, stolen, frames),
        Cause("server/descriptor", _POSSIBLE, lost, frames),
        crossed,
        network,
    ]


def _of_late(case: Case, owner: Row, recipient: Row) -> list[Cause]:
    """Causes of a connection going on although a response was still to come on it."""
    frames = (case.tables.asked(owner), case.tables.came(recipient))
    first = given_up(owner)
    why = "from then on each response on this connection answers the request before"
    if first:
        why = (
            f"the request in frame {frames[0]} was given up on with a {owner['status']}, and its "
            f"connection used further; its own response came later; {why}"
        )
    network = "a network cannot move a response to another request"
    return [
        Cause("connection/desync", _SUPPORTED, why, frames, How.GIVEN_UP if first else None),
        Cause("network/lost", _RULED_OUT, network, frames),
    ]


def _of_slipped_path(case: Case, owner: Row, recipient: Row, how: str) -> list[Cause]:
    """Causes of responses that come one request late, on whatever connection."""
    frames = (case.tables.asked(owner), case.tables.came(recipient))
    named = None if how == LATE else How.SMUGGLING
    if how == LATE:
        why = (
            "the request that it answers had been given an earlier request's response: somewhere "
            "on the way each response comes one request late"
        )
    else:
        why = (
            "request smuggling: a request before the rightful one on its connection has an "
            "ambiguous end (both Content-Length and Transfer-Encoding, or an invalid one). Whoever "
            "reads it the other way takes the rightful request for a part of it, and hands its "
            "response to the next request"
        )
    network = "a network cannot move a response to another connection"
    return [
        Cause("connection/desync", _SUPPORTED, why, frames, named),
        Cause("proxy/crossed", _POSSIBLE, "a proxy in between may have mixed them up", frames),
        Cause("server/crossed", _POSSIBLE, "the server may have mixed them up", frames),
        Cause("network/lost", _RULED_OUT, network, frames),
    ]


def _of_chain(case: Case, owner: Row, recipient: Row, chain: Chain) -> list[Cause]:
    """Causes of one request after the other being given the response to the one before."""
    frames = (case.tables.asked(owner), case.tables.came(recipient))
    many = len(chain.links)
    slipped = (
        f"{many} requests, one after the other, were each given the response to the one before; "
        "each response was sent after the request that was given it, so none of the clients' "
        "connections slipped"
    )
    if chain.apart:
        one = chain.apart[0]
        assert one.owner is not None
        slipped += (
            f". When the request in frame {case.tables.asked(one.recipient)} came, the one in "
            f"frame {case.tables.asked(one.owner)} was over: something behind the server had kept "
            "the response for whoever asks next, as its connection to a database, a cache or "
            "another service does when an answer on it was left unread"
        )
        mixed = "server/crossed"
        within = "a queue within the process, of results that carry no name, would look the same"
    else:
        slipped += "; a connection that the server itself asks on may have slipped by one"
        mixed = "server/stolen"
        within = "each two were live at one time: the process may have mixed them up"
    return [
        Cause(BACKEND, _SUPPORTED if chain.apart else _POSSIBLE, slipped, frames),
        Cause(mixed, _POSSIBLE, within, frames),
        Cause(
            "proxy/crossed",
            _POSSIBLE,
            "if a proxy was asked here, what slipped is one of its connections to a server",
            frames,
        ),
        Cause(
            "server/descriptor",
            _RULED_OUT,
            "a descriptor that is used again takes one response to one connection; it does not go "
            "on, with each request's own response going to the next",
            frames,
        ),
        Cause(
            "network/lost",
            _RULED_OUT,
            "a network cannot move a response to another connection",
            frames,
        ),
    ]


def of_left_over(case: Case, row: Row, swap: Swap, considered: Iterable[Cause]) -> list[Cause]:
    """Causes of a request without a response of its own, with which a chain of others begins.

    `considered` is why it was left without one; what it asked for was given to the next request.
    """
    frames = (case.tables.asked(row), case.tables.came(swap.recipient))
    left = Cause(
        BACKEND,
        _SUPPORTED,
        "what was fetched for it behind the server was left unread there, and given to the next "
        f"request, in frame {case.tables.asked(swap.recipient)}",
        frames,
    )
    own = "its response was kept behind the server, and then each later request's own"
    return ordered(
        [
            *(
                Cause(c.cause, _RULED_OUT, own, frames) if c.cause == "server/descriptor" else c
                for c in considered
            ),
            left,
        ]
    )


def _mixed_up(case: Case, swap: Swap, owner: Row) -> list[Cause]:
    recipient, how = swap.recipient, swap.how
    frames = (case.tables.asked(owner), case.tables.came(recipient))
    descriptor = Cause(
        "server/descriptor", _RULED_OUT, "the owner's connection got a response", frames
    )
    network = Cause(
        "network/lost",
        _RULED_OUT,
        "the response was in sequence and acknowledged on the wrong connection; "
        "a network cannot move it there",
        frames,
    )
    if how == CROSSED:
        why = "each of the requests in question got another's response"
        return [Cause("server/crossed", _SUPPORTED, why, frames), descriptor, network]
    if how == COPIED:
        why = "both requests were given the same response while both were waiting"
        return [Cause("server/stolen", _SUPPORTED, why, frames), descriptor, network]
    if how == SHARED:
        why = "the response is made of what the other request names, which was waiting as well"
        return [Cause("server/stolen", _SUPPORTED, why, frames), descriptor, network]
    lost = _ownership(case, owner, recipient)
    stolen = {_SUPPORTED: _RULED_OUT, _POSSIBLE: _POSSIBLE, _RULED_OUT: _SUPPORTED}[lost.verdict]
    why = _of_stolen(stolen)
    closed = int(case.tables.connection(owner)["first_close"]) == Close.SERVER_FIN
    if stolen is _RULED_OUT and not closed and not case.habit(owner).owing:
        # Proxies, and servers with a thread for each connection, may do so.
        stolen = _POSSIBLE
        why = (
            "some servers do not look at a connection while they work on its request; whether this "
            "one does, none of its other connections shows"
        )
    crossed = Cause("server/crossed", _RULED_OUT, "the owner got no response in exchange", frames)
    if stolen is _SUPPORTED and is_apart(case.tables, swap):
        # No two were live. What kept the response until then, one case alone does not tell.
        over = "the owner's request was over before the other one came: "
        backend = over + (
            "an answer left unread on a connection of the server's own (to a database, a cache) "
            "would be given to whoever asks next"
        )
        kept = over + "the process may have kept the response, in a variable for instance"
        return [
            Cause(BACKEND, _POSSIBLE, backend, frames),
            Cause("server/stolen", _POSSIBLE, kept, frames),
            lost,
            crossed,
            network,
        ]
    return [lost, Cause("server/stolen", stolen, why, lost.frames or frames), crossed, network]


def _ownership(case: Case, owner: Row, recipient: Row) -> Cause:
    """Whether the server's process had lost the connection of the request that hung."""
    connections = case.tables.connection(owner), case.tables.connection(recipient)
    one, two = map(_ints, connections)
    opened = case.tables.frame_of(connections[1], "first")
    gone, closed = (case.tables.frame_of(connections[0], f"{who}_fin") for who in _BOTH)

    def cause(verdict: Verdict, why: str, *frames: Frame) -> Cause:
        return Cause("server/descriptor", verdict, why, tuple(f for f in frames if f))

    if two["first_time"] <= owner["request_time"]:
        why = "the connection that got the response is older than the request it belongs to"
        return cause(_RULED_OUT, why, opened, case.tables.asked(owner))
    if one["first_close"] == Close.SERVER_FIN:
        frames = (closed, opened)
        verdict = _POSSIBLE
        why = "the server closed the owner's connection without an answer"
        if two["first_time"] > one["server_fin_time"]:
            verdict = _SUPPORTED
            why += ", and the connection that got the response was accepted after that"
    else:
        frames = (gone, closed)
        verdict, why = _orphaned(case, owner)
    if verdict is _SUPPORTED and recipient["request_time"] > recipient["response_time"]:
        verdict, why = _POSSIBLE, why + "; but the response came before the request that got it"
    return cause(verdict, why, *frames)


def _orphaned(case: Case, row: Row) -> tuple[Verdict, str]:
    """Whether nobody owned the row's connection any more when its client closed it."""
    one, habit = _ints(case.tables.connection(row)), case.habit(row)
    unclear = "how the owner's connection ended does not tell whether the process owned it"
    if not one["client_fin_frame"] or not one["flags"] & _CLIENT_FIN_ACKED:
        return _POSSIBLE, unclear
    if missed_fin(case.packets(row)):
        return _POSSIBLE, "the server closed too, by the client's acknowledgement; when is not seen"
    if one["server_fin_frame"]:
        delay = one["server_fin_time"] - one["client_fin_time"]
        if delay <= habit.patience:
            return _RULED_OUT, (
                f"the server answered the client's FIN with its own within {milliseconds(delay)} "
                "ms: the process owned that connection to its end (unless one of two descriptors "
                "for it, as dup makes them, was lost)"
            )
        return _POSSIBLE, unclear
    watched = case.tables.watched_until(row) - one["client_fin_time"]
    if watched < habit.patience:
        return _POSSIBLE, "the capture ends too soon after the client closed to tell"
    if habit.known and not habit.closes_too:
        return _POSSIBLE, (
            "no FIN of the server followed the client's, but this server often leaves it at that"
        )
    if habit.holding and not habit.owing:
        return _POSSIBLE, (
            "no FIN of the server followed the client's, but this server has kept connections "
            f"open until an answer was ready that nobody waited for any more ({habit.holding} "
            "times): it may be at work still"
        )
    usual = f", as it did on {habit.closed} others" if habit.known else ""
    return _SUPPORTED, (
        "the client's FIN was acknowledged by the kernel and no FIN of the server followed"
        f"{usual}: no part of the process owned that connection any more"
    )


def _of_stolen(verdict: Verdict) -> str:
    return {
        _SUPPORTED: "two live responses were mixed up while the process owned both connections",
        _POSSIBLE: "both connections may have been live when the response was written",
        _RULED_OUT: "the process no longer owned the connection that the response belonged to",
    }[verdict]


def of_silence(case: Case, row: Row, *, refused: bool, lost: bool) -> list[Cause]:
    """Causes of a request that got no answer, where no other request got it either."""
    race = case.races.get(row.id)
    if race is not None:
        return _of_race(case, row, race)
    connection = _ints(case.tables.connection(row))
    frame = case.tables.asked(row)
    if row["flags"] & _BODY_SKIPPED:
        return [
            Cause(
                "connection/desync",
                _SUPPORTED,
                "the request before it announced a body that was never sent; the server takes "
                "this request for that body, or closes",
                (frame,),
            ),
            Cause("server/silent", _POSSIBLE, "the server did not answer this request", (frame,)),
        ]
    if not row.acknowledged(case.tables.connection(row)) and not _acknowledged(case, row):
        return _undelivered(case, row, connection)
    if lost:
        at: tuple[Frame, ...] = (case.tables.came(row),)
        return [
            Cause("network/lost", _SUPPORTED, "the response was sent and never acknowledged", at),
            Cause("server/silent", _RULED_OUT, "the server did answer", at),
        ]
    if refused:
        at = (case.tables.came(row), _end(case, row, "client_fin"))
        return [
            Cause("client/gave-up", _SUPPORTED, "the response came after the client had left", at),
            Cause(
                "network/lost",
                _RULED_OUT,
                "the request was acknowledged, the response sent",
                at,
            ),
        ]
    return _unsent(case, row, connection)


def _of_race(case: Case, row: Row, race: Race) -> list[Cause]:
    """Causes of a request on a connection that its server had closed before it could see it."""
    end = "reset" if race.closing.flags & _RST else "FIN"
    closing = case.tables.frame(race.closing)
    at = (closing, case.tables.asked(row))
    found = [
        Cause(
            "server/closed",
            _SUPPORTED,
            "the server had closed the idle connection before it could see the request: its "
            f"{end} in frame {closing} acknowledges nothing of the request. Clients have to expect "
            "that of a connection kept for later, and may ask again on another one (RFC 9112 §9.5)",
            at,
            How.IDLE_CLOSE,
        )
    ]
    if race.closing.flags & _RST:
        why = "something in between that forgets idle connections may have sent the reset"
        found.append(Cause("network/reset", _POSSIBLE, why, at))
    why = "the request was not lost: the connection had ended before it came"
    return [*found, Cause("network/lost", _RULED_OUT, why, at)]


def _acknowledged(case: Case, row: Row) -> bool:
    """Whether any packet of the server's host acknowledges the request, also after both FINs."""
    request = case.messages.message(row, CLIENT)
    if request is None or not request.end:
        return False
    return any(
        p.side == SERVER and not p.flags & _RST and p.ack >= request.end for p in case.packets(row)
    )


def _undelivered(case: Case, row: Row, connection: dict[str, int]) -> list[Cause]:
    """The request was never acknowledged."""
    frame, reset = case.tables.asked(row), _end(case, row, "reset")
    closed_before = 0 < connection["server_fin_time"] <= row["request_time"]
    if closed_before and reset:
        return [
            Cause(
                "server/closed",
                _SUPPORTED,
                "the server had closed the idle connection when the request arrived, and reset it",
                (_end(case, row, "server_fin"), frame, reset),
            ),
            Cause(
                "network/lost",
                _RULED_OUT,
                "the reset answers the request: it did arrive",
                (frame, reset),
            ),
        ]
    answer = _first(case.packets(row), SERVER, _RST, row["request_time"])
    if answer is not None:
        strange = strange_reset(case.packets(row), SERVER)
        at = (frame, case.tables.frame(answer))
        why = (
            f"the reset that answers the request {strange[1]}: another host sent it"
            if strange
            else "a reset answers the request; something in between may have sent it"
        )
        return ordered(
            [
                Cause("network/reset", _SUPPORTED if strange else _POSSIBLE, why, at),
                Cause(
                    "server/reset",
                    _POSSIBLE if strange else _SUPPORTED,
                    "a reset in the server's name answers the request",
                    at,
                ),
                Cause("network/lost", _RULED_OUT, "the request did arrive somewhere", at),
            ]
        )
    return [
        Cause(
            "network/lost",
            _SUPPORTED,
            "the server's host never acknowledged the whole request",
            (frame,),
        ),
        _unread(case, row),
    ]


def _unread(case: Case, row: Row) -> Cause:
    """Whether the server could have read a request that its host never acknowledged."""
    packets, frame = case.packets(row), case.tables.asked(row)
    greetings = [p for p in packets if p.side == SERVER and p.flags & _SYN]
    if len(greetings) > 1:
        why = (
            "the server's host repeats its SYN-ACK: it has no room for the connection, because "
            "the server does not accept any"
        )
        at = tuple(case.tables.frame(p) for p in greetings)
        return Cause("server/silent", _POSSIBLE, why, at)
    why = "the server's host never acknowledged the request"
    return Cause("server/silent", _RULED_OUT, why, (frame,))


def _unsent(case: Case, row: Row, connection: dict[str, int]) -> list[Cause]:
    """The request was acknowledged, and the server sent nothing."""
    frame, close = case.tables.asked(row), connection["first_close"]
    gone, fin, reset = (_end(case, row, name) for name in ("client_fin", "server_fin", "reset"))
    kept = _lost_before(case, row)
    if kept.verdict is _SUPPORTED:
        why = "the server had sent something after the request"
        return [kept, Cause("server/silent", _RULED_OUT, why, kept.frames)]
    if close == Close.SERVER_FIN:
        at: tuple[Frame, ...] = (frame, fin)
        return [
            Cause("server/closed", _SUPPORTED, "the server closed the connection instead", at),
            Cause(
                "network/lost",
                _RULED_OUT,
                "the server's FIN is in sequence: it sent no answer",
                at,
            ),
        ]
    if close == Close.SERVER_RST:
        return _of_reset(case, row, reset, "a reset came from the server's side instead")
    left = connection["client_fin_time"] or connection["reset_time"]
    waited = left - row["request_time"]
    at = tuple(f for f in (frame, gone or reset) if f)
    usual = case.pace.usual(case.tables.endpoint(row))
    if usual and waited < usual:
        why = (
            f"the client left after {seconds(waited)} s; answers that others waited for took up to "
            f"{seconds(usual)} s"
        )
        return _left(why, at, kept)
    gave_up = Cause("client/gave-up", _POSSIBLE, "the client was the first to close", at)
    slow = _taken(case, row)
    silent = slow or (
        "the server's host acknowledged the request, and the server had sent nothing when the "
        f"client left after {seconds(waited)} s"
        if left
        else "the server's host acknowledged the request, and the server sent nothing"
    )
    verdict, why = _orphaned(case, row)
    owing = case.habit(row).owing
    if verdict is _SUPPORTED and owing:
        # Had it a handler that does not look at its socket, it would not have closed those.
        also = (
            f"; {counted(owing, 'connection', 'connections')} on which it owed an answer too, this "
            "server did close when the client had"
        )
        busy = "a handler that keeps its whole process busy would look the same"
        return [
            Cause("server/descriptor", _SUPPORTED, why + also, at),
            Cause("server/silent", _POSSIBLE, busy, at),
            gave_up,
            kept,
        ]
    if left and waited < DEADLINE:
        others = f"; others waited up to {seconds(usual)} s for theirs" if usual else ""
        why = (
            f"the client left after no more than {seconds(waited)} s, as one does whose own "
            f"deadline is short{others}"
        )
        return _left(why, at, kept)
    silent += _asked_for(case, row)
    how = How.UNACCEPTED if slow else None
    found = [Cause("server/silent", _SUPPORTED, silent, at, how), gave_up, kept]
    if verdict is _SUPPORTED:
        # A thread that works on a request does not look at its socket: no FIN proves nothing.
        why = (
            "the server has not closed its side since, as it would not if it had lost the "
            "connection; nor would it while a handler is busy or waits"
        )
        found.insert(1, Cause("server/descriptor", _POSSIBLE, why, at))
    return found


def _left(why: str, at: tuple[Frame, ...], kept: Cause) -> list[Cause]:
    """Causes of a request whose client left before anybody could call the server silent."""
    later = "the server might not have answered later either"
    return [
        Cause("client/gave-up", _SUPPORTED, why, at),
        Cause("server/silent", _POSSIBLE, later, at),
        kept,
    ]


def _taken(case: Case, row: Row) -> str:
    """What is said of a request that its server's host was slow to take; "" where it was not."""
    request, packets = case.messages.message(row, CLIENT), case.packets(row)
    if request is None or not request.end:
        return ""
    ack = next((p for p in packets if p.side == SERVER and p.ack >= request.end), None)
    sent = [p for p in packets if p.side == CLIENT and p.length and p.seq < request.end <= p.end]
    if ack is None or ack.time - row["request_time"] < SLOW:
        return ""
    again = sum(p.again and p.time < ack.time for p in sent)
    if not again:
        return ""
    tries = counted(again, "more time", "more times")
    full = (
        " It repeated its SYN-ACK as well: its accept queue was full, because the process accepted "
        "no connection"
        if sum(bool(p.side == SERVER and p.flags & _SYN) for p in packets) > 1
        else " So it does where the accept queue is full, because the process accepts no connection"
    )
    return (
        "the server's host acknowledged the request only after "
        f"{seconds(ack.time - row['request_time'])} s, when it had been sent {tries}, and the "
        f"server sent nothing.{full}"
    )


def _asked_for(case: Case, row: Row) -> str:
    """What the request asks for beside an answer, which some servers never give."""
    request = case.messages.message(row, CLIENT)
    if request is None:
        return ""
    upgrade, expect = request.header("Upgrade"), request.header("Expect")
    if request.method == "CONNECT":
        return "; the request asks for a tunnel (CONNECT), which only a proxy opens"
    if upgrade is not None:
        return (
            f"; the request asks for another protocol (Upgrade: {upgrade[:40]}), which a server "
            "may ignore, but not leave unanswered (RFC 9110 §7.8)"
        )
    if expect is not None:
        return (
            f"; the request asks the server to say first whether it goes on (Expect: {expect[:40]})"
        )
    return ""


def _lost_before(case: Case, row: Row) -> Cause:
    """Whether the server had sent what never came to where this was captured.

    The sequence number of all that a host sends later tells how many bytes it had sent by then
    (RFC 9293 §3.4).
    """
    frame = case.tables.asked(row)
    sent = [p for p in case.packets(row) if p.side == SERVER and not p.flags & _RST]
    # What was sent before the request is another matter, and what is missing of that too.
    seen = max((p.end for p in sent if p.time <= row["request_time"]), default=1)
    for packet in sorted(sent, key=lambda p: p.seq):
        if packet.seq <= seen:
            seen = max(seen, packet.end)
    if missed_fin(case.packets(row)):
        why = "the capture itself misses packets of the server's end of the connection"
        return Cause("network/lost", _POSSIBLE, why, (frame,))
    elsewhere = [
        packet
        for number in case.tables.joined.members(row["connection"])
        if number != row["connection"]
        for packet in case.messages.packets(number)
        if packet.side == SERVER and packet.length and packet.end > seen + (packet.flags & 1)
    ]
    if elsewhere:
        why = "a response was captured nearer the server, and never came to this place"
        return Cause("network/lost", _SUPPORTED, why, (frame, case.tables.frame(elsewhere[0])))
    ahead = [p for p in sent if p.seq > seen]
    if ahead:
        why = (
            f"the numbers of what the server sent later show that it had sent "
            f"{max(p.seq for p in ahead) - seen} bytes that never came here"
        )
        return Cause("network/lost", _SUPPORTED, why, (frame, case.tables.frame(ahead[0])))
    again = [p for p in case.packets(row) if p.side == CLIENT and p.length and p.again]
    if again:
        why = "the request had to be repeated before the server's host took it"
        return Cause("network/lost", _POSSIBLE, why, (frame, *map(case.tables.frame, again[:5])))
    left = int(case.tables.connection(row)["client_fin_time"])
    last = [p for p in sent if p.time >= left and not p.probe]
    if left and last:
        why = (
            "what the server's host sent after the client closed shows that it had sent nothing "
            "before"
        )
        return Cause("network/lost", _RULED_OUT, why, (frame, case.tables.frame(last[0])))
    if case.side(row) is Side.SERVER:
        why = "beside the server there is no byte of a response that could have been lost"
        return Cause("network/lost", _RULED_OUT, why, (frame,))
    why = "a response may have been lost before it came to where this was captured"
    return Cause("network/lost", _POSSIBLE, why, (frame,))


def of_break(case: Case, row: Row) -> list[Cause]:
    """Causes of a response that began and never ended."""
    if row["flags"] & _NOT_HTTP:
        return broken.not_http(case, row)
    if broken.is_misannounced(row):
        return broken.misannounced(case, row)
    connection = _ints(case.tables.connection(row))
    close = Close(connection["first_close"])
    begun = case.tables.came(row)
    part = "the head" if row["flags"] & _HEAD_CUT else "the body"
    if close is Close.SERVER_FIN:
        at: tuple[Frame, ...] = (begun, _end(case, row, "server_fin"))
        how = How.CLOSED_WITHIN
        why = f"the server closed in the middle of {part}, before the end of the response"
        if row["flags"] & _BODY_WHOLE:
            how = How.CLOSED_BEHIND
            why = "the server closed when the body was whole, before the end of the message"
        return [Cause("server/closed", _SUPPORTED, why, at, how)]
    if close is Close.SERVER_RST:
        said = f"a reset came from the server's side in the middle of {part}"
        return _of_reset(case, row, _end(case, row, "reset"), said, How.RESET_WITHIN)
    at = tuple(f for f in (begun, _end(case, row, "client_fin")) if f)
    if connection["flags"] & _ZERO_WINDOW:
        why = "the client stopped reading (zero window)"
        return [Cause("client/gave-up", _SUPPORTED, why, at)]
    gave_up = f"the client closed in the middle of {part}, before the end of the response"
    silent = broken.stalled(case, row)
    if silent:
        return [
            Cause(
                "server/silent",
                _SUPPORTED,
                f"the server stopped in the middle of {part}: it sent nothing for "
                f"{seconds(silent)} s, though the client had acknowledged all and waited",
                at,
                How.STOPPED_WITHIN,
            ),
            Cause("client/gave-up", _POSSIBLE, gave_up, at),
        ]
    return [Cause("client/gave-up", _SUPPORTED, gave_up, at)]


def _of_reset(case: Case, row: Row, reset: Frame, said: str, how: How | None = None) -> list[Cause]:
    """A reset from the server's side, which is `said` so: its own, or of something in between."""
    strange = strange_reset(case.packets(row), SERVER)
    why = (
        f"the reset {strange[1]}: another host sent it"
        if strange
        else "something in between may have sent the reset"
    )
    return ordered(
        [
            Cause(
                "server/reset",
                _POSSIBLE if strange else _SUPPORTED,
                said,
                (reset,),
                how,
            ),
            Cause("network/reset", _SUPPORTED if strange else _POSSIBLE, why, (reset,)),
        ]
    )


def _first(packets: Iterable[Packet], side: int, flag: int, since: int) -> Packet | None:
    return next((p for p in packets if p.side == side and p.flags & flag and p.time >= since), None)


def _end(case: Case, row: Row, name: str) -> Frame:
    """The frame that ended a row's connection: `client_fin`, `server_fin` or `reset`."""
    return case.tables.frame_of(case.tables.connection(row), name)


def _ints(row: object) -> dict[str, int]:
    return {name: int(row[name]) for name in row.dtype.names}  # type: ignore[attr-defined,index]
