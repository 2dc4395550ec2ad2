"""Why a response looks as if it were another request's: a closed list, honest reasons and faults.

Law: every suspicion ends under exactly one name of this list, whichever is the likeliest. Each name
has a prior (how seldom that happens, in bits), and the comparisons that it explains; those that it
does not explain must have come out so by chance, and are what it has to pay. The likeliest is the
one that pays least. The bits between the first fault and all honest reasons together are what the
finding's confidence says.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log2
from typing import NamedTuple

from analyzer.correlate.view import Row, Tables
from analyzer.features.echoes import says_who
from analyzer.findings.model import CERTAIN, LIKELY, SWAP, Confidence, Explained
from analyzer.matching.assignment import BY_CONTENT, CROSSED, Event
from analyzer.matching.candidates import said
from analyzer.matching.failures import tells_failure
from analyzer.matching.swaps import EARLY_FINAL, LEAKED, REUSED, SURPLUS, UNREAD, UNSEEN
from analyzer.matching.weights import (
    AGAIN,
    AT_ONCE,
    DEMANDED,
    EQUAL,
    FORM,
    NOT_WHO,
    NUMBERS,
    PROXY,
    TIME,
    TOKEN,
    UNSERVED,
    WHO,
    Weigher,
)

# Bits: of all requests sent while another was outstanding so few were sent by a pool that took the
# connection for idle; most were meant so.
REUSE = 10.0
TOLD = 3.0  # bits from which on a comparison counts as saying something
MANY = 5  # times that the same bytes are given, from which on they are nobody's own

FAULT, BENIGN = "fault", "benign"


# What a suspicion rests on, by the ways in which responses may come to the wrong requests.
_CONTENT = BY_CONTENT
_SIGHT = frozenset({UNSEEN})
_AHEAD = frozenset({SURPLUS})
_UNREAD = frozenset({UNREAD})
_LEAKED = frozenset({LEAKED})
_EARLY = frozenset({REUSED, EARLY_FINAL})


class Explanation(NamedTuple):
    """A reason: its prior in bits, what it explains, and when it comes into question.

    `of` are the ways that the responses may have come which it is a reason for.
    """

    name: str
    of: frozenset[str]
    kind: str
    prior: float
    explains: frozenset[str]
    applies: Callable[["Judging"], bool]
    sentence: str


@dataclass(slots=True)
class Judging:
    """What the reasons look at: an event, and the means to look closer."""

    tables: Tables
    weigher: Weigher
    event: Event
    given: Counter[tuple[int, int, int, int]]  # how often these bytes were given, by `said`
    owed: bool = True  # whether a response that came ahead of its request may be owed to another

    @property
    def pairs(self) -> list[tuple[Row, Row]]:
        """(recipient's exchange, rightful request's exchange) of every response that moved."""
        return [(move.response, move.request) for move in self.event.moves]

    def told(self, name: str) -> float:
        """Bits of the event's comparisons of a name."""
        return sum(c.bits for c in self.event.comparisons if c.name == name)


def _always(judging: Judging) -> bool:
    return True


def _fits(judging: Judging) -> bool:
    """Whether each response looks like what the endpoint of its rightful request gives."""
    return not judging.event.unlike


def _is_failure(judging: Judging) -> bool:
    forms = judging.tables.forms
    return all(tells_failure(forms[response["form"]]) for response, _ in judging.pairs)


def _same_asked(judging: Judging) -> bool:
    """Both ask for one thing; and the rightful one was served too, had left, or asks again.

    Two answers that are not the same are no one answer.
    """
    weigher = judging.weigher
    answers = {said(judging.tables, response) for response, _ in judging.pairs}
    if len(answers) > 1 and all(move.how == CROSSED for move in judging.event.moves):
        return False
    for response, request in judging.pairs:
        waits = still_waits(judging.tables, request, response)
        served = judging.event.copied
        if not served and waits and not weigher.repeated(request, response):
            return False
        if not weigher.same(request, response):
            return False
    return True


def _one_endpoint(judging: Judging) -> bool:
    tables = judging.tables
    return judging.told(FORM) < TOLD and all(
        tables.is_beside(response, request) for response, request in judging.pairs
    )


