"""EXCHANGES -> FINDINGS, read top to bottom: count, learn, pick the odd, judge each, name causes.

A response is `misdelivered` only with an owner in sight: a request of the endpoint whose responses
look like this one, waiting at the same server when the response began, and left without a response
of its own. Or where the numbers show it: a response sent before its request had arrived.
"""

import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np

from analyzer.findings import causes
from analyzer.findings.learning import ENOUGH, MOST_OWNERS, Learned, families, says_something
from analyzer.findings.model import (
    Cause,
    Confidence,
    EndpointSummary,
    Fact,
    Finding,
    Judgement,
    Kind,
    Notice,
    Request,
    Response,
    ShapeCount,
    Undecided,
    Verdict,
)
from analyzer.findings.view import Row, Tables, form_text
from analyzer.intervals import covers
from analyzer.tables import Array, Close, ConnectionFlag, Flag, Outcome

GAVE_UP = 1_000_000_000  # ns that the capture must go on after a client closed, at least
LONGEST_WAIT = 600_000_000_000  # ns that an owner may have been waiting
MOST_UNDECIDED = 1_000  # listed; all are counted
REQUEST_TIMEOUT = 408

_LOSS = int(Flag.LOSS)
_SURPLUS, _ECHOES = int(Flag.SURPLUS), int(Flag.ECHOES)
_CLIENT_REPEATS = int(ConnectionFlag.CLIENT_REPEATS)
_SERVER_REPEATS = int(ConnectionFlag.SERVER_REPEATS)
_AFTER_CLOSE, _REQUEST_OPEN = int(Flag.AFTER_CLIENT_CLOSE), int(Flag.REQUEST_OPEN)
_DAMAGED, _OPEN_AT_END = int(Flag.DAMAGED), int(Flag.OPEN_AT_END)

# Why a request could not be judged, the first that applies.
_REASONS: tuple[tuple[Flag, str], ...] = (
    (Flag.ONE_WAY, "only one direction of its connection was captured"),
    (Flag.GAP_RESPONSE, "frames of its connection from the server are missing in the capture"),
    (Flag.GAP_REQUEST, "frames of its connection from the client are missing in the capture"),
    (Flag.AFTER_GAP, "it follows a gap or a late start of the capture on its connection"),
    (Flag.MIDSTREAM, "its connection was open before the capture began"),
    (Flag.OPEN_AT_END, "the capture ends while it is outstanding"),
    (Flag.DAMAGED, "bytes on its connection could not be read as HTTP/1.x"),
)
_COPIES_DIFFER = "two copies of the same bytes on its connection differ"


