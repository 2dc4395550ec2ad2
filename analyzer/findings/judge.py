"""EXCHANGES -> FINDINGS, read top to bottom: count, learn, pick the odd, judge each, name causes.

A response is `misdelivered` only with an owner in sight: a request of the endpoint whose responses
look like this one, waiting at the same server when the response began, and left without a response
of its own. Or where the numbers show it: a response sent before its request had arrived.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from analyzer.findings import causes, swaps
from analyzer.findings.incidents import finding_id, grouped
from analyzer.findings.learning import ENOUGH, EchoRules, Learned, families
from analyzer.findings.lens import Lens, Look
from analyzer.findings.model import (
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
)
from analyzer.findings.owners import Scorer
from analyzer.findings.swaps import How, Swap
from analyzer.findings.touched import touched, why
from analyzer.findings.view import Counts, Key, Row, Tables, form_text
from analyzer.intervals import covers
from analyzer.tables import Array, Close, ConnectionFlag, Flag, Outcome

GAVE_UP = 1_000_000_000  # ns that the capture must go on after a client closed, at least
MOST_UNDECIDED = 1_000  # listed; all are counted
REQUEST_TIMEOUT = 408

_SURPLUS, _PIPELINED = int(Flag.SURPLUS), int(Flag.PIPELINED)
_CLIENT_REPEATS = int(ConnectionFlag.CLIENT_REPEATS)
_SERVER_REPEATS = int(ConnectionFlag.SERVER_REPEATS)
_AFTER_CLOSE, _REQUEST_OPEN = int(Flag.AFTER_CLIENT_CLOSE), int(Flag.REQUEST_OPEN)
_OPEN_AT_END = int(Flag.OPEN_AT_END)


def judge(tables: Tables, look: Look | None = None) -> Judgement:
    """Judge all exchanges; `look` gives a closer look at the few connections that matter."""
    counts = tables.counts()
    keys, asked, outcomes = counts.keys, counts.asked, counts.outcomes
    out = Judgement(
        answered=outcomes[Outcome.ANSWERED],
        unanswered=outcomes[Outcome.UNANSWERED],
        requests=asked.total(),
        connections=int(tables.joined.judged.sum()),
        endpoints=_summaries(tables, keys, asked),
    )
    learned = Learned(tables.forms, keys)
    foreign = {key for key in keys if learned.is_foreign(key)}
    rules = _echo_rules(tables, counts)
    missed = np.array(sorted({frame for _, frame, _ in rules.missed}), dtype=np.int64)
    strange = _codes(foreign)

    serial = swaps.serial_clients(tables)
    early = np.array(sorted(serial), dtype=np.int64)

    def odd(rows: Array) -> np.ndarray:
        client = tables.connections["client"][rows["connection"]]
        found: np.ndarray = (
            (rows["outcome"] != Outcome.ANSWERED)
            | (rows["flags"] & (_SURPLUS | _AFTER_CLOSE) != 0)
            | ((rows["flags"] & _PIPELINED != 0) & np.isin(client, early))
            | np.isin(tables.keys(rows), strange)
            | np.isin(
                rows["request_capture"].astype(np.int64) << 32 | rows["request_frame"], missed
            )
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
    late = {id(row) for row in refused}
    suspects = swaps.suspects(tables, learned, foreign, rows, late, serial, rules)
    scorer = _scorer(tables, rules, suspects, look)
    found = swaps.decide(tables, learned, suspects, scorer)
    victims = {id(swap.victim): swap for swap in found.swaps}
    robbed = {id(swap.owner): swap for swap in found.swaps if swap.how is How.STOLEN}
    asked_before = swaps.history(
        tables, [row for row in rows if row["outcome"] == Outcome.UNSOLICITED]
    )
    for row in found.undecided:
        _undecided(tables, row, out)
    for row in found.unexplained:
        _foreign_notice(tables, row, out)
    for row in rows:
        if id(row) in victims:
            out.findings.append(_misdelivered(tables, learned, victims[id(row)]))
        elif row["outcome"] == Outcome.UNSOLICITED:
            _unsolicited(tables, row, asked_before, out)
        elif row["outcome"] in (Outcome.UNANSWERED, Outcome.INCOMPLETE) or id(row) in late:
            if touched(tables, row):
                _undecided(tables, row, out)
            elif row["flags"] & _REQUEST_OPEN:
                request = tables.request(row)
                out.notices.append(Notice("the client never finished sending", request, None))
            elif row["outcome"] == Outcome.INCOMPLETE and id(row) not in late:
                out.findings.append(_incomplete(tables, row))
            else:
                out.findings.append(
                    _unanswered(tables, row, robbed.get(id(row)), waits, refused=id(row) in late)
                )
    out.findings = grouped([replace(f, id=finding_id(f)) for f in out.findings])
    return out


def _echo_rules(tables: Tables, counts: Counts) -> EchoRules:
    """What tokens the endpoints' responses repeat, each connection counted once."""
    judged = counts.outcomes.total() / max(1, tables.exchanges.length)

    def counted(connection: int) -> float:
        return judged if connection < 0 else float(tables.joined.judged[connection])

    return EchoRules.of(tables.echoes, tables.endpoint_of.tolist(), counted)