def _two_names(judging: Judging) -> bool:
    if judging.told(DEMANDED) > 0:
        return False  # what the protocol demands has no second name
    if all(request.target == response.target for response, request in judging.pairs):
        return False  # it was asked for by the same name
    if any(judging.weigher.keeps_its_name(response) for response, _ in judging.pairs):
        return False  # it is asked for by its own name still
    named = {c.place for c in judging.event.comparisons if c.name == TOKEN and c.bits >= TOLD}
    if len(named) > 1:
        return False  # a second name differs in one place
    return _one_endpoint(judging) and judging.event.copied and judging.told(PROXY) <= 0


def _is_spelt_alike(judging: Judging) -> bool:
    return _one_endpoint(judging) and all(
        judging.weigher.spelt_alike(request, response) for response, request in judging.pairs
    )


def _says_only_who(judging: Judging) -> bool:
    places = [c.place for c in judging.event.comparisons if c.name == TOKEN and c.bits >= 1.0]
    if judging.told(PROXY) > 0:
        return False  # what was not asked cannot have decided who may see it
    return bool(places) and all(map(says_who, places)) and judging.told(FORM) < TOLD


def _may_name_others(judging: Judging) -> bool:
    """Whether what was asked for may have been another's, by the request's own words.

    It may not where the very same request was answered for whoever asked.
    """
    return judging.told(WHO) >= TOLD and not any(
        judging.weigher.identities.otherwise(response, same=True) for response, _ in judging.pairs
    )


def _names_others(judging: Judging) -> bool:
    """Whether what was asked for is what the other one asks for as its own."""
    return _may_name_others(judging) and all(
        request.target == response.target and request.id != response.id
        for response, request in judging.pairs
    )


def _has_signed_in(judging: Judging) -> bool:
    """Whether the credentials may stand for another person from then on."""
    return judging.told(WHO) >= TOLD and not any(
        judging.weigher.identities.otherwise(response, later=True) for response, _ in judging.pairs
    )


def _given_to_many(judging: Judging) -> bool:
    return judging.event.copied and all(
        judging.given[said(judging.tables, response)] >= MANY for response, _ in judging.pairs
    )


def _is_meant(judging: Judging) -> bool:
    return judging.event.meant


def _nothing_owed(judging: Judging) -> bool:
    return not judging.owed


_SAID = frozenset({FORM, TOKEN, EQUAL, TIME, AGAIN})  # what a response says

# In the order in which a reader is told them.
EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "another request's response", _CONTENT | _SIGHT | _AHEAD | _UNREAD, FAULT, -SWAP,
        frozenset(), _fits,
        "the response belongs to another request",
    ),
    Explanation(
        "what is another's", _LEAKED, FAULT, -SWAP, frozenset(), _always,
        "the response shows somebody what is another's",
    ),
    Explanation(
        "its own, in a new form", _CONTENT | _SIGHT | _UNREAD | _LEAKED, BENIGN, 0.0,
        frozenset(), _always,
        "it is its request's own response, and only looks unlike the others",
    ),
    Explanation(
        "an envelope for failures", _CONTENT, BENIGN, -3.0, frozenset({FORM}), _is_failure,
        "it tells of a failure, as any endpoint may",
    ),
    Explanation(
        "one answer for the same question", _CONTENT, BENIGN, -2.0, _SAID | {UNSERVED}, _same_asked,
        "both requests asked for the same, and may rightly be given one answer",
    ),
    Explanation(
        "another name of the same thing", _CONTENT, BENIGN, -8.0,
        frozenset({TOKEN, EQUAL}), _two_names,
        "what was asked for may go by both names",
    ),
    Explanation(
        "a word put right", _CONTENT, BENIGN, -2.0,
        frozenset({TOKEN, EQUAL, UNSERVED}), _is_spelt_alike,
        "the server may have put a misspelt word right",
    ),
    Explanation(
        "shown to whoever may see it", _CONTENT, BENIGN, -8.0,
        frozenset({TOKEN, EQUAL}), _says_only_who,
        "only who asked tells it from its own: the server may show one what belongs to another",
    ),
    Explanation(
        "asked for what is another's", _CONTENT | _LEAKED, BENIGN, -2.0,
        _SAID | {WHO, NOT_WHO, AT_ONCE},
        _names_others,
        "both asked for the same, which is the other one's, and which the server may show",
    ),
    Explanation(
        "what is another's, and may be seen", _CONTENT | _LEAKED, BENIGN, -4.0,
        frozenset({WHO, EQUAL, AT_ONCE}), _may_name_others,
        "it was asked for something of another's, which the server may show",
    ),
    Explanation(
        "signed in as another", _CONTENT | _LEAKED, BENIGN, -10.0,
        frozenset({WHO, NOT_WHO, EQUAL, FORM, TOKEN}), _has_signed_in,
        "from then on the credentials may have been another's",
    ),
    Explanation(
        "what this request is always answered", _CONTENT, BENIGN, 0.0, _SAID, _is_meant,
        "the same request was answered so at another time too, when nobody else waited",
    ),
    Explanation(
        "what many are given", _CONTENT, BENIGN, -4.0,
        frozenset({FORM, EQUAL, TOKEN}), _given_to_many,
        "the same bytes are given to many",
    ),
    Explanation(
        "the answer to the request before", _EARLY, FAULT, -REUSE, frozenset(), _always,
        "the client took the connection for idle, and the answer that it was owed for its next one",
    ),
    Explanation(
        "a pipeline", _EARLY, BENIGN, 0.0, frozenset(), _always,
        "the client meant to ask again before the answer had come",
    ),
    Explanation(
        "numbers that deceive", _AHEAD, BENIGN, 0.0, frozenset(), _always,
        "its numbers deceive: it was sent when its request had arrived",
    ),
    Explanation(
        "sent ahead of its request", _AHEAD, BENIGN, 0.0, frozenset({NUMBERS}), _nothing_owed,
        "the server sent it before it was asked, and owed nobody an answer",
    ),
)  # fmt: skip
MUTUAL = 8.0  # bits: an honest reason that must hold both ways at one moment is so much rarer


