"""EXCHANGES -> FINDINGS, read top to bottom: count, learn, pick the odd, look closer, decide, tell.

Each step is one module, and each works on what the one before put out:
learned (`form_model`, `tokens`, `rates`, `repeats`) -> odd (`triage`) -> who could have asked
(`candidates`) -> what speaks for each (`weights`, `links`) -> the best linking (`assignment`) ->
why (`explanations`, `deciding`) -> causes and evidence (`causes`, `evidence`, `telling`).
"""

import re
from collections import Counter
from dataclasses import replace
from itertools import chain

import numpy as np

from analyzer.baselines.demands import Demands
from analyzer.baselines.form_model import Counted, FormModel
from analyzer.baselines.habits import habits
from analyzer.baselines.identities import Identities
from analyzer.baselines.pace import Pace
from analyzer.baselines.prior import Prior
from analyzer.baselines.rates import Rates
from analyzer.baselines.repeats import Repeats, suspicious
from analyzer.baselines.summaries import summaries
from analyzer.baselines.tokens import Echoes
from analyzer.correlate.history import History, histories
from analyzer.correlate.pool import Pool
from analyzer.correlate.view import ERROR, NOT_MODIFIED, Counts, Id, Key, Row, Tables
from analyzer.diagnosis import broken, starvation, telling
from analyzer.diagnosis.evidence import Case, outstanding
from analyzer.diagnosis.idle import Race, races
from analyzer.diagnosis.incidents import Asked, finding_id, grouped
from analyzer.features.shapes import UNKNOWN_FORM
from analyzer.findings.model import (
    MOST_UNDECIDED,
    Finding,
    Judgement,
    Notice,
    Undecided,
    expected_false,
)
from analyzer.matching import reuse, unread
from analyzer.matching.candidates import Candidates, candidates
from analyzer.matching.capture_limits import limited, only_doubtful, why
from analyzer.matching.chains import chains
from analyzer.matching.deciding import decide
from analyzer.matching.leaks import leaks
from analyzer.matching.messages import Look, Messages, Read
from analyzer.matching.swaps import Verdicts
from analyzer.matching.triage import REQUEST_TIMEOUT, Odd, triage
from analyzer.matching.weights import Weigher
from analyzer.tables import Flag, Outcome

BAD_REQUEST = 400
SELDOM = 0.95  # share of responses that repeat a token, below which they often name another
MOST_LACKING = 8  # exchanges of an endpoint that lack a token, whose messages are looked at
MOST_BESIDE = 4  # endpoints that differ in a name only, of which examples are looked at
MOST_LOOKED_AT = 200  # requests without a response whose packets are looked at

_PARTS = re.compile(rb"[/?&=]")
_SURPLUS, _REQUEST_OPEN = int(Flag.SURPLUS), int(Flag.REQUEST_OPEN)
_OPEN_AT_END, _EXTRA_BYTES = int(Flag.OPEN_AT_END), int(Flag.EXTRA_BYTES)
_AFTER_INTERIM = int(Flag.AFTER_INTERIM)


