"""Findings put together: what happened, whose it was, why, and the evidence.

Law: a builder decides nothing but the wording; what is a finding, and whose response it is, was
decided before.
"""

from collections.abc import Iterable
from dataclasses import replace

from analyzer.correlate.frames import once
from analyzer.correlate.model import Request, Response
from analyzer.correlate.view import Row, Tables
from analyzer.diagnosis import broken, causes, evidence
from analyzer.diagnosis.evidence import Case
from analyzer.findings.model import Cause, Confidence, Fact, Finding, Kind, Notice, Weighed
from analyzer.matching import unread
from analyzer.matching.assignment import SLIPPED
from analyzer.matching.swaps import EARLY_FINAL, REUSED, SURPLUS, UNREAD, Swap
from analyzer.matching.weights import Comparison

LEAST_TOLD = 0.5  # bits of a comparison that is told at all


def misdelivered(case: Case, swap: Swap) -> Finding:
    """A response that another request asked for."""
    tables = case.tables
    # What the client read is, after a reuse too early, what the request before was sent.
    late = swap.how in (REUSED, EARLY_FINAL) and swap.owner is not None
    read = swap.owner if late and swap.owner is not None else swap.recipient
    request, response = tables.request(swap.recipient), tables.response(read)
    assert response is not None
    owner = None if swap.owner is None else tables.request(swap.owner)
    if swap.how == SURPLUS:
        facts = _surplus_facts(case, request, response, owner)
        considered = causes.of_slip((case.tables.frame(response), case.tables.frame(request)))
    elif swap.how == UNREAD:
        one = case.unread[swap.recipient.id]
        facts, considered = [*unread.facts(tables, case.messages, one)], unread.causes(tables, one)
    elif late:
        assert owner is not None
        facts = [
            *_reuse_facts(case, request, response, owner, swap),
            *evidence.asked_later(case, swap.recipient),
        ]
        of = causes.of_interim if swap.how == EARLY_FINAL else causes.of_pool
        considered = of((case.tables.frame(owner), case.tables.frame(request)))
    else:
        facts = _swap_facts(case, swap)
        considered = causes.of_swap(case, swap)
        if swap.how == SLIPPED and swap.recipient.id not in case.chains:
            considered = causes.of_slip((tables.frame(response), tables.frame(request)))
    return _finding(
        case,
        Kind.MISDELIVERED,
        swap.confidence,
        considered,
        facts,
        rows=[row for row in (swap.recipient, swap.owner) if row is not None],
        request=request,
        response=response,
        owner=owner,
        swap=swap,
    )


def weighed(comparisons: Iterable[Comparison]) -> tuple[Weighed, ...]:
    """Comparisons as the report has them, what says most first."""
    ordered = sorted(comparisons, key=lambda c: -abs(c.bits))
    return tuple(
        Weighed(c.name, round(c.bits, 1), once(c.frames), c.fact)
        for c in ordered
        if abs(c.bits) >= LEAST_TOLD
    )


def _swap_facts(case: Case, swap: Swap) -> list[Fact]:
    """All that was seen of a response that came to the wrong connection or request."""
    recipient, owner = swap.recipient, swap.owner
    if owner is None:
        return [*evidence.whose(case, swap), *evidence.completeness(case, [recipient])]
    return [
        *evidence.whose(case, swap),
        *evidence.chained(case, recipient),
        *evidence.in_sequence(case, recipient),
        *evidence.flight(case, recipient),
        *evidence.accepted(case, owner, recipient),
        *evidence.aftermath(case, recipient),
        *evidence.around(case, [recipient, owner]),
        *evidence.places(case, [owner, recipient]),
        *evidence.completeness(case, [owner, recipient]),
    ]


def _surplus_facts(
    case: Case, request: Request, response: Response, owner: Request | None
) -> list[Fact]:
    asked, came = case.tables.frame(request), case.tables.frame(response)
    facts = [
        Fact(
            f"the response in frame {came} was sent before the server had received the "
            f"request in frame {asked}: its acknowledgement number does not cover it",
            (came, asked),
        )
    ]
    if owner is not None:
        earlier = case.tables.frame(owner)
        before = (
            "the last request on the connection that the server had received by then is the one in "
            f"frame {earlier}"
        )
        facts.append(Fact(before, (earlier,)))
    return facts


def _reuse_facts(
    case: Case, request: Request, response: Response, owner: Request, swap: Swap
) -> list[Fact]:
    asked, came, earlier = (case.tables.frame(one) for one in (request, response, owner))
    return [
        Fact(
            f"the request in frame {asked} was sent while the response to the request in "
            f"frame {earlier} on the same connection was outstanding; that response began "
            f"in frame {came}",
            (earlier, asked, came),
        ),
        Fact(
            f"this client asks one request at a time: what it reads first after the request in "
            f"frame {asked} is the response in frame {came}",
            (asked, came),
        ),
        *(Fact(c.fact, c.frames) for c in swap.comparisons if c.bits > 0),
    ]


