"""How well a request and a response fit each other, in bits: every comparison, each with its fact.

Law: W(r, q) = the sum over comparisons c of log2 P(c | q answers r) / P(c | q answers another
request of this server). Each is learned from the capture's own exchanges, the pair in question left
out. What cannot be compared is worth nothing, and is left out.

| comparison | what is compared |
|---|---|
| form | status, media type and fields of the response with the endpoint's others (`form_model`) |
| token | values that the request names with what the response repeats (`tokens`) |
| demanded | what the protocol demands that a response repeat of its request (`demanded`) |
| again | the response with what the same request is given at other times (`repeats`) |
| who | what the response shows with what goes with the request's credentials (`identities`) |
| not who | that it shows other values than those which go with them (`identities`) |
| time | how long the request had waited with how long its endpoint takes (`rates`) |
| unserved | that the request was left without a response of its own, where few are (`rates`) |
| failed | that it was told so (5xx), where few are (`rates`) |

What else an event may rest on is weighed where it is seen: equal bytes, at once, later, ended,
numbers and surplus in `links`, habit in `reuse`, proxy, sight and seen here in `deciding`.

Source: Fellegi and Sunter (1969); issue 11.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from math import log2
from typing import NamedTuple

import numpy as np

from analyzer.baselines.demands import Demands
from analyzer.baselines.form_model import FormModel
from analyzer.baselines.identities import Identities, Shown
from analyzer.baselines.rates import Rates
from analyzer.baselines.repeats import Repeats
from analyzer.baselines.tokens import MOST_UNLEARNED, UNLEARNED, Echoes, Rate, accident
from analyzer.correlate.frames import Frame
from analyzer.correlate.view import ERROR, NOT_MODIFIED, PARTIAL, Id, Row, Tables, given_up
from analyzer.features import demanded, echoes, forms, sketch
from analyzer.features.asked import identity_sum
from analyzer.features.demanded import NOTED, Agreement
from analyzer.features.echoes import repeats, says_who
from analyzer.findings.words import counted, place_text, seldom
from analyzer.matching.messages import Messages, Said, field_lines
from analyzer.second_pass.model import CLIENT, SERVER, Message
from analyzer.tables import Flag

FORM, TOKEN, TIME, UNSERVED, EQUAL = "form", "token", "time", "unserved", "equal bytes"
AT_ONCE, PROXY, AGAIN, LATER = "at once", "proxy", "again", "later"
NUMBERS, HABIT, SURPLUS, ENDED = "numbers", "habit", "surplus", "ended"
DEMANDED, REPEATS_BODY = "demanded", "repeats body"
WHO, NOT_WHO = "who", "not who"
SEEN_HERE = "seen here"
FAILED = "failed"
# Tokens of one request are seldom independent of each other: together they are worth no more.
MOST_TOKENS = 20.0
# What a wait is worth: at most; at least where the endpoint never answers so soon; at least where
# it takes less as a rule and the request was left waiting (the slow ones are those that meet
# others); and where it had been given something else long before.
MOST_TIME, TOO_SOON, TOO_LATE, STALE = 2.0, -4.0, -1.0, -8.0
MOST_PLACES_TOLD = 3
ODD = 5.0  # bits by which a form is unlike its endpoint's, from which on it is another one
# Whose head a response has is right as well where only its body is another's: half of all faults.
OWN_HEAD = 1.0
LACKS_NAME = -1.0  # at most, where the form says so already
CALL_ID = "body:$.id"  # where a JSON-RPC call has its id
HEADER, TEXT = "(header)", "(text)"
_AT = {HEADER: "in its head", TEXT: "in its text"}
ALIKE = 0.75  # of two words, from which on they differ in their spelling only
_DIGIT = re.compile(rb"\d")
_DEMAND_BROKEN = int(Flag.DEMAND_BROKEN)


# Variant, kind of form, whether it is the variant's own, and whether it is counted there.
FormKey = tuple[int, int, bool, bool]


class Comparison(NamedTuple):
    """One comparison: what speaks for a pair, in bits (against it where negative)."""

    name: str
    bits: float
    fact: str
    frames: tuple[Frame, ...] = ()
    place: str = ""  # of the token that was compared


class Weight(NamedTuple):
    """All comparisons of a request with a response."""

    comparisons: tuple[Comparison, ...]

    @property
    def bits(self) -> float:
        """What they come to."""
        tokens = sum(c.bits for c in self.comparisons if c.name == TOKEN)
        return min(tokens, MOST_TOKENS) + sum(c.bits for c in self.comparisons if c.name != TOKEN)

    def of(self, name: str) -> float:
        """What those of a name come to."""
        return sum(c.bits for c in self.comparisons if c.name == name)

    @property
    def hits(self) -> tuple[Comparison, ...]:
        """The tokens that the response repeats."""
        return tuple(c for c in self.comparisons if c.name == TOKEN and c.bits > 0)


@dataclass(slots=True)
class Weigher:
    """Weighs requests against responses.

    By endpoint `examples` are ordinary exchanges, and `lacking_ones` some whose responses do not
    repeat what their requests name.
    """

    tables: Tables
    forms: FormModel
    echoes: Echoes
    rates: Rates
    messages: Messages
    examples: dict[int, list[Row]]
    repeats: Repeats
    identities: Identities
    demands: Demands = field(default_factory=Demands)
    # Where responses have the tokens of a place, as was learned before.
    usual_before: Mapping[tuple[int, str], frozenset[str]] = field(default_factory=dict)
    # How many requests of an endpoint name a value in their targets.
    named: Counter[tuple[int, bytes]] = field(default_factory=Counter)
    lacking_ones: dict[int, list[Row]] = field(default_factory=dict)
    apart: frozenset[Id] = frozenset()  # exchanges that nothing is learned from
    lacking: Counter[tuple[int, str]] = field(default_factory=Counter)  # of them: without a token
    breaking: Counter[int] = field(default_factory=Counter)  # of them: that break a demand
    _usual: dict[tuple[int, str], frozenset[str]] = field(default_factory=dict)
    _own_heads: dict[Id, bool] = field(default_factory=dict)
    _values: dict[tuple[int, str], bool] = field(default_factory=dict)
    _known: dict[tuple[Id, Id], Weight] = field(default_factory=dict)
    _lacking: dict[Id, float] = field(default_factory=dict)
    _forms: dict[FormKey | None, float] = field(default_factory=dict)

    def without(self, rows: Iterable[Row]) -> "Weigher":
        """The same, but that nothing is learned from some exchanges: they may not be their own."""
        left_out = list(rows)
        forms = self.forms.without((self.tables.key(row), 1.0) for row in left_out)
        ids = self.apart | {row.id for row in left_out}
        lacking = Counter(
            (self.tables.endpoint(row), place)
            for row in left_out
            for place in self.echoes.missed.get(row.position, ())
        )
        breaking = Counter(self.tables.endpoint(row) for row in left_out if breaks_demand(row))
        return replace(
            self,
            forms=forms,
            apart=ids,
            lacking=lacking,
            breaking=breaking,
            _known={},
            _lacking={},
            _forms={},
            _usual=self._usual,
            _values=self._values,
            _own_heads=self._own_heads,
        )

    def weight(self, request: Row, response: Row) -> Weight:
        """W of the request of one row and the response of another (or of the same) row."""
        key = request.id, response.id
        found = self._known.get(key)
        if found is None:
            every = [*self.form(request, response), *self.tokens(request, response)]
            met = list(self.met(request, response))
            if any(c.place == demanded.JSON_RPC for c in met):
                every = [c for c in every if c.place != CALL_ID]  # the same, as a token
            every += [*self.given(request, response, every), *met, *self.shown(request, response)]
            every += self.time(request, response)
            found = self._known[key] = Weight(tuple(every))
        return found

    # --- form ------------------------------------------------------------------------------

    def prepare(self, pairs: Iterable[tuple[Row, Row]]) -> None:
        """Compare the forms of many pairs of a request and a response at once."""
        wanted = {self._form_key(*pair) for pair in pairs} - self._forms.keys()
        for own, is_counted in ((False, False), (True, False), (True, True)):
            keys = [key for key in wanted if key is not None and key[2:] == (own, is_counted)]
            if keys:
                variant, kind = np.array([key[:2] for key in keys], dtype=np.int64).T
                found = self.forms.bits(variant, kind, own=own, counted=is_counted)
                self._forms.update(zip(keys, found.tolist(), strict=True))

    def _form_key(self, request: Row, response: Row) -> FormKey | None:
        status = response["status"]
        if status >= ERROR or status == NOT_MODIFIED or not request["request_frame"]:
            return None  # an error is everybody's, and what has no content has no form
        own = request.id == response.id
        answered = bool(request["response_frame"])
        if not own and answered and self.forms.known(self.tables.variant(request)) < 2:
            return None  # all that is known there is what is in question
        kind = self.forms.kind(status, response["form"])
        return self.tables.variant(request), kind, own, own and request.id not in self.apart

    def form_bits(self, request: Row, response: Row) -> float:
        """What the form alone is worth."""
        key = self._form_key(request, response)
        if key is None:
            return 0.0
        if key not in self._forms:
            self.prepare([(request, response)])
        return self._forms[key]

    def form(self, request: Row, response: Row) -> Iterator[Comparison]:
        """Status, media type and fields."""
        bits = self.form_bits(request, response)
        if bits:
            endpoint = self.tables.endpoint_name(request)
            known = self.forms.known(self.tables.variant(request)) - (request.id == response.id)
            how = "is what" if bits > 0 else "is unlike what"
            yield Comparison(
                FORM,
                bits,
                f"the shape of the response in frame {self.tables.came(response)} {how} {endpoint} "
                f"answers otherwise ({known} responses{self._learned(request)})",
                (self.tables.came(response),),
            )

    def _learned(self, request: Row) -> str:
        before = self.forms.known_before(self.tables.variant(request))
        return f", {before} of them known before" if before else ""

    # --- tokens ----------------------------------------------------------------------------

    def tokens(self, request: Row, response: Row) -> Iterator[Comparison]:
        """What the request names and the response repeats, or doesn't."""
        own = request.id == response.id
        endpoint = self.tables.endpoint(request)
        said, asked = self.messages.said(response), self.messages.tokens(request)
        frames = (self.tables.asked(request), self.tables.came(response))
        if said is None or not asked:
            if own:
                yield from self._unseen(request, endpoint, frames)
            return
        if not echoes.may_repeat(response["status"]):
            return
        # An answer in another form, as that somebody has to sign in first, says no name of a page.
        unlike = self.form_bits(request, response) <= -ODD
        met: set[bytes] = set()
        for place, value in sorted(asked.items(), key=lambda t: self._rank(endpoint, t[0])):
            fixed = self.tables.is_fixed(endpoint, place)
            if value in met or (fixed and not self._is_value(endpoint, place)):
                continue
            if says_who(place) and not _DIGIT.search(value):
                continue  # a language or a theme is many people's
            met.add(value)
            rate = self.echoes.rate(endpoint, place)
            where = self._where(endpoint, place, value, said, anywhere=own)
            of_head = place.startswith("header:") and where <= {HEADER}
            if of_head and not own and self._has_own_head(response):
                continue  # whoever wrote the head, the body is what is in question
            but = self.lacking[endpoint, place]
            if own and place in self.echoes.missed.get(request.position, ()):
                but += request.id not in self.apart
            usual = bool(where & self.usual(endpoint, place))
            texts = self._texts(endpoint, response)
            bits = self._token_bits(rate, endpoint, value, texts, bool(where), but=but, usual=usual)
            if unlike and not where and fixed:
                bits = max(bits, LACKS_NAME)
            if of_head and own:
                bits = min(bits, OWN_HEAD)
            if abs(bits) < 0.1:
                continue
            how = "repeats" if where else "does not repeat"
            at = f", {_and([_AT.get(one, f'at {one}') for one in sorted(where)])}" if where else ""
            yield Comparison(
                TOKEN,
                bits,
                f"the response in frame {frames[1]} {how} what the request in frame {frames[0]} "
                f"names in {place_text(place)}{at}",
                frames,
                place,
            )

    def _unseen(
        self, request: Row, endpoint: int, frames: tuple[Frame, ...]
    ) -> Iterator[Comparison]:
        """What is known of an exchange whose messages could not be looked at again."""
        for place in self.echoes.missed.get(request.position, ()):
            rate = self.echoes.rate(endpoint, place)
            if rate is not None:
                bits = log2((1.0 - rate.repeated(but=1)) / (1.0 - UNLEARNED))
                text = f"the response does not repeat what its request names in {place_text(place)}"
                yield Comparison(TOKEN, bits, text, frames, place)

    def _rank(self, endpoint: int, place: str) -> tuple[float, str]:
        rate = self.echoes.rate(endpoint, place)
        return (-(rate.repeated() if rate else UNLEARNED), place)

    def _token_bits(
        self,
        rate: Rate | None,
        endpoint: int,
        value: bytes,
        texts: list[Row],
        hit: bool,
        *,
        but: int,
        usual: bool,
    ) -> float:
        likely = UNLEARNED if rate is None else rate.repeated(but=but)
        random = self._accident(rate, endpoint, value, texts, usual=usual)
        if hit:
            bits = log2(likely / random)
            return max(0.0, min(bits, MOST_UNLEARNED) if rate is None else bits)
        return log2((1.0 - likely) / (1.0 - random))

    def _texts(self, endpoint: int, response: Row) -> list[Row]:
        """Exchanges that show what stands in answers to requests that don't name it.

        Where a response does not repeat what its own request names, what others like it say tells
        more than ordinary ones: an old name may be answered with the new one, each time. Those that
        were under way with it may have been mixed up with it.
        """
        alike = [
            row
            for row in self.lacking_ones.get(self.tables.endpoint(response), ())
            if row.id != response.id and row.id not in self.apart and not _overlap(row, response)
        ]
        if alike and response.position in self.echoes.missed:
            return alike
        return self.examples.get(endpoint, [])

    def _accident(
        self, rate: Rate | None, endpoint: int, value: bytes, among: list[Row], *, usual: bool
    ) -> float:
        """How likely a token stands in the answer to a request that doesn't name it."""
        standing = texts = 0
        for row in among:
            asked, said = self.messages.tokens(row), self.messages.said(row)
            if said is None or value in asked.values():
                continue
            texts += 1
            standing += repeats(value, said.body) or repeats(value, said.head)
        share = self.named[endpoint, value] / max(1, rate.asked) if rate is not None else 0.0
        return accident(
            value, rate, at_its_place=usual, share=share, standing=standing, texts=texts
        )

    def _where(
        self, endpoint: int, place: str, value: bytes, said: Said, *, anywhere: bool
    ) -> set[str]:
        """The places of a response that repeat a token: the usual ones, if there are any.

        With `anywhere` all: what its own request names speaks for it wherever it stands.
        """
        expected = self.usual(endpoint, place)
        found = {at for at in _where(value, said) if "[]" not in at or at in expected}
        if said.leaves is None:
            found |= _in_text(value, said.body, expected)
        return found & expected if expected and not anywhere else found

    def usual(self, endpoint: int, place: str) -> frozenset[str]:
        """Where the endpoint's ordinary responses have the token of `place`: in all examples."""
        key = (endpoint, place)
        if key not in self._usual:
            learned = self.usual_before.get(key)
            common: frozenset[str] | set[str] | None = learned
            for row in self.examples.get(endpoint, ()):
                found = stands(place, self.messages.tokens(row), self.messages.said(row))
                if found is not None:
                    common = found if common is None else common & found
            self._usual[key] = frozenset(common or ())
        return self._usual[key]

    def _has_own_head(self, response: Row) -> bool:
        """Whether the head of a response repeats an id of its own request's head.

        Then the connection's own handler wrote the head, and only the body may be another's.
        """
        if not response["request_frame"]:
            return False
        if response.id not in self._own_heads:
            said = self.messages.said(response)
            self._own_heads[response.id] = said is not None and any(
                repeats(value, said.head)
                for place, value in self.messages.tokens(response).items()
                if place.startswith("header:")
            )
        return self._own_heads[response.id]

    def _is_value(self, endpoint: int, place: str) -> bool:
        """Whether responses have a name in the path as a value, as far as examples show.

        If only a field is called so, as in the answers to `/notes`, their form says it already.
        """
        if not self.echoes.tells(endpoint, place):
            return False
        key = endpoint, place
        if key not in self._values:
            self._values[key] = any(
                place in (asked := self.messages.tokens(row))
                and (said := self.messages.said(row)) is not None
                and bool(_where(asked[place], said))
                for one in self.tables.beside(endpoint)
                for row in self.examples.get(one, ())
            )
        return self._values[key]

    # --- what the protocol demands ----------------------------------------------------------

    def met(self, request: Row, response: Row) -> Iterator[Comparison]:
        """What the response must repeat of its request, whatever the endpoint."""
        if not request["request_frame"]:
            return
        asked = self._head(request, CLIENT)
        said = self._head(response, SERVER)
        frames = (self.tables.asked(request), self.tables.came(response))
        if asked is None or said is None:
            if request.id == response.id and breaks_demand(request):
                text = f"the response in frame {frames[1]} is none that its request could be given"
                yield Comparison(DEMANDED, -self.breach(request), text, frames)
            return
        for demand, agreement in demanded.agreements(asked, said):
            if agreement is Agreement.OPEN:
                continue
            kept = agreement is Agreement.KEPT
            bits = demand.kept if kept else -self.breach(request, response, demand.broken)
            how = "fits" if kept else "does not fit"
            one, two = (
                demanded.told(demand, said, demand.said),
                demanded.told(demand, asked, demand.asked),
            )
            yield Comparison(
                DEMANDED,
                bits,
                f"the response in frame {frames[1]} ({one}) {how} what the request in frame "
                f"{frames[0]} asks for ({two}; {demand.source})",
                frames,
                demand.name,
            )

    def breach(self, request: Row, response: Row | None = None, stated: float = NOTED) -> float:
        """What it is worth that a demand is broken, by how the request's endpoint heeds them.

        Without a `response` of the exchange's own.
        """
        own = response is None or request.id == response.id
        endpoint = self.tables.endpoint(request)
        but = self.breaking[endpoint]
        but += own and breaks_demand(request) and request.id not in self.apart
        return self.demands.breach(endpoint, stated, but=but)

    def _head(self, row: Row, side: int) -> demanded.Head | None:
        message = self.messages.message(row, side)
        if message is None:
            return None
        value = None
        if message.body is not None and demanded.RPC in message.body:
            value = forms.value(message.media_type, message.body)
        return demanded.head_of(
            message.headers, method=message.method, status=message.status, value=value
        )

    def lacking_bits(self, row: Row) -> float:
        """How odd it is that a response lacks what its request names, or is given otherwise."""
        found = self._lacking.get(row.id)
        if found is None:
            found = self._lacking[row.id] = self._lacking_bits(row)
        return found

    def _lacking_bits(self, row: Row) -> float:
        bits = self.echoes.lacking_bits(self.tables.endpoint(row), row.position)
        bits -= min(0.0, self.repeats.bits(row, row, self.apart))
        bits -= self.identities.shown(row, row, self.apart).differs
        return bits + (self.breach(row) if breaks_demand(row) else 0.0)

    # --- time, and what became of the request ------------------------------------------------

    def time(self, request: Row, response: Row) -> Iterator[Comparison]:
        """How long the request had waited."""
        waited = response["response_time"] - request["request_time"]
        endpoint = self.tables.endpoint(request)
        if given_up(request) and request.id != response.id:
            return  # it is late, whatever is usual
        bits = min(MOST_TIME, self.rates.waited(endpoint, waited))
        if waited < self.rates.usual_wait(endpoint):
            bits = max(bits, TOO_SOON)
        else:
            served = 0 < request["response_end_time"] < response["response_time"]
            bits = max(bits, STALE if served and request.id != response.id else TOO_LATE)
        if abs(bits) >= 0.5:
            how = "usual" if bits > 0 else "unusual"
            yield Comparison(
                TIME,
                bits,
                f"the request in frame {self.tables.asked(request)} had waited "
                f"{waited / 1e9:.3f} s, which is {how} for {self.tables.endpoint_name(request)}",
                (self.tables.asked(request), self.tables.came(response)),
            )

    def given(
        self, request: Row, response: Row, known: Iterable[Comparison]
    ) -> Iterator[Comparison]:
        """Whether the response is what the same request was given at other times.

        Equal bytes have equal forms and tokens: only what they say beyond those that are `known`.
        """
        bits = self.repeats.bits(request, response, self.apart)
        told = sum(c.bits for c in known)
        bits = max(0.0, bits - max(0.0, told)) if bits > 0 else min(0.0, bits - min(0.0, told))
        if abs(bits) >= 0.1:
            how = "is" if bits > 0 else "is not"
            frames = (self.tables.asked(request), self.tables.came(response))
            yield Comparison(
                AGAIN,
                bits,
                f"the response in frame {frames[1]} {how}, byte for byte, what the request in "
                f"frame {frames[0]} was given at other times",
                frames,
            )

    def at_once(self, one: Row, other: Row) -> Comparison:
        """That two were under way together, by how often any request of the first's endpoint is."""
        frames = (self.tables.asked(one), self.tables.asked(other))
        text = f"the requests in frames {frames[0]} and {frames[1]} were under way together"
        return Comparison(AT_ONCE, self.rates.at_once(self.tables.endpoint(one)), text, frames)

    def shown(self, request: Row, response: Row) -> Iterator[Comparison]:
        """Whether the response shows what goes with the request's credentials."""
        found = self.identities.shown(request, response, self.apart)
        asked = self.tables.asked(request)
        frames = (self.tables.came(response), asked)
        whose = f"the credentials of the request in frame {asked}"
        if found.fits >= 1.0:
            text = self._shows(response, found.fitting, "is", found, whose)
            yield Comparison(WHO, found.fits, text, frames)
        if found.differs <= -1.0:
            text = self._shows(response, found.differing, "is not", found, whose)
            yield Comparison(NOT_WHO, found.differs, text, frames)

    def shows_another(self, row: Row, whose: int, owner: Row | None) -> Iterator[Comparison]:
        """That a response shows somebody else, and not whoever asked."""
        apart = {row.id, *self.apart} | ({owner.id} if owner is not None else set())
        other = self.identities.of_identity(whose, row, apart)
        own = self.identities.of_identity(row["request_behalf"], row, apart)
        latest = self.identities.latest(whose, row)
        came, asked = self.tables.came(row), self.tables.asked(row)
        example = self.tables.frame_at(latest >> 32, latest & 0xFFFFFFFF)
        if owner is not None:
            example = self.tables.asked(owner)
        theirs = "other credentials"
        if example:
            theirs = f"the credentials of the request in frame {example}"
        text = self._shows(row, other.fitting, "is", other, theirs)
        yield Comparison(WHO, other.fits, text, (came, example or asked))
        mine = f"the credentials of its own request (frame {asked})"
        text = self._shows(row, own.differing, "is not", own, mine)
        yield Comparison(NOT_WHO, -own.differs, text, (came, asked))

    def _shows(
        self, response: Row, buckets: tuple[int, ...], how: str, found: Shown, whose: str
    ) -> str:
        return (
            f"what the response in frame {self.tables.came(response)} shows"
            f"{self._at(response, buckets)} {how} what "
            f"{counted(found.others, 'response', 'responses')} to {whose} show otherwise"
        )

    def _at(self, response: Row, buckets: tuple[int, ...]) -> str:
        """The places of a response that buckets of its sketch stand for, in words."""
        said = self.messages.said(response)
        names = sketch.places(said.body) if said is not None else {}
        told = [names[b] for b in buckets if b in names][:MOST_PLACES_TOLD]
        return f" at {_and(told)}" if told else ""

    def unserved(self, request: Row) -> Comparison:
        """That the request got no response, or none that its endpoint gives."""
        bits = self.rates.unserved(self.tables.endpoint(request))
        return Comparison(
            UNSERVED,
            bits,
            f"the request in frame {self.tables.asked(request)} was left without a response, "
            f"as {seldom(bits, self.rates.requests.total(), 'request')} is",
            (self.tables.asked(request),),
        )

    def failed_bits(self, request: Row, response: Row) -> float:
        """What it is worth that a request was told that it failed before a response came: bits.

        A response that comes so late may be that of whatever was asked since, and the longer that
        is the more of it has failed by chance.
        """
        rare = self.rates.failed(self.tables.endpoint(request))
        return max(0.0, rare - log2(1.0 + max(0.0, self._asked_since(request, response))))

    def _asked_since(self, request: Row, response: Row) -> float:
        return self.rates.asked_in(response["response_time"] - request["request_time"])

    def failed(self, request: Row, response: Row) -> Comparison:
        """That the request was told that it failed, or was given up on, before a response came."""
        since = self._asked_since(request, response)
        rare = self.rates.failed(self.tables.endpoint(request))
        frames = (self.tables.asked(request), self.tables.came(request))
        few = seldom(rare, self.rates.requests.total(), "request")
        if since >= 1.0:
            few += f" (and {since:,.0f} were asked until the response came)"
        what, due = "failed with", ""
        if given_up(request):
            what, due = "was given up on with", ": its response was still to come"
        return Comparison(
            FAILED,
            self.failed_bits(request, response),
            f"the request in frame {frames[0]} {what} a {request['status']} in frame {frames[1]}, "
            f"as {few} is{due}",
            frames,
        )

    # --- what two requests have in common ----------------------------------------------------

    def same(self, one: Row, other: Row) -> bool:
        """Whether two requests ask for the very same thing, for all that its responses show.

        Request ids in headers then tell attempts apart, not what is asked for.
        """
        endpoint = self.tables.endpoint(one)
        if _path(one) != _path(other) or endpoint != self.tables.endpoint(other):
            return False
        asked = [self.messages.message(row, CLIENT) for row in (one, other)]
        if asked[0] is None or asked[1] is None or asked[0].body != asked[1].body:
            return False
        minds = self.repeats.minds(one) or self.identities.minds(one)
        apart = minds and on_behalf(asked[0]) != on_behalf(asked[1])
        if apart and not self.identities.may_share(one, other):
            return False
        if PARTIAL in (one["status"], other["status"]) and self._asks_for_other_parts(one, other):
            return False
        every = set(self.echoes.places(endpoint))
        shown = {p for p in every if says_who(p) or not p.startswith("header:")}
        said = [
            {(p, v) for p, v in self.messages.tokens(row).items() if p in shown}
            for row in (one, other)
        ]
        return said[0] == said[1]

    def keeps_its_name(self, row: Row) -> bool:
        """Whether the same request was answered with what it names later on.

        What was only named so before may have been given another name meanwhile.
        """
        missed = self.echoes.missed
        return row.position in missed and any(
            at[:3] not in missed for at in self.repeats.later(row)
        )

    def _asks_for_other_parts(self, one: Row, other: Row) -> bool:
        heads = [self._head(row, CLIENT) for row in (one, other)]
        return heads[0] is None or heads[1] is None or demanded.differ(heads[0], heads[1])

    def repeated(self, one: Row, other: Row) -> bool:
        """Whether one of two such requests repeats the other, which may have been in vain.

        They are one client's, or bear one idempotency key or the like.
        """
        client = [self.tables.connection(row)["client"] for row in (one, other)]
        ids = [
            {(p, v) for p, v in self.messages.tokens(row).items() if p.startswith("header:")}
            for row in (one, other)
        ]
        return bool(client[0] == client[1] or ids[0] & ids[1])

    def spelt_alike(self, one: Row, other: Row) -> bool:
        """Whether what two requests name differs in its spelling only: one may be put right."""
        mine, theirs = self.messages.tokens(one), self.messages.tokens(other)
        apart = [(mine[p], theirs[p]) for p in mine if p in theirs and mine[p] != theirs[p]]
        apart = [(a, b) for a, b in apart if not (_is_request_id(a) and _is_request_id(b))]
        return bool(apart) and all(spelt(a, b) for a, b in apart)


