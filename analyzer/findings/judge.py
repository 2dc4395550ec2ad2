"""EXCHANGES -> FINDINGS, read top to bottom: count, learn, pick the odd, look closer, tell.

A response is `misdelivered` only with an owner in sight: a request whose endpoint's responses look
like this one, or whose tokens this one repeats, waiting at the same server when the response began,
and left without a response of its own. Or where the numbers show it: a response sent before its
request had arrived.
"""

from collections import Counter
from dataclasses import replace

from analyzer.findings import causes, odd, suspects, telling
from analyzer.findings.deciding import decide
from analyzer.findings.evidence import Case, outstanding
from analyzer.findings.habits import habits
from analyzer.findings.history import History, histories
from analyzer.findings.honest import SAME
from analyzer.findings.incidents import finding_id, grouped
from analyzer.findings.learning import EchoRules, Learned, families
from analyzer.findings.lens import Lens, Look
from analyzer.findings.model import (
    NOT_SAID,
    EndpointSummary,
    Judgement,
    Notice,
    ShapeCount,
    Undecided,
    Verdict,
)
from analyzer.findings.odd import REQUEST_TIMEOUT, Odd
from analyzer.findings.owners import Scorer
from analyzer.findings.strays import How, Suspects, Swaps
from analyzer.findings.touched import only_doubtful, touched, why
from analyzer.findings.view import Counts, Row, Tables, form_text
from analyzer.tables import Close, Flag, Outcome

MOST_UNDECIDED = 1_000  # listed; all are counted
MOST_LOOKED_AT = 200  # requests without a response whose packets are looked at

_SURPLUS, _REQUEST_OPEN = int(Flag.SURPLUS), int(Flag.REQUEST_OPEN)
_OPEN_AT_END = int(Flag.OPEN_AT_END)
_ROBBING = (How.STOLEN, How.INSIDE)  # the owner was left without a response


def judge(tables: Tables, look: Look | None = None) -> Judgement:
    """Judge all exchanges; `look` gives a closer look at the few connections that matter."""
    counts = tables.counts()
    keys, asked, outcomes = counts.keys, counts.asked, counts.outcomes
    learned = Learned(tables.forms, keys)
    foreign = {key for key in keys if learned.is_foreign(key)}
    rules = _echo_rules(tables, counts)
    waits = odd.longest_waits(tables)
    serial = suspects.serial_clients(tables)
    picked = odd.pick(tables, foreign, rules, serial, waits)
    odd_ones = suspects.suspects(
        tables, learned, foreign, picked.rows, picked.refused, serial, rules
    )
    scorer = _look_closer(tables, rules, odd_ones, picked, look)
    found = decide(tables, learned, odd_ones, scorer)
    out = Judgement(
        answered=outcomes[Outcome.ANSWERED] - picked.not_answered,
        unanswered=outcomes[Outcome.UNANSWERED] + picked.unanswered,
        requests=asked.total(),
        connections=int(tables.joined.judged.sum()),
        endpoints=_summaries(tables, keys, asked),
    )
    case = Case(
        tables,
        learned,
        scorer.lens,
        habits(tables, {row["connection"] for row in picked.rows}, counts.late),
        waits,
        outstanding(tables, [swap.victim for swap in found.swaps][:MOST_LOOKED_AT]),
    )
    _corroborate(case, found)
    _tell(case, picked, found, out)
    out.findings = grouped([replace(f, id=finding_id(f)) for f in out.findings])
    doubtful = {tables.request(s.victim) for s in found.swaps if s.by_name and s.how in SAME}
    out.provisional = {f.id for f in out.findings if f.response and f.request in doubtful}
    return out


def _corroborate(case: Case, found: Swaps) -> None:
    """Drop what only says who asked, unless the owner's connection shows that it was lost."""
    left = []
    for swap in found.swaps:
        if swap.owner is not None and swap.by_name and swap.how in (How.STOLEN, How.LATE):
            cause = causes.of_swap(case, swap)[0]
            lost = (cause.cause, cause.verdict) == ("server/descriptor", Verdict.SUPPORTED)
            # A thread that is still at work does not close either, as long as it owes an answer.
            closed = case.tables.connection(swap.owner)["first_close"] == Close.SERVER_FIN
            if not lost or not (closed or case.habit(swap.owner).owing):
                found.untold.append(swap.victim)
                continue
        left.append(swap)
    found.swaps = left


