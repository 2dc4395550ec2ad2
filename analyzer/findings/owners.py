"""Whose a response is: every request that could have asked for it, scored by what it repeats.

Law: a token counts only at a place that the endpoint's responses repeat as a rule, and only if the
request that got the response does not have the same value, or nearly the same word. A request
whose endpoint always repeats its tokens, and whose tokens this response lacks, did not ask for it.
A tie is said to be one.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import orjson

from analyzer import echoes
from analyzer.closeup.model import CLIENT
from analyzer.echoes import repeats, says_who
from analyzer.findings.learning import EchoRules
from analyzer.findings.lens import Asked, Lens, Said
from analyzer.findings.view import Row, Tables

HEADER, TEXT = "(header)", "(text)"
ALIKE = 0.75  # of two words, from which on they differ in their spelling only
_DIGIT = re.compile(rb"\d")


@dataclass(frozen=True, slots=True)
class Score:
    """How well a request fits a response.

    `hits` are the places whose tokens the response repeats, `lacks` those that it ought to and
    does not. `where` says at which places of the response the tokens stand, `usual` whether the
    endpoint's other responses have them there, and `unique` whether no other request in sight has
    the same values.
    """

    row: Row
    hits: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    usual: bool = False
    unique: bool = False
    known: bool = False  # whether the messages could be looked at

    @property
    def excluded(self) -> bool:
        """Whether the response cannot be this request's."""
        return bool(self.lacks) and not self.hits

    @property
    def proven(self) -> bool:
        """Whether a unique token, where the endpoint always repeats it, leaves no doubt."""
        return bool(self.hits) and not self.lacks and self.unique and self.usual


@dataclass(slots=True)
class Scorer:
    """Scores requests against responses; `examples` are ordinary exchanges by endpoint."""

    tables: Tables
    rules: EchoRules
    lens: Lens
    examples: dict[int, list[Row]]
    _usual: dict[tuple[int, str], frozenset[str]] = field(default_factory=dict)

    def scores(self, stray: Row, candidates: list[Row], said: Said | None = None) -> list[Score]:
        """The candidates' scores, in their order; of `said` if it isn't all that `stray` says."""
        own = self.lens.asked(stray) if stray["request_frame"] else Asked({})
        said = said or self.lens.said(stray)
        if said is None or own is None:
            return [Score(row) for row in candidates]
        texts = {id(row): self.lens.asked(row) for row in candidates}
        bearers = Counter(v for text in texts.values() if text for v in {*text.tokens.values()})
        body = _parsed(said.body)
        return [self._score(row, texts[id(row)], said, body, own, bearers) for row in candidates]

    def _score(
        self,
        row: Row,
        asked: Asked | None,
        said: Said,
        body: object,
        own: Asked,
        bearers: Counter[bytes],
    ) -> Score:
        """The score of `row`; `bearers` counts the candidates by the tokens that they have."""
        if asked is None:
            return Score(row)
        endpoint = self.tables.key(row)[0]
        hits, lacks, where, usual = [], [], [], False
        unique = False
        strict = self.rules.places(endpoint)
        for place in sorted(self.rules.every_place(endpoint)):
            value = asked.tokens.get(place)
            if (
                value is None
                or value in own.tokens.values()
                or _spelt(value, own.tokens.get(place))
            ):
                continue
            if says_who(place) and not _DIGIT.search(value):
                continue  # a language or a theme is many people's
            found, expected = _where(value, said, body), self.usual(endpoint, place)
            found = {at for at in found if "[]" not in at or at in expected}
            if body is None:
                found |= _in_text(value, said.body, expected)
            # Elsewhere than where the endpoint has it, a value stands by chance; one that stands
            # in answers to others tells nothing.
            if self._in_others(endpoint, value):
                continue
            if not (found & expected if expected else found):
                lacks += [place] * (place in strict)
                continue
            hits.append(place)
            where += sorted(found & expected or found)
            usual |= bool(expected)
            unique |= bearers[value] == 1
        return Score(
            row, tuple(hits), tuple(lacks), tuple(dict.fromkeys(where)), usual, unique, known=True
        )

    def _in_others(self, endpoint: int, value: bytes) -> bool:
        """Whether the endpoint's ordinary responses have a value that their requests don't name."""
        for row in self.examples.get(endpoint, ()):
            asked, said = self.lens.asked(row), self.lens.said(row)
            if asked is None or said is None or value in asked.tokens.values():
                continue
            if repeats(value, said.body) or repeats(value, said.head):
                return True
        return False

    def own(self, stray: Row, mute: tuple[str, ...], other: Row) -> bool:
        """Whether a response repeats something of its own request that the `other` doesn't have.

        At a place that the endpoint's responses repeat: it is its own then, for all that it lacks.
        """
        endpoint = self.tables.key(stray)[0]
        said = self.lens.said(stray)
        if said is None or self.tables.key(other)[0] != endpoint:
            return False
        mine, others = self.lens.tokens(stray), self.lens.tokens(other)
        return any(
            place in mine
            and mine[place] != others.get(place)
            and (echoes.echoed(mine[place], said.body) or repeats(mine[place], said.head))
            for place in self.rules.places(endpoint)
            if place not in mute and not self._in_others(endpoint, mine.get(place, b""))
        )

    def same(self, one: Row, other: Row) -> bool:
        """Whether two requests ask for the very same thing, for all that its responses show.

        Request ids in headers then tell attempts apart, not what is asked for.
        """
        endpoint = self.tables.key(one)[0]
        if _path(one) != _path(other) or endpoint != self.tables.key(other)[0]:
            return False
        asked = [self.lens.message(row, CLIENT) for row in (one, other)]
        if asked[0] is None or asked[1] is None or asked[0].body != asked[1].body:
            return False
        every = self.rules.every_place(endpoint)
        shown = {p for p in every if says_who(p) or not p.startswith("header:")}
        said = [
            {(p, v) for p, v in self.lens.tokens(row).items() if p in shown} for row in (one, other)
        ]
        return said[0] == said[1]

    def repeated(self, one: Row, other: Row) -> bool:
        """Whether one of two such requests repeats the other, which may have been in vain.

        They are one client's, or bear one idempotency key or the like.
        """
        client = [self.tables.connection(row)["client"] for row in (one, other)]
        ids = [
            {(p, v) for p, v in self.lens.tokens(row).items() if p.startswith("header:")}
            for row in (one, other)
        ]
        return bool(client[0] == client[1] or ids[0] & ids[1])

    def mirrored(self, one: Row, other: Row) -> bool:
        """Whether each of two responses repeats what the other's request says."""
        return all(
            score.hits
            for stray, owner in ((one, other), (other, one))
            for score in self.scores(stray, [owner])
        )

    def usual(self, endpoint: int, place: str) -> frozenset[str]:
        """Where the endpoint's ordinary responses have the token of `place`: in all examples."""
        key = (endpoint, place)
        if key not in self._usual:
            common: set[str] | None = None
            for row in self.examples.get(endpoint, ()):
                asked, said = self.lens.asked(row), self.lens.said(row)
                if asked is None or said is None or place not in asked.tokens:
                    continue
                token, body = asked.tokens[place], _parsed(said.body)
                # A list that names others as well says nothing of whom it is for.
                found = _where(token, said, body) - echoes.lists_of_others(token, body)
                common = found if common is None else common & found
            self._usual[key] = frozenset(common or ())
        return self._usual[key]