class Outcome(NamedTuple):
    """Which reason is the likeliest, and by how much a fault is likelier than all honest ones."""

    name: str
    bits: float
    every: tuple[Explained, ...]


def explain(judging: Judging) -> Outcome:
    """Weigh all reasons against each other."""
    event = judging.event
    ways = {move.how for move in event.moves}
    scores: list[tuple[float, Explanation]] = []
    for reason in EXPLANATIONS:
        if not (ways <= reason.of and reason.applies(judging)):
            continue
        if reason.kind == FAULT:
            scores.append((reason.prior, reason))
            continue
        left = event.bits - sum(c.bits for c in event.comparisons if c.name in reason.explains)
        prior = reason.prior
        if len(event.moves) > 1 and reason.prior:
            prior = prior * len(event.moves) - MUTUAL
        scores.append((prior - left, reason))
    fault = max((score for score, reason in scores if reason.kind == FAULT), default=-inf)
    honest = log2(sum(2.0**score for score, reason in scores if reason.kind == BENIGN))
    best = max(scores, key=lambda one: one[0])
    every = tuple(
        Explained(
            reason.name,
            "chosen" if reason is best[1] else "lost",
            f"{reason.sentence} ({_by(best[0] - score)})",
        )
        for score, reason in sorted(scores, key=lambda one: -one[0])
    )
    return Outcome(best[1].name, fault - honest, every)


def _by(bits: float) -> str:
    if bits <= 0:
        return "the likeliest"
    if bits < 1:
        return "about as likely"
    return f"{bits:.1f} bits less likely"


def confidence(judging: Judging, bits: float) -> Confidence:
    """What a posterior may be called; `certain` needs two comparisons that stand by themselves."""
    if bits >= CERTAIN and _twice_told(judging):
        return Confidence.CERTAIN
    return Confidence.LIKELY if bits >= LIKELY else Confidence.POSSIBLE


def _twice_told(judging: Judging) -> bool:
    """Whether a token and something else tell it: one kind of content alone has two readings.

    What the protocol demands has not, where it is kept and broken both ways, by two responses.
    """
    event = judging.event
    kept = {c.frames for c in event.comparisons if c.name == DEMANDED and c.bits >= TOLD}
    tables = judging.tables
    moved = {(tables.asked(request), tables.came(response)) for response, request in judging.pairs}
    if len(moved) > 1 and moved <= kept:
        return True
    hits = {
        c.place for c in judging.event.comparisons if c.name == TOKEN and c.bits >= TOLD and c.place
    }
    lone_id = any(place.startswith("header:") for place in hits)
    return bool(hits) and (judging.told(FORM) >= TOLD or len(hits) > 1 or lone_id)


def still_waits(tables: Tables, row: Row, response: Row) -> bool:
    """Whether the client of `row` had not closed its connection when `response` was sent."""
    connection = tables.connection(row)
    left = int(connection["client_fin_time"]) or int(connection["reset_time"])
    return not left or left >= response["response_time"]