def _scorer(
    tables: Tables, rules: EchoRules, suspects: swaps.Suspects, look: Look | None
) -> Scorer:
    """Look at the messages of all that may be a swap, and of ordinary exchanges beside them."""
    lens = Lens(tables, look)
    rows = suspects.rows()
    endpoints = {tables.key(row)[0] for row in rows}
    examples = tables.examples(endpoints, but=rules.missed) if rows else {}
    lens.take(rows, [row for some in examples.values() for row in some])
    return Scorer(tables, rules, lens, examples)


def _codes(keys: set[Key]) -> npt.NDArray[np.int64]:
    """Keys as `Tables.keys` has them."""
    return np.array([e << 40 | s << 24 | f for e, s, f in sorted(keys)], dtype=np.int64)


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


def _foreign_notice(tables: Tables, row: Row, out: Judgement) -> None:
    out.notices.append(
        Notice(
            "a shape otherwise not seen for its endpoint, with no owner in sight",
            tables.request(row),
            tables.response(row),
        )
    )


def _misdelivered(tables: Tables, learned: Learned, swap: Swap) -> Finding:
    # What the client read is, after a reuse too early, what the request before was sent.
    read = swap.owner if swap.how is How.REUSED and swap.owner is not None else swap.victim
    request, response = tables.request(swap.victim), tables.response(read)
    assert response is not None
    owner = None if swap.owner is None else tables.request(swap.owner)
    if swap.how is How.SURPLUS:
        facts = _surplus_facts(request, response, owner)
        considered = causes.of_slip()
        confidence = Confidence.LIKELY
    elif swap.how is How.REUSED:
        assert owner is not None
        facts = _reuse_facts(request, response, owner)
        considered = causes.of_pool()
        confidence = Confidence.POSSIBLE
    else:
        assert swap.owner is not None and owner is not None
        facts = _stray_facts(tables, learned, swap, request, response, owner)
        considered = causes.of_swap(tables, swap)
        confidence = _confidence(tables, learned, swap)
    return Finding(
        kind=Kind.MISDELIVERED,
        confidence=confidence,
        cause=considered[0].cause,
        causes=tuple(considered),
        request=request,
        response=response,
        owner=owner,
        evidence=tuple(facts),
        filter=_filter(tables, [row for row in (swap.victim, swap.owner) if row is not None]),
    )


def _surplus_facts(request: Request, response: Response, owner: Request | None) -> list[Fact]:
    facts = [
        Fact(
            f"the response in frame {response.frame} was sent before the server had received the "
            f"request in frame {request.frame}: its acknowledgement number does not cover it",
            (response.frame, request.frame),
        )
    ]
    if owner is not None:
        before = f"the request before it on the connection is in frame {owner.frame}"
        facts.append(Fact(before, (owner.frame,)))
    return facts


def _reuse_facts(request: Request, response: Response, owner: Request) -> list[Fact]:
    return [
        Fact(
            f"the request in frame {request.frame} was sent while the response to the request in "
            f"frame {owner.frame} on the same connection was outstanding; that response began "
            f"in frame {response.frame}",
            (owner.frame, request.frame, response.frame),
        ),
        Fact(
            f"this client asks one at a time almost always; whoever waits for the request in frame "
            f"{request.frame} reads the response in frame {response.frame} first",
            (request.frame, response.frame),
        ),
    ]


_WHAT_THE_OWNER_GOT = {
    How.STOLEN: "never got a response",
    How.CROSSED: "got the other's response",
    How.COPIED: "got the same response, byte for byte",
}