def unanswered(case: Case, row: Row, swap: Swap | None, *, refused: bool, lost: bool) -> Finding:
    """A request that got no response; `swap` says who got it, if that is known."""
    tables = case.tables
    request = tables.request(row)
    facts = [
        Fact(f"the request is in frame {tables.asked(row)}", (tables.asked(row),)),
        *evidence.delivery(case, row),
        *evidence.race(case, row),
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
        came = tables.came(row)
        facts.append(Fact(f"the response that begins in frame {came} {fate}", (came,)))
    if swap is not None:
        facts.append(_went_elsewhere(case, swap))
    if swap is not None and swap.recipient.id in case.chains:
        own = causes.of_silence(case, row, refused=refused, lost=lost)
        considered = causes.of_left_over(case, row, swap, own)
    elif swap is not None:
        considered = causes.of_swap(case, swap)
    else:
        considered = causes.of_silence(case, row, refused=refused, lost=lost)
        facts += evidence.starvation(case, row)
    facts += [
        *evidence.history(case, row),
        *evidence.around(case, [row]),
        *evidence.completeness(case, [row]),
    ]
    return _finding(
        case, Kind.UNANSWERED, Confidence.CERTAIN, considered, facts, rows=[row], request=request
    )


def asked_again(case: Case, row: Row) -> Notice:
    """A request that its server never saw, and that was answered when it was asked again."""
    again = case.races[row.id].again
    assert again is not None
    text = (
        "the server closed an idle connection just as the client asked on it; asked again in "
        f"frame {case.tables.asked(again)} and answered"
    )
    return Notice(text, case.tables.request(row), None)


def _went_elsewhere(case: Case, swap: Swap) -> Fact:
    frame = case.tables.came(swap.recipient)
    text = f"the response that it asked for went out on another connection, in frame {frame}"
    return Fact(text, (frame,))


def incomplete(case: Case, row: Row, swap: Swap | None = None) -> Finding:
    """A response that began and never ended; `swap` says who got what it lacks, if known."""
    tables = case.tables
    request = tables.request(row) if row["request_frame"] else None
    response = tables.response(row)
    assert response is not None
    facts = [*broken.what_came(case, row), *evidence.ending(case, row)]
    considered = causes.of_break(case, row) if swap is None else causes.of_swap(case, swap)
    if swap is not None:
        facts.append(_went_elsewhere(case, swap))
    return _finding(
        case,
        Kind.INCOMPLETE,
        Confidence.CERTAIN,
        considered,
        facts,
        rows=[row],
        request=request,
        response=response,
        owner=request,
    )


def extra(case: Case, row: Row) -> Finding:
    """Bytes behind the end of a response, which are of no message."""
    return _finding(
        case,
        Kind.UNSOLICITED,
        Confidence.CERTAIN,
        broken.of_extra(case, row),
        broken.behind(case, row),
        rows=[row],
        response=case.tables.response(row),
        owner=case.tables.request(row),
    )


def unsolicited(case: Case, row: Row, swap: Swap) -> Finding:
    """A response on a connection where nobody was waiting, that another one had asked for."""
    response = case.tables.response(row)
    assert response is not None and swap.owner is not None
    return _finding(
        case,
        Kind.UNSOLICITED,
        swap.confidence,
        causes.of_swap(case, swap),
        [_nobody_waited(case, row), *_swap_facts(case, swap)],
        rows=[swap.owner, row],
        response=response,
        owner=case.tables.request(swap.owner),
        swap=swap,
    )


def too_late(case: Case, row: Row, asked: Row, swap: Swap | None) -> Finding:
    """The own answer to a request that had been given another's: `swap` says whose."""
    response = case.tables.response(row)
    assert response is not None
    request = case.tables.request(asked)
    at = (case.tables.came(row), case.tables.asked(asked))
    told = Fact(
        f"it is the answer to the request in frame {at[1]}, which had been given another "
        "request's response before",
        at[::-1],
    )
    return _finding(
        case,
        Kind.UNSOLICITED,
        Confidence.LIKELY,
        causes.of_swap(case, swap) if swap is not None else causes.of_slip(at),
        [_nobody_waited(case, row), told],
        rows=[row],
        response=response,
        owner=request,
    )


def _nobody_waited(case: Case, row: Row) -> Fact:
    frame = case.tables.came(row)
    return Fact(
        f"a response begins in frame {frame}, when every request that the "
        "server had received was answered",
        (frame,),
    )


def surplus(case: Case, row: Row, asked_before: Row | None) -> Finding:
    """A response that nobody had asked for; `asked_before` is what it most likely answers again."""
    response = case.tables.response(row)
    assert response is not None
    return _finding(
        case,
        Kind.UNSOLICITED,
        Confidence.LIKELY,
        causes.of_slip((case.tables.came(row),)),
        [_nobody_waited(case, row)],
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
    swap: Swap | None = None,
) -> Finding:
    return Finding(
        kind=kind,
        confidence=confidence,
        cause=considered[0].cause,
        causes=tuple(replace(c, frames=once(c.frames)) for c in considered),
        request=request,
        response=response,
        owner=owner,
        evidence=tuple(replace(f, frames=once(f.frames)) for f in facts),
        filter=_filter(case.tables, rows),
        weighed=weighed(swap.comparisons) if swap is not None else (),
        explanations=swap.explanations if swap is not None else (),
        bits=swap.bits if swap is not None else 0.0,
        resembles=_resembles(case, swap),
    )


def _resembles(case: Case, swap: Swap | None) -> str:
    if swap is None or swap.likely is None:
        return ""
    return case.tables.names[swap.likely].name


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