def judge(tables: Tables) -> Judgement:
    """Judge all exchanges."""
    keys, asked, outcomes = tables.counts()
    out = Judgement(
        answered=outcomes[Outcome.ANSWERED],
        unanswered=outcomes[Outcome.UNANSWERED],
        requests=asked.total(),
        connections=int(tables.joined.judged.sum()),
        endpoints=_summaries(tables, keys, asked),
    )
    learned = Learned(tables.forms, keys)
    foreign = {key for key in keys if learned.is_foreign(key)}
    codes = np.array([e << 40 | s << 24 | f for e, s, f in sorted(foreign)], dtype=np.int64)

    def odd(rows: Array) -> np.ndarray:
        found: np.ndarray = (
            (rows["outcome"] != Outcome.ANSWERED)
            | (rows["flags"] & (_SURPLUS | _AFTER_CLOSE) != 0)
            | np.isin(tables.keys(rows), codes)
            | (tables.connections["flags"][rows["connection"]] & _SERVER_REPEATS != 0)
        )
        return found

    rows = [part for row in tables.pick(odd) for part in _parted(row)]
    waits = _longest_waits(tables)
    rows = [_settled(tables, row, waits) for row in rows]
    refused = [
        row
        for row in rows
        if _is_refused(tables, row) or (row["response_frame"] and _lost_on_the_way(tables, row))
    ]
    lost = [r for r in refused if r["outcome"] == Outcome.ANSWERED]
    lost += [r for r in rows if r["outcome"] == Outcome.UNANSWERED and r["flags"] & _SURPLUS]
    out.answered -= len(lost)
    out.unanswered += len(lost)
    swaps = _swaps(tables, learned, foreign, rows, refused, out)
    history = _history(tables, [r for r in rows if r["outcome"] == Outcome.UNSOLICITED])
    owners = {id(owner): (victim, both) for victim, owner, both in swaps.values() if owner}
    for row in rows:
        if id(row) in swaps:
            victim, owner, both = swaps[id(row)]
            out.findings.append(_misdelivered(tables, learned, victim, owner, both_ways=both))
        elif row["outcome"] == Outcome.UNSOLICITED:
            _unsolicited(tables, row, history, out)
        elif row["outcome"] in (Outcome.UNANSWERED, Outcome.INCOMPLETE) or row in refused:
            if _touched(tables, row):
                _undecided(tables, row, out)
            elif row["flags"] & _REQUEST_OPEN:
                request = tables.request(row)
                out.notices.append(Notice("the client never finished sending", request, None))
            elif row["outcome"] == Outcome.INCOMPLETE and row not in refused:
                out.findings.append(_incomplete(tables, row))
            else:
                stolen = owners.get(id(row))
                out.findings.append(_unanswered(tables, row, stolen, waits, refused=row in refused))
    out.findings = [replace(f, id=_identity(f)) for f in out.findings]
    return out


# --- learning and picking ------------------------------------------------------------------


def _summaries(
    tables: Tables, keys: Counter[tuple[int, int, int]], asked: Counter[int]
) -> list[EndpointSummary]:
    """What each endpoint answers: forms that are much alike are shown as one."""
    forms: dict[int, list[tuple[int, int, int]]] = {}
    for (endpoint, status, form), count in keys.items():
        forms.setdefault(endpoint, []).append((status, form, count))
    found = []
    for endpoint, count in asked.items():
        name = tables.names[endpoint]
        shapes = [
            ShapeCount(status, form.media_type, form_text(form), number)
            for status, form, number in families(forms.get(endpoint, []), tables.forms)
        ]
        shapes.sort(key=lambda s: (-s.count, s.status, s.media_type, s.shape))
        found.append(EndpointSummary(name.name, name.host, count, tuple(shapes)))
    return sorted(found, key=lambda e: (-e.requests, e.endpoint, e.host))


def _is_refused(tables: Tables, row: Row) -> bool:
    """A response that began after its client had closed, and that was cut off or reset."""
    if row["outcome"] == Outcome.UNANSWERED or not row["flags"] & _AFTER_CLOSE:
        return False
    connection = tables.connection(row)
    if row["outcome"] == Outcome.INCOMPLETE:
        return int(connection["first_close"]) == Close.CLIENT_FIN
    return (
        bool(connection["reset_frame"])
        and int(connection["first_close"]) == Close.CLIENT_FIN
        and int(connection["reset_time"]) >= row["response_time"]
    )


def _parted(row: Row) -> tuple[Row, ...]:
    """A 408 that crossed a request is not read as its answer: two rows instead of one.

    It ends an idle connection (RFC 9110 §15.5.9), whose client then asks again elsewhere.
    """
    if row["status"] != REQUEST_TIMEOUT or not row["flags"] & _SURPLUS:
        return (row,)
    alone, unanswered = row.at.copy(), row.at.copy()
    for name in row.at.dtype.names or ():
        if name.startswith("request_"):
            alone[name] = 0
        elif name.startswith("response_"):
            unanswered[name] = 0
    alone["outcome"], unanswered["outcome"] = Outcome.UNSOLICITED, Outcome.UNANSWERED
    unanswered["status"] = unanswered["form"] = 0
    return Row(alone, b""), Row(unanswered, row.target)