def judge(
    tables: Tables,
    look: Look | None = None,
    read: Read | None = None,
    prior: Prior | None = None,
) -> Judgement:
    """Judge all exchanges; `look` gives a closer look at the few connections that matter, and
    `read` single messages. `prior` is what is known beforehand (see `baselines.prior`).
    """
    prior = prior or Prior()
    usual = prior.usual
    counts = tables.counts()
    forms = FormModel(tables.forms, _counted(tables, counts, prior))
    echoes = _echoes(tables, prior)
    pace = Pace.of(tables, usual)
    asking = reuse.Habits.of(tables, (prior.requests, prior.early))
    demands = _demands(counts, prior)
    habitual = demands.habitual()
    identities = Identities.of(tables)
    given = np.union1d(suspicious(tables), np.array([*identities.showing], dtype=np.int64))
    odd = triage(tables, forms, echoes, asking.serial(), pace, given, habitual)
    messages = Messages(tables, look, read)
    weigher = Weigher(
        tables,
        forms,
        echoes,
        Rates.of(tables, usual, prior.span),
        messages,
        {},
        Repeats.around(tables, odd.suspects, usual),
        identities,
        demands,
        {key: tokens.usual for key, tokens in prior.tokens() if tokens.examples},
    )
    found = candidates(tables, weigher, odd)
    shown = leaks(tables, identities, odd.suspects)
    behind_bodies = unread.suspects(tables, counts)
    also = [row for leak in shown for row in (leak.row, leak.owner) if row is not None]
    _look_closer(weigher, found, odd, also, [*chain(*behind_bodies)], prior)
    repeated = [one for pair in behind_bodies if (one := unread.shown(messages, *pair))]
    odd.add(one.row for one in repeated)
    verdicts = decide(tables, weigher, odd, found, asking, shown, repeated)
    odd.add(swap.recipient for swap in verdicts.swaps)
    told = [row for swap in verdicts.swaps for row in (swap.recipient, swap.owner) if row]
    weigher.messages.settle([*told, *(row for row in odd.rows if _is_silent(row, odd))])
    out = Judgement(
        answered=counts.outcomes[Outcome.ANSWERED] - odd.not_answered,
        unanswered=counts.outcomes[Outcome.UNANSWERED] + odd.unanswered,
        requests=counts.asked.total(),
        nameless=sum(n for endpoint, n in counts.asked.items() if echoes.is_nameless(endpoint)),
        connections=int(tables.joined.judged.sum()),
        endpoints=summaries(tables, counts),
    )
    case = Case(
        tables,
        weigher.messages,
        habits(tables, {row["connection"] for row in odd.rows}, counts.late, prior.closes),
        pace,
        outstanding(tables, [swap.recipient for swap in verdicts.swaps][:MOST_LOOKED_AT]),
        *_starved(weigher, odd, verdicts),
        [row for row in odd.rows if row["response_announced"] > row["response_length"]],
        chains(tables, verdicts.swaps),
        {one.row.id: one for one in repeated},
    )
    alike = _together(case, _tell(case, odd, verdicts, out), out)
    if prior.sources:
        out.usual = summaries(tables, _with(counts, prior))
        out.findings = [_known(f, tables, counts, prior) for f in out.findings]
    out.findings = grouped([replace(f, id=finding_id(f)) for f in out.findings], alike)
    out.expected_false = expected_false(out.findings)
    return out


def _tell(case: Case, odd: Odd, verdicts: Verdicts, out: Judgement) -> dict[int, Row]:
    """Say of every odd exchange what it is; returns those that hung, by their findings' places."""
    tables = case.tables
    hung: dict[int, Row] = {}
    recipients = {swap.recipient.id: swap for swap in verdicts.swaps}
    given_away = {swap.owner.id: swap for swap in verdicts.swaps if swap.owner is not None}
    asked_before = histories(tables, odd.lone)
    for row in verdicts.undecided:
        _undecided(tables, row, out)
    for oddity in verdicts.oddities:
        request, response = tables.request(oddity.row), tables.response(oddity.row)
        weighed = telling.weighed(oddity.comparisons)
        out.notices.append(Notice(oddity.why, request, response, weighed, oddity.explanations))
    for row in odd.rows:
        refused = row.id in odd.refused
        if row["outcome"] == Outcome.UNSOLICITED:
            if row.id in recipients:
                out.findings.append(telling.unsolicited(case, row, recipients[row.id]))
            elif row.id in verdicts.provided:
                recipient = verdicts.provided[row.id]
                out.findings.append(
                    telling.too_late(case, row, recipient, recipients.get(recipient.id))
                )
            else:
                _unsolicited(case, row, asked_before.get(row["connection"]), out)
        elif row.id in recipients:
            out.findings.append(telling.misdelivered(case, recipients[row.id]))
        elif row["outcome"] in (Outcome.UNANSWERED, Outcome.INCOMPLETE) or refused:
            told = row.id in given_away and only_doubtful(tables, row)
            if limited(tables, row) and not told:
                _undecided(tables, row, out)
            elif row["flags"] & _REQUEST_OPEN:
                request = tables.request(row)
                out.notices.append(Notice(broken.never_sent(case, row), request, None))
            elif row["outcome"] == Outcome.INCOMPLETE and not refused:
                swap = given_away.get(row.id)
                left = broken.left_by_choice(case, row) if swap is None else ""
                if left:
                    out.notices.append(Notice(left, tables.request(row), tables.response(row)))
                else:
                    out.findings.append(telling.incomplete(case, row, swap))
            elif row.id in case.races and case.races[row.id].is_made_good:
                out.notices.append(telling.asked_again(case, row))
            else:
                lost = row.id in odd.lost
                swap = given_away.get(row.id)
                if swap is None:
                    hung[len(out.findings)] = row
                out.findings.append(telling.unanswered(case, row, swap, refused=refused, lost=lost))
        whole = row["flags"] & _EXTRA_BYTES and row["request_frame"] and not limited(tables, row)
        if whole and row.id not in recipients:
            out.findings.append(telling.extra(case, row))
    return hung


