"""Findings put together: what happened, whose it was, why, and the evidence.

Law: a builder decides nothing but the wording; what is a finding, and whose response it is, was
decided before.
"""

from collections.abc import Iterable
from dataclasses import replace

from analyzer.findings import causes, evidence
from analyzer.findings.evidence import Case
from analyzer.findings.learning import ENOUGH
from analyzer.findings.model import Cause, Confidence, Fact, Finding, Kind, Request, Response
from analyzer.findings.strays import How, Swap
from analyzer.findings.view import Row, Tables


def misdelivered(case: Case, swap: Swap) -> Finding:
    """A response that another request asked for."""
    tables = case.tables
    # What the client read is, after a reuse too early, what the request before was sent.
    read = swap.owner if swap.how is How.REUSED and swap.owner is not None else swap.victim
    request, response = tables.request(swap.victim), tables.response(read)
    assert response is not None
    owner = None if swap.owner is None else tables.request(swap.owner)
    if swap.how is How.SURPLUS:
        facts = _surplus_facts(request, response, owner)
        considered = causes.of_slip((response.frame, request.frame))
        confidence = Confidence.LIKELY
    elif swap.how is How.REUSED:
        assert owner is not None
        facts = _reuse_facts(request, response, owner)
        considered = causes.of_pool((owner.frame, request.frame))
        confidence = Confidence.POSSIBLE
    else:
        facts = _swap_facts(case, swap)
        considered = causes.of_swap(case, swap)
        if swap.how is How.SLIPPED:
            considered = causes.of_slip((response.frame, request.frame))
        confidence = _confidence(case, swap)
    return _finding(
        case,
        Kind.MISDELIVERED,
        confidence,
        considered,
        facts,
        rows=[row for row in (swap.victim, swap.owner) if row is not None],
        request=request,
        response=response,
        owner=owner,
    )


def _confidence(case: Case, swap: Swap) -> Confidence:
    """`certain` with a repeated unique token only; shapes alone are at most `likely`."""
    assert swap.owner is not None
    if swap.rivals:
        return Confidence.POSSIBLE
    if (swap.by_name and swap.how is not How.CROSSED) or (swap.weak and not swap.foreign):
        return Confidence.LIKELY
    if swap.score is not None and swap.score.proven and _twice_told(swap):
        return Confidence.CERTAIN
    if swap.score is not None and swap.score.hits:
        return Confidence.LIKELY
    endpoint, _, form = case.tables.key(swap.victim)
    there = case.learned.total(case.tables.key(swap.owner)[0])
    own = case.learned.total(endpoint) - case.learned.count(endpoint, form)
    sure = min(own, there) >= ENOUGH and swap.how not in (How.COPIED, How.LATE)
    return Confidence.LIKELY if sure else Confidence.POSSIBLE


def _twice_told(swap: Swap) -> bool:
    """Whether more than one id speaks for the owner, which may go by another's: two names.

    Its shape, its id header, or a second token.
    """
    assert swap.score is not None
    return (
        swap.foreign
        or len(swap.score.hits) > 1
        or any(place.startswith("header:") for place in swap.score.hits)
    )


def _swap_facts(case: Case, swap: Swap) -> list[Fact]:
    """All that was seen of a response that came to the wrong connection or request."""
    victim, owner = swap.victim, swap.owner
    assert owner is not None
    return [
        *evidence.whose(case, swap),
        *evidence.in_sequence(case, victim),
        *evidence.flight(case, victim),
        *evidence.accepted(case, owner, victim),
        *evidence.aftermath(case, victim),
        *evidence.around(case, [victim, owner]),
        *evidence.places(case, [owner, victim]),
        *evidence.completeness(case, [owner, victim]),
    ]


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


def unanswered(case: Case, row: Row, swap: Swap | None, *, refused: bool, lost: bool) -> Finding:
    """A request that got no response; `swap` says who got it, if that is known."""
    tables = case.tables
    request = tables.request(row)
    facts = [
        Fact(f"the request is in frame {request.frame}", (request.frame,)),
        *evidence.delivery(case, row),
        *evidence.ending(case, row),
    ]
    if refused:
        late = tables.response(row)
        assert late is not None
        fate = (
            "was sent several times and no byte of it was ever acknowledged"
            if lost
            else "came when the client had closed, and the client's host refused it"
        )
        facts.append(Fact(f"the response that begins in frame {late.frame} {fate}", (late.frame,)))
    if swap is not None:
        frame = swap.victim["response_frame"]
        facts.append(
            Fact(
                f"the response that it asked for went out on another connection, in frame {frame}",
                (frame,),
            )
        )
        considered = causes.of_swap(case, swap)
    else:
        considered = causes.of_silence(case, row, refused=refused, lost=lost)
    facts += [
        *evidence.history(case, row),
        *evidence.around(case, [row]),
        *evidence.completeness(case, [row]),
    ]
    return _finding(
        case, Kind.UNANSWERED, Confidence.CERTAIN, considered, facts, rows=[row], request=request
    )


def incomplete(case: Case, row: Row) -> Finding:
    """A response that began and never ended."""
    tables = case.tables
    request = tables.request(row) if row["request_frame"] else None
    response = tables.response(row)
    assert response is not None
    facts = [
        Fact(
            f"the response began in frame {response.frame}, and {response.length} bytes of "
            "its body came",
            (response.frame,),
        ),
        *evidence.ending(case, row),
    ]
    return _finding(
        case,
        Kind.INCOMPLETE,
        Confidence.CERTAIN,
        causes.of_break(case, row),
        facts,
        rows=[row],
        request=request,
        response=response,
        owner=request,
    )


def unsolicited(case: Case, row: Row, swap: Swap) -> Finding:
    """A response on a connection where nobody was waiting, that another one had asked for."""
    response = case.tables.response(row)
    assert response is not None and swap.owner is not None
    return _finding(
        case,
        Kind.UNSOLICITED,
        _confidence(case, swap),
        causes.of_swap(case, swap),
        [_nobody_waited(response), *_swap_facts(case, swap)],
        rows=[swap.owner, row],
        response=response,
        owner=case.tables.request(swap.owner),
    )


def _nobody_waited(response: Response) -> Fact:
    return Fact(
        f"a response begins in frame {response.frame}, when every request that the "
        "server had received was answered",
        (response.frame,),
    )


def surplus(case: Case, row: Row, asked_before: Row | None) -> Finding:
    """A response that nobody had asked for; `asked_before` is what it most likely answers again."""
    response = case.tables.response(row)
    assert response is not None
    return _finding(
        case,
        Kind.UNSOLICITED,
        Confidence.LIKELY,
        causes.of_slip((response.frame,)),
        [_nobody_waited(response)],
        rows=[row],
        response=response,
        owner=None if asked_before is None else case.tables.request(asked_before),
    )


def _finding(
    case: Case,
    kind: Kind,
    confidence: Confidence,
    considered: list[Cause],
    facts: Iterable[Fact],
    *,
    rows: list[Row],
    request: Request | None = None,
    response: Response | None = None,
    owner: Request | None = None,
) -> Finding:
    return Finding(
        kind=kind,
        confidence=confidence,
        cause=considered[0].cause,
        causes=tuple(replace(c, frames=_frames(c.frames)) for c in considered),
        request=request,
        response=response,
        owner=owner,
        evidence=tuple(replace(f, frames=_frames(f.frames)) for f in facts),
        filter=_filter(case.tables, rows),
    )


def _frames(frames: Iterable[int]) -> tuple[int, ...]:
    """Each frame once; 0 stands for none."""
    return tuple(dict.fromkeys(int(frame) for frame in frames if frame))


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