def stands(place: str, asked: Mapping[str, bytes], said: Said | None) -> set[str] | None:
    """Where a response has what its request names at a place; None where that cannot be said."""
    if said is None or place not in asked:
        return None
    token, found = asked[place], _where(asked[place], said)
    # A list that names others as well says nothing of whom it is for.
    return found - echoes.lists_of_others(token, said.leaves) if said.leaves else found


def _overlap(one: Row, other: Row) -> bool:
    """Whether two exchanges were under way together."""
    begun = max(one["request_time"], other["request_time"])
    return bool(begun < min(one["response_end_time"], other["response_end_time"]))


def on_behalf(request: Message) -> int:
    """A number for whom a request's credentials name."""
    return identity_sum(field_lines(request))


def breaks_demand(row: Row) -> bool:
    """Whether an exchange's response was seen to break what the protocol demands of it."""
    return bool(row["flags"] & _DEMAND_BROKEN)


def _is_request_id(value: bytes) -> bool:
    return bool(_DIGIT.search(value)) and len(value) >= 16


def _path(row: Row) -> bytes:
    """What is asked for, without a query: whether that matters the responses show."""
    return row.target.partition(b"?")[0]


def spelt(one: bytes, other: bytes) -> bool:
    """Whether two words differ in their spelling only: a server may have put one right."""
    if echoes.echoed(one, other) or echoes.echoed(other, one):
        return True
    if _DIGIT.search(one + other):
        return False
    a, b = (word.decode("utf-8", "replace").casefold() for word in (one, other))
    return a.startswith(b) or b.startswith(a) or SequenceMatcher(None, a, b).ratio() >= ALIKE


def _where(value: bytes, said: Said) -> set[str]:
    found = echoes.places_of(value, said.leaves) if said.leaves else set()
    tells = _DIGIT.search(value) or echoes.in_words(value)  # a mere word may stand on any page
    if said.leaves is None and tells and echoes.echoed(value, said.body):
        found.add(TEXT)
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


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