def _together(case: Case, hung: dict[int, Row], out: Judgement) -> dict[Asked, int]:
    """Give those that hung at once the cause that they share; returns it by request, numbered."""
    silent = {
        row.id: place for place, row in hung.items() if out.findings[place].cause == "server/silent"
    }
    alike: dict[Asked, int] = {}
    rows = [row for row in hung.values() if row.id in silent]
    for number, starved in enumerate(starvation.starving(case.tables, rows)):
        for row in starved.rows:
            finding = out.findings[silent[row.id]]
            causes = starvation.shared(case.tables, starved, finding.causes)
            out.findings[silent[row.id]] = replace(finding, causes=causes)
            alike[row["request_capture"], row["request_frame"]] = number
    return alike


def _starved(weigher: Weigher, odd: Odd, verdicts: Verdicts) -> tuple[dict[Id, Race], Pool]:
    """Servers that had closed before they saw a request; and all others that nobody answered."""
    given_away = {swap.owner.id for swap in verdicts.swaps if swap.owner is not None}
    tables = weigher.tables
    silent = [
        row
        for row in odd.unserved
        if row.id not in given_away and not limited(tables, row) and not row["response_frame"]
    ]
    raced = races(tables, weigher.messages, silent)
    return raced, Pool(tables, (row for row in silent if row.id not in raced), 1)


def _unsolicited(case: Case, row: Row, asked: History | None, out: Judgement) -> None:
    response = case.tables.response(row)
    assert response is not None
    if limited(case.tables, row, but=_OPEN_AT_END):
        return
    if row["status"] == REQUEST_TIMEOUT and not row["flags"] & _SURPLUS:
        # What a server may say to an idle connection before it closes it (RFC 9110 §15.5.9).
        out.notices.append(Notice("a 408 on an idle connection, read by nobody", None, response))
        return
    if row["status"] == BAD_REQUEST and not int(case.tables.connection(row)["requests"]):
        # What some servers say to a connection that was opened ahead of need and closed unused.
        text = "a 400 on a connection without any request, read by nobody"
        out.notices.append(Notice(text, None, response))
        return
    # What was asked last on the connection is what a second answer most likely answers.
    before = asked.covered(row) if asked and response.status != REQUEST_TIMEOUT else None
    out.findings.append(telling.surplus(case, row, before))


def _undecided(tables: Tables, row: Row, out: Judgement) -> None:
    out.undecided_total += 1
    if len(out.undecided) < MOST_UNDECIDED and row["request_frame"]:
        out.undecided.append(Undecided(tables.request(row), why(row)))


# --- learning, and looking -----------------------------------------------------------------


def _counted(tables: Tables, counts: Counts, prior: Prior) -> Counted:
    """What forms are learned from: responses that tell of no error and could be looked into."""
    learned: Counter[Key] = Counter()
    for of, code, number, many in prior.forms:
        learned[of, code, number] += many
    chosen = sorted(
        (*key, counts.served[key] + learned[key], learned[key])
        for key in counts.keys.keys() | learned.keys()
        if key[1] < ERROR and key[1] != NOT_MODIFIED and key[2] != UNKNOWN_FORM
    )
    columns = np.array(chosen, dtype=np.int64).reshape(-1, 5).T
    variants = tables.variants
    variant, status, form, count, before = columns
    return Counted(
        variant,
        status,
        form,
        count,
        variants.endpoint,
        variants.neighbours,
        before if learned else None,
    )


def _with(counts: Counts, prior: Prior) -> Counts:
    """The counts of forms and requests, here and as was learned before."""
    found = Counts(keys=counts.keys.copy(), asked=counts.asked.copy())
    for variant, status, form, count in prior.forms:
        found.keys[variant, status, form] += count
    found.asked.update({number: usual.requests for number, usual in prior.usual.items()})
    return found