def _touched(tables: Tables, row: Row, *, but: int = 0) -> bool:
    """Whether the capture's own limits, or bytes that cannot be read, could explain an oddity."""
    copies = int(tables.connection(row)["flags"]) & int(ConnectionFlag.COPIES_DIFFER)
    return bool(row["flags"] & (_LOSS | _DAMAGED) & ~but or copies)


def _settled(tables: Tables, row: Row, waits: dict[int, int]) -> Row:
    """`row`, no longer open at the end of the capture if its client gave up long before.

    A client may close its half at once and still read the answer (RFC 9112 §9.6), so it must have
    waited, or the capture have gone on, for longer than answers of the endpoint take. And a message
    that is repeated in vain has been lost, whatever comes later.
    """
    if row["outcome"] == Outcome.ANSWERED or not row["flags"] & _OPEN_AT_END:
        return row
    connection = tables.connection(row)
    left = int(connection["client_fin_time"])
    patience = max(GAVE_UP, waits.get(int(tables.endpoint_of[row["route"]]), 0))
    gave_up = left and (
        left - row["request_time"] > 2 * patience or tables.watched_until(row) - left > patience
    )
    if not gave_up and not _lost_on_the_way(tables, row):
        return row
    at = row.at.copy()
    at["flags"] = row["flags"] & ~_OPEN_AT_END
    return Row(at, row.target)


def _lost_on_the_way(tables: Tables, row: Row) -> bool:
    """Whether the request, or the whole response, was repeated again and again without an ack."""
    connection = tables.connection(row)
    flags = int(connection["flags"])
    if flags & _CLIENT_REPEATS and not row["response_frame"]:
        return not covers(int(connection["client_acked"]), row["request_seq"])
    if flags & _SERVER_REPEATS and row["response_frame"]:
        return not covers(int(connection["server_acked"]), row["response_seq"])
    return False


def _longest_waits(tables: Tables) -> dict[int, int]:
    """The longest time, in ns, that an answered request of each endpoint waited."""
    longest: dict[int, int] = {}
    for rows, _ in tables.judged():
        good = (rows["outcome"] == Outcome.ANSWERED) & (rows["request_frame"] > 0)
        endpoint = tables.endpoint_of[rows["route"]][good]
        wait = (rows["response_time"] - rows["request_time"])[good]
        for number in np.unique(endpoint).tolist():
            most = int(wait[endpoint == number].max())
            longest[number] = max(longest.get(number, 0), most)
    return longest


# --- misdelivered --------------------------------------------------------------------------

_Swap = tuple[Row, Row | None, bool]  # who got it, whose it was, whether both ways


def _swaps(
    tables: Tables,
    learned: Learned,
    foreign: set[tuple[int, int, int]],
    rows: list[Row],
    refused: list[Row],
    out: Judgement,
) -> dict[int, _Swap]:
    """The responses that went astray, by the identity of the row that got each."""
    swaps: dict[int, _Swap] = {}
    late = {id(row) for row in refused}
    strays = []
    for row in rows:
        answered = row["outcome"] == Outcome.ANSWERED and id(row) not in late
        if answered and row["flags"] & _SURPLUS:
            if _touched(tables, row):
                _undecided(tables, row, out)
            else:
                swaps[id(row)] = (row, None, False)
        elif answered and tables.key(row) in foreign and not row["flags"] & _ECHOES:
            strays.append(row)
    deprived = [
        row
        for row in rows
        if row["outcome"] == Outcome.UNANSWERED and not row["flags"] & _REQUEST_OPEN
    ] + [row for row in rows if id(row) in late]
    _own_surplus(tables, swaps)
    _match(tables, learned, strays, deprived, swaps, out)
    return swaps


def _own_surplus(tables: Tables, swaps: dict[int, _Swap]) -> None:
    """A surplus response belongs to the request before, on the same connection."""
    history = _history(tables, [swap[0] for swap in swaps.values()])
    for key, (victim, _, both) in list(swaps.items()):
        earlier = [
            row
            for row in history[victim["connection"]]
            if 0 < row["request_time"] < victim["request_time"]
        ]
        swaps[key] = (victim, earlier[-1] if earlier else None, both)