def best(scores: list[Score]) -> list[Score]:
    """The scores that are as good as the best, those excluded left out."""
    left = [s for s in scores if not s.excluded]
    top = max(((len(s.hits), -len(s.lacks)) for s in left), default=(0, 0))
    return [s for s in left if (len(s.hits), -len(s.lacks)) == top]


def margin(scores: Iterable[Score], winner: Score) -> tuple[int, int]:
    """How many tokens the winner and the second best have repeated."""
    others = [len(s.hits) for s in scores if s.row is not winner.row]
    return len(winner.hits), max(others, default=0)


def _where(value: bytes, said: Said, body: object) -> set[str]:
    found = echoes.places_of(value, body)
    if body is None and _DIGIT.search(value) and echoes.echoed(value, said.body):
        found.add(TEXT)  # a mere word may stand on any page
    if repeats(value, said.head):
        found.add(HEADER)
    return found


def _in_text(value: bytes, text: bytes, expected: frozenset[str]) -> set[str]:
    """Those of the `expected` places that have a token in a JSON text that breaks off."""
    found = set()
    for place in expected:
        name = re.escape(place.rpartition(".")[2].removesuffix("[]").encode())
        if name and re.search(rb'"%s"\s*:\s*\[?\s*"?%s\b' % (name, re.escape(value)), text):
            found.add(place)
    return found


def _path(row: Row) -> bytes:
    """What is asked for, without a query: whether that matters the responses show."""
    return row.target.partition(b"?")[0]


def _spelt(one: bytes, other: bytes | None) -> bool:
    """Whether two words differ in their spelling only: a server may have put one right."""
    if other is None:
        return False
    if echoes.echoed(one, other) or echoes.echoed(other, one):
        return True
    if _DIGIT.search(one + other):
        return False
    a, b = (word.decode("utf-8", "replace").casefold() for word in (one, other))
    return a.startswith(b) or b.startswith(a) or SequenceMatcher(None, a, b).ratio() >= ALIKE


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