def _stray_facts(
    tables: Tables,
    learned: Learned,
    swap: Swap,
    request: Request,
    response: Response,
    owner: Request,
) -> list[Fact]:
    """Why a response is a stray, whose it is, and who else could have asked for it."""
    assert swap.owner is not None
    frame = response.frame
    facts = [
        Fact(
            f"the response in frame {frame} answers, by its place on the connection, "
            f"the request in frame {request.frame}",
            (request.frame, frame),
        )
    ]
    if swap.mute:
        places = _and([place_text(place) for place in swap.mute])
        facts.append(
            Fact(
                f"it does not repeat what its request names in {places}, as the other responses "
                f"of {request.endpoint} do",
                (request.frame, frame),
            )
        )
    if swap.foreign:
        endpoint, _, form = tables.key(swap.victim)
        there = learned.total(tables.key(swap.owner)[0])
        own = learned.total(endpoint) - learned.count(endpoint, form)
        alike = learned.count(tables.key(swap.owner)[0], form)
        facts.append(
            Fact(
                f"its shape is that of {owner.endpoint}, seen {alike} times in {there} responses "
                f"there; none of the {own} other responses of {request.endpoint} is like it",
                (frame,),
            )
        )
    score = swap.score
    if score is not None and score.hits:
        places = _and([place_text(place) for place in score.hits])
        where = f", at {_and(list(score.where))}" if score.where else ""
        facts.append(
            Fact(
                f"it repeats what the request in frame {owner.frame} names in {places}{where}"
                + (", as the responses of that endpoint do" if score.usual else ""),
                (owner.frame, frame),
            )
        )
    waited = _seconds(response.time - owner.time)
    facts.append(
        Fact(
            f"the request in frame {owner.frame} for {owner.endpoint} had waited at the same "
            f"server for {waited} s and {_WHAT_THE_OWNER_GOT[swap.how]}",
            (owner.frame,),
        )
    )
    if swap.rivals:
        also = f"{swap.rivals} other requests of {owner.endpoint} were waiting then: a tie"
        facts.append(Fact(also, (owner.frame,)))
    elif swap.candidates > 1:
        mine = len(score.hits) if score is not None else 0
        facts.append(
            Fact(
                f"{swap.candidates} requests could have asked for it; of this one it repeats "
                f"{mine} tokens, of the next best {swap.second}",
                (owner.frame,),
            )
        )
    return facts


def _confidence(tables: Tables, learned: Learned, swap: Swap) -> Confidence:
    """`certain` with a repeated unique token only; shapes alone are at most `likely`."""
    assert swap.owner is not None
    if swap.rivals:
        return Confidence.POSSIBLE
    if swap.score is not None and swap.score.proven and (swap.mute or swap.foreign):
        return Confidence.CERTAIN
    if swap.score is not None and swap.score.hits:
        return Confidence.LIKELY
    endpoint, _, form = tables.key(swap.victim)
    there = learned.total(tables.key(swap.owner)[0])
    own = learned.total(endpoint) - learned.count(endpoint, form)
    sure = min(own, there) >= ENOUGH and swap.how is not How.COPIED
    return Confidence.LIKELY if sure else Confidence.POSSIBLE


_PLACES = {
    "query": "the query parameter",
    "header": "the header",
    "body": "the field of its body",
}


def place_text(place: str) -> str:
    """The place of a token in words."""
    kind, _, name = place.partition(":")
    if kind in _PLACES:
        return f"{_PLACES[kind]} {name}"
    back = int(place.removeprefix("path[-").rstrip("]"))
    return "the last segment of its path" if back == 1 else f"segment -{back} of its path"


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


# --- the other kinds -----------------------------------------------------------------------


def _unanswered(
    tables: Tables, row: Row, swap: Swap | None, waits: dict[int, int], *, refused: bool
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
    if swap is not None:
        victim = tables.response(swap.victim)
        assert victim is not None
        facts.append(
            Fact(
                f"the response that it asked for went out on another connection, in frame "
                f"{victim.frame}",
                (victim.frame,),
            )
        )
        considered = causes.of_swap(tables, swap)
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
    if touched(tables, row, but=_OPEN_AT_END):
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
            causes=tuple(causes.of_slip()),
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
        out.undecided.append(Undecided(tables.request(row), why(row)))


def _ending(tables: Tables, row: Row) -> list[Fact]:
    """How the connection of a request ended, as far as its frames tell."""
    connection = tables.connection(row)
    facts = []
    asked = row["request_time"]
    if covers(int(connection["client_acked"]), row["request_seq"]):
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