def _history(tables: Tables, rows: list[Row]) -> dict[int, list[Row]]:
    """The requests on the connections of `rows`, by connection, in the order of time."""
    history: dict[int, list[Row]] = {}
    wanted = np.array(sorted({row["connection"] for row in rows}), dtype=np.int64)
    if len(wanted):
        for row in tables.pick(
            lambda rows: np.isin(rows["connection"], wanted) & (rows["request_frame"] > 0)
        ):
            history.setdefault(row["connection"], []).append(row)
    return history


def _match(
    tables: Tables,
    learned: Learned,
    strays: list[Row],
    deprived: list[Row],
    swaps: dict[int, _Swap],
    out: Judgement,
) -> None:
    """Find the owner of each stray response among the requests left without theirs."""
    claimed: dict[tuple[int, int, int], int] = {}
    found: list[tuple[Row, Row, bool]] = []
    for stray in strays:
        key = tables.key(stray)
        likes = set(learned.endpoints_like(key))
        if not likes or len(likes) > MOST_OWNERS or not says_something(learned.forms[key[2]]):
            _foreign_notice(tables, stray, out)
            continue
        candidates = [row for row in deprived if _could_own(tables, row, stray, likes)]
        crossed = [row for row in strays if _could_own(tables, row, stray, likes)]
        # Both ways: what the other one got looks like what this one asked for.
        crossed = [row for row in crossed if key[0] in learned.endpoints_like(tables.key(row))]
        if _touched(tables, stray):
            if candidates or crossed:
                _undecided(tables, stray, out)
            continue
        best = crossed or candidates
        if not best:
            _foreign_notice(tables, stray, out)
            continue
        owner = min(best, key=lambda row: (bool(row["flags"] & _LOSS), row["request_time"]))
        if _touched(tables, owner, but=_OPEN_AT_END):
            _undecided(tables, stray, out)
            continue
        claimed[key] = claimed.get(key, 0) + 1
        found.append((stray, owner, bool(crossed)))
    taken: set[int] = set()
    for stray, owner, both in found:
        key = tables.key(stray)
        # An endpoint that answers so at other times too, with nobody left waiting, is honest.
        if claimed[key] * 2 < learned.count(key[0], key[2]):
            _foreign_notice(tables, stray, out)
            continue
        if id(owner) in taken:
            continue
        taken.add(id(owner))
        swaps[id(stray)] = (stray, owner, both)


def _could_own(tables: Tables, row: Row, stray: Row, endpoints: set[int]) -> bool:
    """Whether `row` is a request of one of `endpoints` that waited when `stray` was answered."""
    return (
        row is not stray
        and tables.key(row)[0] in endpoints
        and tables.server(row) == tables.server(stray)
        and (row["connection"] != stray["connection"] or bool(row["response_time"]))
        and 0 < stray["response_time"] - row["request_time"] < LONGEST_WAIT
        and (not row["response_time"] or row["response_time"] > stray["request_time"])
    )


def _foreign_notice(tables: Tables, row: Row, out: Judgement) -> None:
    out.notices.append(
        Notice(
            "a shape otherwise not seen for its endpoint, with no owner in sight",
            tables.request(row),
            tables.response(row),
        )
    )