def _known(finding: Finding, tables: Tables, counts: Counts, prior: Prior) -> Finding:
    """A finding with how much is known of its endpoints, and whence."""
    names = {one.endpoint for one in (finding.request, finding.owner) if one is not None}
    names |= {finding.resembles}
    numbers = [n for n, endpoint in enumerate(tables.names) if endpoint.name in names]
    known = sum(map(prior.known, numbers)), sum(counts.asked[n] for n in numbers)
    return replace(finding, known=known) if finding.weighed and known[0] else finding


def _demands(counts: Counts, prior: Prior) -> Demands:
    """How far the protocol's demands are heeded, here and as was learned before."""
    kept, broken = counts.kept.copy(), counts.broken.copy()
    for number, usual in prior.usual.items():
        kept[number] += usual.kept
        broken[number] += usual.broken
    return Demands(kept, broken)


def _echoes(tables: Tables, prior: Prior) -> Echoes:
    """What tokens the endpoints' responses repeat, each response counted once."""
    judged = tables.joined.judged
    return Echoes.of(
        tables.echoes,
        tables.endpoint_of.tolist(),
        lambda endpoint, place: tables.names[endpoint].siblings(place),
        tables.shares().tolist(),
        lambda position: bool(judged[position[0]]),
        tables.teaches,
        dict(prior.tokens()),
    )


def _look_closer(
    weigher: Weigher,
    found: Candidates,
    odd: Odd,
    also: list[Row],
    in_words: list[Row],
    prior: Prior,
) -> None:
    """Look at the connections of all that may become a finding, and of examples beside them.

    `also` are others that may become one, and `in_words` those of which the messages say so.

    Examples are ordinary exchanges of the endpoints in question.
    """
    tables, rows = weigher.tables, found.rows()
    endpoints = {tables.endpoint(row) for row in rows}
    if rows:
        siblings = {
            one
            for endpoint in endpoints & weigher.echoes.shared.keys()
            for one in tables.beside(endpoint)[:MOST_BESIDE]
        }
        weigher.examples.update(tables.examples(endpoints | siblings, but=weigher.echoes.missed))
    silent = [
        row
        for row in odd.rows
        if _is_silent(row, odd) and row["request_frame"] and not limited(tables, row)
    ]
    weigher.lacking_ones.update(_lacking(weigher, odd, endpoints))
    every = (*weigher.examples.values(), *weigher.lacking_ones.values())
    beside = [row for some in every for row in some]
    weigher.messages.take([*rows, *in_words], [*silent[:MOST_LOOKED_AT], *also], beside)
    weigher.named.update(_named(weigher, rows))
    weigher.repeats = Repeats.around(tables, rows, prior.usual)


def _lacking(weigher: Weigher, odd: Odd, endpoints: set[int]) -> dict[int, list[Row]]:
    """Some of each endpoint's whose responses do not repeat what their requests name."""
    found: dict[int, list[Row]] = {}
    for row in odd.suspects:
        endpoint = weigher.tables.endpoint(row)
        if endpoint in endpoints and row.position in weigher.echoes.missed:
            some = found.setdefault(endpoint, [])
            if len(some) < MOST_LACKING:
                some.append(row)
    return found


def _is_silent(row: Row, odd: Odd) -> bool:
    """Whether an odd exchange is told of, whoever's its response is."""
    flags = row["flags"] & (_EXTRA_BYTES | _AFTER_INTERIM)
    return bool(row["outcome"] != Outcome.ANSWERED or row.id in odd.refused or flags)


def _named(weigher: Weigher, rows: list[Row]) -> Counter[tuple[int, bytes]]:
    """How many requests name what these do in their targets, of endpoints where it matters."""
    tables = weigher.tables
    wanted: dict[int, set[bytes]] = {}
    for row in rows:
        endpoint = tables.endpoint(row)
        for place, value in weigher.messages.tokens(row).items():
            rate = weigher.echoes.rate(endpoint, place)
            if (
                rate is not None
                and rate.repeated() < SELDOM
                and place.startswith(("path", "query"))
            ):
                wanted.setdefault(endpoint, set()).add(value)
    found: Counter[tuple[int, bytes]] = Counter()
    if not wanted:
        return found
    endpoints = np.array(sorted(wanted), dtype=np.int64)
    for chunk, targets in tables.served():
        endpoint = tables.endpoint_of[chunk["route"]]
        for at in np.flatnonzero(np.isin(endpoint, endpoints)).tolist():
            number = int(endpoint[at])
            parts = set(_PARTS.split(targets[at])) & wanted[number]
            found.update((number, part) for part in parts)
    return found