def _tell(case: Case, picked: Odd, found: Swaps, out: Judgement) -> None:
    """Say of every odd row what it is."""
    tables = case.tables
    victims = {id(swap.victim): swap for swap in found.swaps}
    robbed = {id(swap.owner): swap for swap in found.swaps if swap.how in _ROBBING}
    lone = [row for row in picked.rows if row["outcome"] == Outcome.UNSOLICITED]
    asked_before = histories(tables, lone)
    for row in found.undecided:
        _undecided(tables, row, out)
    for rows, text in (
        (
            found.unexplained,
            "a shape that its endpoint seldom or never has otherwise, with no owner in sight",
        ),
        (found.untold, NOT_SAID),
        (found.early, "sent before its request had arrived, and no request went without an answer"),
    ):
        out.notices += [Notice(text, tables.request(row), tables.response(row)) for row in rows]
    for row in picked.rows:
        refused = id(row) in picked.refused
        if row["outcome"] == Outcome.UNSOLICITED:
            if id(row) in victims:
                out.findings.append(telling.unsolicited(case, row, victims[id(row)]))
            else:
                _unsolicited(case, row, asked_before.get(row["connection"]), out)
        elif id(row) in victims:
            out.findings.append(telling.misdelivered(case, victims[id(row)]))
        elif row["outcome"] in (Outcome.UNANSWERED, Outcome.INCOMPLETE) or refused:
            told = id(row) in robbed and only_doubtful(tables, row)
            if touched(tables, row) and not told:
                _undecided(tables, row, out)
            elif row["flags"] & _REQUEST_OPEN:
                request = tables.request(row)
                out.notices.append(Notice("the client never finished sending", request, None))
            elif row["outcome"] == Outcome.INCOMPLETE and not refused:
                if causes.left_by_choice(case, row):
                    text = "the client left in the middle of the response, which was still coming"
                    out.notices.append(Notice(text, tables.request(row), tables.response(row)))
                else:
                    out.findings.append(telling.incomplete(case, row))
            else:
                lost = id(row) in picked.lost
                swap = robbed.get(id(row))
                out.findings.append(telling.unanswered(case, row, swap, refused=refused, lost=lost))


def _unsolicited(case: Case, row: Row, asked: History | None, out: Judgement) -> None:
    response = case.tables.response(row)
    assert response is not None
    if touched(case.tables, row, but=_OPEN_AT_END):
        return
    if row["status"] == REQUEST_TIMEOUT and not row["flags"] & _SURPLUS:
        # What a server may say to an idle connection before it closes it (RFC 9110 §15.5.9).
        out.notices.append(Notice("a 408 on an idle connection, read by nobody", None, response))
        return
    # What was asked last on the connection is what a second answer most likely answers.
    before = asked.before(response.time) if asked and response.status != REQUEST_TIMEOUT else None
    out.findings.append(telling.surplus(case, row, before))


def _undecided(tables: Tables, row: Row, out: Judgement) -> None:
    out.undecided_total += 1
    if len(out.undecided) < MOST_UNDECIDED and row["request_frame"]:
        out.undecided.append(Undecided(tables.request(row), why(row)))


# --- learning, and looking -----------------------------------------------------------------


def _echo_rules(tables: Tables, counts: Counts) -> EchoRules:
    """What tokens the endpoints' responses repeat, each connection counted once."""
    judged = counts.outcomes.total() / max(1, tables.exchanges.length)

    def counted(connection: int) -> float:
        return judged if connection < 0 else float(tables.joined.judged[connection])

    return EchoRules.of(tables.echoes, tables.endpoint_of.tolist(), counted)


def _look_closer(
    tables: Tables, rules: EchoRules, suspects: Suspects, picked: Odd, look: Look | None
) -> Scorer:
    """Look at the connections of all that may become a finding, and of examples beside them.

    Examples are ordinary exchanges of the endpoints in question.
    """
    lens = Lens(tables, look)
    rows = suspects.rows()
    endpoints = {tables.key(row)[0] for row in rows}
    examples = tables.examples(endpoints, but=rules.missed) if rows else {}
    silent = [
        row
        for row in picked.rows
        if (row["outcome"] != Outcome.ANSWERED or id(row) in picked.refused)
        and row["request_frame"]
        and not touched(tables, row)
    ]
    beside = [row for some in examples.values() for row in some]
    lens.take([*rows, *silent[:MOST_LOOKED_AT]], beside)
    return Scorer(tables, rules, lens, examples)


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