def _misdelivered(
    tables: Tables, learned: Learned, victim: Row, owner: Row | None, *, both_ways: bool
) -> Finding:
    request, response = tables.request(victim), tables.response(victim)
    assert response is not None
    owned = tables.request(owner) if owner is not None else None
    key = tables.key(victim)
    if victim["flags"] & _SURPLUS:
        facts = [
            Fact(
                f"the response in frame {response.frame} was sent before the server had received "
                f"the request in frame {request.frame}: its acknowledgement number does not "
                "cover that request",
                (response.frame, request.frame),
            )
        ]
        if owned is not None:
            facts.append(
                Fact(
                    f"the request before it on the connection is frame {owned.frame}",
                    (owned.frame,),
                )
            )
        considered = [
            Cause("connection/desync", Verdict.SUPPORTED, "the connection has slipped by one"),
            Cause("network/lost", Verdict.RULED_OUT, "both directions are complete up to here"),
        ]
        confidence = Confidence.LIKELY
    else:
        assert owner is not None and owned is not None
        own, there = learned.total(key[0]) - 1, learned.count(tables.key(owner)[0], key[2])
        total = learned.total(tables.key(owner)[0])
        facts = [
            Fact(
                f"the response in frame {response.frame} answers, by its place on the connection, "
                f"the request in frame {request.frame}",
                (request.frame, response.frame),
            ),
            Fact(
                f"its shape is that of {owned.endpoint}, seen {there} times in {total} responses "
                f"there; none of the {own} other responses of {request.endpoint} is like it",
                (response.frame,),
            ),
            Fact(
                f"the request in frame {owned.frame} for {owned.endpoint} had waited at the same "
                f"server for {_seconds(response.time - owned.time)} s and "
                + ("got the other's response" if both_ways else "never got a response"),
                (owned.frame,),
            ),
        ]
        considered = causes.of_swap(tables, victim, owner, both_ways=both_ways)
        enough = min(own, total) >= ENOUGH
        confidence = Confidence.LIKELY if enough else Confidence.POSSIBLE
    return Finding(
        kind=Kind.MISDELIVERED,
        confidence=confidence,
        cause=considered[0].cause,
        causes=tuple(considered),
        request=request,
        response=response,
        owner=owned,
        evidence=tuple(facts),
        filter=_filter(tables, [row for row in (victim, owner) if row is not None]),
    )


# --- the other kinds -----------------------------------------------------------------------


def _unanswered(
    tables: Tables,
    row: Row,
    stolen: tuple[Row, bool] | None,
    waits: dict[int, int],
    *,
    refused: bool,
) -> Finding:
    request = tables.request(row)
    facts = [
        Fact(f"the request is in frame {request.frame}", (request.frame,)),
        *_ending(tables, row),
    ]
    if refused:
        late = tables.response(row)
        assert late is not None
        fate = (
            "was sent several times and no byte of it was ever acknowledged"
            if _lost_on_the_way(tables, row)
            else "came when the client had closed, and the client's host refused it"
        )
        facts.append(Fact(f"the response that begins in frame {late.frame} {fate}", (late.frame,)))
    if stolen is not None:
        victim = tables.response(stolen[0])
        assert victim is not None
        facts.append(
            Fact(
                f"the response that it asked for went out on another connection, in frame "
                f"{victim.frame}",
                (victim.frame,),
            )
        )
        considered = causes.of_swap(tables, stolen[0], row, both_ways=stolen[1])
    else:
        usual = waits.get(int(tables.endpoint_of[row["route"]]), 0)
        lost = _lost_on_the_way(tables, row)
        considered = causes.of_silence(tables, row, usual_wait=usual, refused=refused, lost=lost)
    return Finding(
        kind=Kind.UNANSWERED,
        confidence=Confidence.CERTAIN,
        cause=considered[0].cause,
        causes=tuple(considered),
        request=request,
        response=None,
        owner=None,
        evidence=tuple(facts),
        filter=_filter(tables, [row]),
    )


def _incomplete(tables: Tables, row: Row) -> Finding:
    request = tables.request(row) if row["request_frame"] else None
    response = tables.response(row)
    assert response is not None
    considered = causes.of_break(tables, row)
    return Finding(
        kind=Kind.INCOMPLETE,
        confidence=Confidence.CERTAIN,
        cause=considered[0].cause,
        causes=tuple(considered),
        request=request,
        response=response,
        owner=request,
        evidence=(
            Fact(
                f"the response began in frame {response.frame}, and {response.length} bytes of "
                "its body came",
                (response.frame,),
            ),
            *_ending(tables, row),
        ),
        filter=_filter(tables, [row]),
    )


def _unsolicited(tables: Tables, row: Row, history: dict[int, list[Row]], out: Judgement) -> None:
    response = tables.response(row)
    assert response is not None
    # What was asked last on the connection is what a second answer most likely answers.
    earlier = [r for r in history.get(row["connection"], ()) if r["request_time"] < response.time]
    owner = earlier[-1] if earlier and response.status != REQUEST_TIMEOUT else None
    if _touched(tables, row, but=_OPEN_AT_END):
        return
    if row["status"] == REQUEST_TIMEOUT and not row["flags"] & _SURPLUS:
        # What a server may say to an idle connection before it closes it (RFC 9110 §15.5.9).
        out.notices.append(Notice("a 408 on an idle connection, read by nobody", None, response))
        return
    out.findings.append(
        Finding(
            kind=Kind.UNSOLICITED,
            confidence=Confidence.LIKELY,
            cause="connection/desync",
            causes=(
                Cause("connection/desync", Verdict.SUPPORTED, "more responses than requests"),
                Cause("network/lost", Verdict.RULED_OUT, "both directions are complete up to here"),
            ),
            request=None,
            response=response,
            owner=None if owner is None else tables.request(owner),
            evidence=(
                Fact(
                    f"a response begins in frame {response.frame}, when every request that the "
                    "server had received was answered",
                    (response.frame,),
                ),
            ),
            filter=_filter(tables, [row]),
        )
    )


def _undecided(tables: Tables, row: Row, out: Judgement) -> None:
    out.undecided_total += 1
    if len(out.undecided) < MOST_UNDECIDED and row["request_frame"]:
        flags = row["flags"]
        why = next((why for flag, why in _REASONS if flags & flag), _COPIES_DIFFER)
        out.undecided.append(Undecided(tables.request(row), why))


def _ending(tables: Tables, row: Row) -> list[Fact]:
    """How the connection of a request ended, as far as its frames tell."""
    connection = tables.connection(row)
    facts = []
    asked = row["request_time"]
    acked = (int(connection["client_acked"]) - row["request_seq"]) & 0xFFFFFFFF
    if 0 < acked < 0x80000000:
        facts.append(Fact("the server's host acknowledged the request", (row["request_frame"],)))
    for who in ("client", "server"):
        frame = int(connection[f"{who}_fin_frame"])
        if frame:
            after = _seconds(int(connection[f"{who}_fin_time"]) - asked)
            facts.append(
                Fact(f"the {who} closed in frame {frame}, {after} s after the request", (frame,))
            )
    frame = int(connection["reset_frame"])
    if frame:
        after = _seconds(int(connection["reset_time"]) - asked)
        facts.append(Fact(f"a reset in frame {frame}, {after} s after the request", (frame,)))
    return facts


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.3f}"


def _filter(tables: Tables, rows: list[Row]) -> str:
    """A Wireshark display filter for the connections of the rows."""
    parts = []
    for number in dict.fromkeys(row["connection"] for row in rows):
        connection = tables.connections[number]
        client = tables.place(int(connection["client"]), 0).rpartition(":")[0].strip("[]")
        family = "ipv6" if ":" in client else "ip"
        parts.append(
            f"({family}.addr == {client} && tcp.port == {int(connection['client_port'])}"
            f" && tcp.port == {int(connection['server_port'])})"
        )
    return " || ".join(parts)


def _identity(finding: Finding) -> str:
    """A name for a finding that stays the same from run to run and does not depend on files."""

    def parts(what: Request | Response | None) -> str:
        if what is None:
            return "-"
        if isinstance(what, Request):
            return f"{what.method} {what.target} {what.client} {what.server} {what.time}"
        return f"{what.status} {what.time} {what.length}"

    text = "\n".join([finding.kind, parts(finding.request), parts(finding.response)])
    return hashlib.sha256(text.encode()).hexdigest()[:10]
