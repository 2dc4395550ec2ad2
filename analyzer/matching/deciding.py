"""What each suspicion comes to: a swap, something honest, or nothing that can be said.

Law: the capture's limits first: what they may have caused stays undecided. Then whichever reason of
the closed list is the likeliest (`explanations`). No request asked for two responses.

All is judged twice: first as if a swap were as rare as it is anywhere; then, where the first round
established more than one at a server, as rare as they are there. What is established by that alone
counts for nothing more, so no finding rests on another that rests on it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import log2

import numpy as np

from analyzer.correlate.frames import Frame
from analyzer.correlate.history import histories
from analyzer.correlate.proxies import Proxies
from analyzer.correlate.view import Id, Row, Tables
from analyzer.features.echoes import says_who
from analyzer.findings.model import CERTAIN, LIKELY, NOT_SAID, POSSIBLE, SWAP, Confidence, Explained
from analyzer.matching import reuse
from analyzer.matching.assignment import CACHED, Event, Move, events
from analyzer.matching.candidates import LONGEST_WAIT, Candidates, said
from analyzer.matching.capture_limits import limited, only_doubtful
from analyzer.matching.explanations import Judging, confidence, explain
from analyzer.matching.failures import tells_failure
from analyzer.matching.leaks import Leak
from analyzer.matching.swaps import (
    EARLY_FINAL,
    LEAKED,
    REUSED,
    SURPLUS,
    UNREAD,
    UNSEEN,
    Oddity,
    Swap,
    Verdicts,
)
from analyzer.matching.triage import Odd
from analyzer.matching.unread import Unread
from analyzer.matching.weights import (
    AGAIN,
    AT_ONCE,
    DEMANDED,
    EQUAL,
    FORM,
    NOT_WHO,
    NUMBERS,
    PROXY,
    REPEATS_BODY,
    SEEN_HERE,
    TOKEN,
    WHO,
    Comparison,
    Weigher,
)
from analyzer.tables import Flag

# In bits: how likely the rightful request of a response would not be in sight.
ALONE_IN_SIGHT, ALL_IN_SIGHT = -1.0, -5.0
# Bits: no response acknowledges less than the request that it answers. What is owed to somebody is
# then a fault by as much as a swap is rare.
AHEAD = 2 * SWAP
GLUED = 10.0  # bits: two messages that follow each other on one connection stand so in one line
KEPT = 6.0  # bits: a proxy that answers by itself is seldom right about who asks
MOST_TOLD = 3  # frames of a server's other faults
NOTABLE = 7.0  # bits, at least, by which a response is odd before anybody is told of it
OTHERWISE = "a shape that its endpoint seldom or never has otherwise, with no owner in sight"
ALIKE = "the same bytes as another request of its endpoint was given, which was under way as well"
BEFORE = "sent before its request had arrived, and no request went without an answer"
ANOTHERS = "it shows what goes with other credentials, and not what goes with its own"
UNASKED = "a response that its request cannot have been given, by the protocol"

# Of one exchange by itself, what may speak against it.
_OF_ONE = (FORM, TOKEN, DEMANDED)
# What tells whose a response is, of two that were given the same.
_WHOSE = (*_OF_ONE, AGAIN, WHO, NOT_WHO)
# Reasons that leave open whether both were meant; a fault that is not likely enough is one.
_NOT_SURE = (
    "another request's response",
    "its own, in a new form",
    "another name of the same thing",
    "what is another's, and may be seen",
    "signed in as another",
)
_OPEN_AT_END = int(Flag.OPEN_AT_END)


def decide(
    tables: Tables,
    weigher: Weigher,
    odd: Odd,
    found: Candidates,
    habits: reuse.Habits,
    shown: list[Leak],
    unread: list[Unread],
) -> Verdicts:
    """What the odd exchanges come to, what is `shown` of others, and what was left `unread`."""
    deciding = _Deciding(tables, weigher, odd, found)
    deciding.by_content()
    deciding.by_identity(shown)
    if deciding.count_faults():
        deciding.by_content()
        deciding.by_identity(shown)
    deciding.out.oddities += deciding.shown.values()
    deciding.settled |= deciding.shown.keys()
    for row in odd.suspects:
        deciding.left(row)
    deciding.by_numbers()
    deciding.by_habit(habits)
    deciding.by_body(unread)
    return deciding.out


def _copies_last(event: Event) -> tuple[bool, float]:
    return event.copied, -event.bits if event.copied else 0.0


def kept_by_a_proxy(tables: Tables, found: list[Event]) -> list[Event]:
    """The events, with what speaks for a cache: the request was never seen behind its proxy."""
    kept = [event for event in found if all(move.how == CACHED for move in event.moves)]
    if not kept:
        return found
    proxies = Proxies.around(tables, [move.response for event in kept for move in event.moves])
    for event in kept:
        for move in event.moves:
            row = move.response
            alone = proxies.behind(row) == [] and proxies.before(row) is None
            if alone and proxies.passes_on(row):
                frame = tables.asked(row)
                text = (
                    f"behind the proxy the request in frame {frame} was never seen, as nearly all "
                    "others were: the proxy answered by itself"
                )
                event.comparisons.append(Comparison(PROXY, KEPT, text, (frame,)))
    return found


@dataclass(slots=True)
class _Deciding:
    """What has been decided so far; `settled` are responses of which something was said."""

    tables: Tables
    weigher: Weigher
    odd: Odd
    found: Candidates
    out: Verdicts = field(default_factory=Verdicts)
    settled: set[Id] = field(default_factory=set)
    certain: list[tuple[Row, str]] = field(default_factory=list)  # faults: the first of each event
    # By server and kind of fault: where those are that are certain by themselves.
    faults: dict[tuple[int, str], list[Frame]] = field(default_factory=dict)
    shown: dict[Id, Oddity] = field(default_factory=dict)  # of others, and no finding
    honest: dict[Id, tuple[Event, str, tuple[Explained, ...]]] = field(default_factory=dict)

    def by_content(self) -> None:
        """Responses that fit other requests better than their own."""
        tables, weigher, odd, found = self.tables, self.weigher, self.odd, self.found
        copies: set[Id] = set()
        self.honest.clear()
        every = kept_by_a_proxy(tables, events(tables, weigher, found, odd))
        for event in sorted(every, key=_copies_last):
            if not self.event(event) and event.copied:
                copies |= {move.response.id for move in event.moves}
        # Where it is honest that two were given the same, a response may still be a third one's.
        if copies:
            for event in events(tables, weigher, found, odd, frozenset(copies)):
                if any(move.response.id in copies for move in event.moves):
                    self.event(event)

    def count_faults(self) -> bool:
        """Take the faults that are certain so far for a measure of how often servers make them.

        Returns whether that says anything.
        """
        for row, how in self.certain:
            key = self.tables.server(row), _fault(how)
            self.faults.setdefault(key, []).append(self.tables.came(row))
        return any(len(frames) > 1 for frames in self.faults.values())

    def _seen_here(self, row: Row, how: str) -> Iterator[Comparison]:
        """That its server makes such faults oftener than any other, if it was seen to.

        A capture is made because of an incident: the first fault in it says nothing of how often
        there is one, the others do.
        """
        server = self.tables.server(row)
        frames = self.faults.get((server, _fault(how)), ())
        if len(frames) < 2:
            return
        exchanges = self.tables.exchanges_of(server)
        bits = SWAP - log2(max(1.0, exchanges / (len(frames) - 1)))
        text = (
            f"the server gave {len(frames)} other responses to the wrong requests, "
            f"among {exchanges:,} exchanges"
        )
        if bits > 0:
            yield Comparison(SEEN_HERE, bits, text, tuple(frames[:MOST_TOLD]))

    def event(self, event: Event) -> bool:
        """A fault, or an honest reason; returns whether it is a fault."""
        if any(move.response.id in self.settled for move in event.moves):
            return True
        if event.copied and any(move.request.id in self.settled for move in event.moves):
            return True  # of two that were given the same, one was meant
        tables = self.tables
        event.meant = self._is_meant(event)
        first = event.moves[0]
        # That responses are mixed up here says nothing of whose one is: something else has to.
        if not event.copied or sum(c.bits for c in event.comparisons if c.name in _WHOSE) >= LIKELY:
            event.comparisons += self._seen_here(first.response, first.how)
        judging = Judging(tables, self.weigher, event, self.found.given)
        outcome = explain(judging)
        if outcome.bits < POSSIBLE:
            for move in event.moves:
                self.honest.setdefault(move.response.id, (event, outcome.name, outcome.every))
            return False
        if len(event.moves) == 1 and not event.copied:
            away = self._out_of_sight(first.response, self._against(first.response))
            if away is not None and away.bits > outcome.bits:
                return self._gone(away)
        if outcome.bits >= CERTAIN:
            self.certain.append((first.response, first.how))
        withheld = [move for move in event.moves if self._is_limited(move.response, move.request)]
        for move in event.moves:
            self.settled.add(move.response.id)
            if withheld:
                self.out.undecided.append(move.response)
                continue
            before = self.found.before.get(move.response.id)
            lone = not move.response["request_frame"]
            if lone and before is not None and before.id == move.request.id:
                # It came, only too late: the recipient of another's response has its own now.
                self.out.provided[move.response.id] = move.request
                continue
            sure = confidence(judging, outcome.bits)
            named = move.fit >= 0
            self.out.swaps.append(
                Swap(
                    move.response,
                    # Nothing but that it is the one left over would speak for this request.
                    move.request if named else None,
                    move.how if named else UNSEEN,
                    Confidence.POSSIBLE if move.rivals or not named else sure,
                    tuple(event.comparisons),
                    outcome.every,
                    outcome.bits,
                    move.rivals,
                )
            )
        for row in event.unowned:
            self.settled.add(row.id)
            if withheld:
                self.out.undecided.append(row)
                continue
            told, sure = tuple(event.comparisons), Confidence.POSSIBLE
            self.out.swaps.append(Swap(row, None, UNSEEN, sure, told, outcome.every, outcome.bits))
        return True

    def _is_limited(self, response: Row, request: Row) -> bool:
        """Whether the capture's own limits may have caused it."""
        return limited(
            self.tables, response, but=0 if response["request_frame"] else _OPEN_AT_END
        ) or (
            limited(self.tables, request, but=_OPEN_AT_END)
            and not only_doubtful(self.tables, request)
        )

    def _is_meant(self, event: Event) -> bool:
        """Whether each request was given the same bytes at another time, when nobody else waited.

        What the server always says to a request is what it means, whatever it names. Where forms
        tell two answers apart this says nothing.
        """
        if sum(c.bits for c in event.comparisons if c.name == FORM) >= NOTABLE:
            return False
        if not any(
            c.name == TOKEN and c.bits >= 1.0 and _is_content(c.place) for c in event.comparisons
        ):
            return False
        return all(
            any(
                one.target == move.response.target
                and one.position != move.response.position
                and one["request_length"] == move.response["request_length"]
                and said(self.tables, one) == said(self.tables, move.response)
                and _elsewhen(one, move.response, move.request)
                for one in self.found.copies.get(move.response.id, ())
            )
            for move in event.moves
        )

    def left(self, row: Row) -> None:
        """A suspect that no request in sight fits better than its own."""
        if row.id in self.settled or limited(self.tables, row):
            return
        against = self._against(row)
        form, token, broken = (
            max(0.0, sum(c.bits for c in against if c.name == name)) for name in _OF_ONE
        )
        bits = form + token
        failure = tells_failure(self.tables.forms[row["form"]])
        away = self._out_of_sight(row, against)
        if away is not None:
            self._gone(away)
            return
        event, name, every = self.honest.get(row.id, (None, "", ()))
        if event is not None and event.copied and name in _NOT_SURE and self._is_notable(event):
            self.out.oddities.append(Oddity(row, ALIKE, tuple(event.comparisons), every))
            self.settled |= {move.request.id for move in event.moves}
            return
        if broken >= LIKELY:
            told = event.comparisons if event is not None else against
            # The demand that says most: which field it is about.
            first = max((c for c in told if c.name == DEMANDED), key=lambda c: c.bits, default=None)
            why = UNASKED if first is None else f"{UNASKED}: {first.fact}"
            self.out.oddities.append(Oddity(row, why, tuple(told), every))
            return
        everybody = self.weigher.forms.total
        if failure or bits < max(NOTABLE if form > 0 else LIKELY, log2(everybody + 1.0) - 1.0):
            return
        why = OTHERWISE if form >= bits / 2 else NOT_SAID
        told = event.comparisons if event is not None else against
        self.out.oddities.append(Oddity(row, why, tuple(told), every))

    def _is_notable(self, event: Event) -> bool:
        """Whether two different requests were hardly meant to be given the same bytes at once."""
        told = {c.name: c.bits for c in event.comparisons}
        both = [(move.response, move.request) for move in event.moves]
        if all(_ask_alike(*pair) for pair in both) and told.get(NOT_WHO, 0.0) <= 0:
            return False  # whether it may be given to both, who asks would tell
        return (
            told.get(AT_ONCE, 0.0) > 0
            and told.get(EQUAL, 0.0) >= NOTABLE
            and not any(self.weigher.same(request, response) for response, request in both)
        )

    def _against(self, row: Row) -> list[Comparison]:
        """What speaks against a response being its own request's, by itself."""
        own = self.weigher.weight(row, row)
        return [c._replace(bits=-c.bits) for c in own.comparisons if c.name in _OF_ONE]

    def _out_of_sight(self, row: Row, against: list[Comparison]) -> Swap | None:
        """A response that is another endpoint's whose request is not in sight; None: it is not."""
        tables, forms = self.tables, self.weigher.forms
        unlike = sum(c.bits for c in against if c.name == FORM)
        if unlike < NOTABLE or tells_failure(tables.forms[row["form"]]) or limited(tables, row):
            return None
        endpoint = tables.endpoint(row)
        server = tables.server(row)
        among = np.flatnonzero(
            (tables.variants.server == server) & (tables.variants.endpoint != endpoint)
        )
        kind = forms.kind(row["status"], row["form"])
        nearest, alike = forms.nearest(kind, among)
        if nearest < 0:
            return None
        service = tables.joined.service
        here = tables.connections["client"][(service == server) & tables.joined.judged]
        sight = ALONE_IN_SIGHT if len(np.unique(here)) < 2 else ALL_IN_SIGHT
        likely = int(tables.variants.endpoint[nearest])
        name = tables.names[likely].name
        frame = tables.came(row)
        told = [
            *against,
            Comparison(FORM, alike, f"its shape is that of {name}", (frame,)),
            Comparison("sight", sight, "no request that could have asked for it is in sight"),
        ]
        bits, every = self._explained(row, row, UNSEEN, told)
        if bits < POSSIBLE:
            return None
        return Swap(row, None, UNSEEN, Confidence.POSSIBLE, tuple(told), every, bits, likely=likely)

    def _gone(self, away: Swap) -> bool:
        """Say that a response is somebody's who is not in sight: a fault."""
        self.out.swaps.append(away)
        self.settled.add(away.recipient.id)
        return True

    def _explained(
        self, row: Row, request: Row, how: str, told: list[Comparison], *, owed: bool = True
    ) -> tuple[float, tuple[Explained, ...]]:
        """The bits for a fault where no content is weighed, and all reasons of the closed list."""
        event = Event([Move(row, request, how)], told)
        outcome = explain(Judging(self.tables, self.weigher, event, self.found.given, owed))
        return outcome.bits, outcome.every

    def by_numbers(self) -> None:
        """Responses that were sent before their requests had arrived belong to those before."""
        tables, odd = self.tables, self.odd
        before = histories(tables, odd.surplus)
        excess = {row["connection"] for row in odd.lone}
        for row in odd.surplus:
            known = before.get(row["connection"])
            earlier = known.covered(row, row["request_time"]) if known else None
            owed = row["connection"] in excess or earlier is not None or self._missed(row)
            frames = tables.came(row), tables.asked(row)
            text = (
                f"by its numbers the response in frame {frames[0]} was sent before the request in "
                f"frame {frames[1]} had arrived"
            )
            told = [Comparison(NUMBERS, AHEAD, text, frames)]
            bits, every = self._explained(row, earlier or row, SURPLUS, told, owed=owed)
            if bits < POSSIBLE:
                self.out.oddities.append(Oddity(row, BEFORE, tuple(told), every))
            elif limited(tables, row):
                self.out.undecided.append(row)
            else:
                sure = Confidence.LIKELY
                self.out.swaps.append(Swap(row, earlier, SURPLUS, sure, tuple(told), every, bits))

    def _missed(self, row: Row) -> bool:
        """Whether a request to the server was left without a response that could be this one."""
        server = self.tables.server(row)
        return any(
            self.tables.server(one) == server
            and 0 < row["response_time"] - one["request_time"] < LONGEST_WAIT
            for one in self.odd.unserved
        )

    def by_habit(self, habits: reuse.Habits) -> None:
        """Answers that a client takes for those to its next requests."""
        tables = self.tables
        before = histories(tables, self.odd.early)
        habits.learn(self.odd.early, before)
        for row in self.odd.early:
            if limited(tables, row):
                continue
            told = reuse.reused(tables, row, before.get(row["connection"]), habits)
            if told is None:
                continue
            earlier, comparisons = told
            how = EARLY_FINAL if reuse.is_early_final(row) else REUSED
            bits, every = self._explained(row, earlier, how, comparisons)
            if bits >= POSSIBLE:
                sure = Confidence.POSSIBLE
                if how == EARLY_FINAL and bits >= LIKELY:
                    sure = Confidence.LIKELY
                self.out.swaps.append(
                    Swap(row, earlier, how, sure, tuple(comparisons), every, bits)
                )

    def by_identity(self, shown: Iterable[Leak]) -> None:
        """Responses that show what goes with other credentials, not what goes with their own."""
        tables, weigher = self.tables, self.weigher
        for leak in shown:
            row, owner = leak.row, leak.owner
            if row.id in self.settled:
                continue
            told = list(weigher.shows_another(row, leak.whose, owner))
            if owner is not None:
                told.append(weigher.at_once(owner, row))
            told += self._seen_here(row, LEAKED)
            bits, every = self._explained(row, owner or row, LEAKED, told)
            if bits >= POSSIBLE and limited(tables, row):
                self.out.undecided.append(row)
            elif bits >= POSSIBLE:
                if bits >= CERTAIN:
                    self.certain.append((row, LEAKED))
                sure = Confidence.LIKELY if bits >= LIKELY else Confidence.POSSIBLE
                self.out.swaps.append(Swap(row, owner, LEAKED, sure, tuple(told), every, bits))
            else:
                if all(c.bits >= LIKELY for c in told if c.name in (WHO, NOT_WHO)):
                    self.shown[row.id] = Oddity(row, ANOTHERS, tuple(told), every)
                continue
            self.shown.pop(row.id, None)
            self.settled.add(row.id)

    def by_body(self, found: list[Unread]) -> None:
        """Responses to the body of the request before, which the server had not read."""
        tables = self.tables
        for one in found:
            if one.row.id in self.settled or limited(tables, one.row):
                continue
            frames = tables.asked(one.before), tables.came(one.row)
            text = (
                f"the response in frame {frames[1]} repeats {one.shown} bytes of the body of the "
                f"request in frame {frames[0]}, the one before on its connection"
            )
            told = [Comparison(REPEATS_BODY, AHEAD, text, frames)]
            if one.glued:
                asked = tables.asked(one.row)
                line = f"right behind them it has what the request in frame {asked} begins with"
                told.append(Comparison(REPEATS_BODY, GLUED, line, (asked, frames[1])))
            bits, every = self._explained(one.row, one.before, UNREAD, told)
            if bits >= POSSIBLE:
                sure = Confidence.CERTAIN if one.glued else Confidence.LIKELY
                self.out.swaps.append(
                    Swap(one.row, one.before, UNREAD, sure, tuple(told), every, bits)
                )
                self.settled.add(one.row.id)


def _fault(how: str) -> str:
    """The kind of fault of one way in which responses come to the wrong requests."""
    return LEAKED if how == LEAKED else "content"


def _ask_alike(one: Row, other: Row) -> bool:
    """Whether two requests have one target, and no body that could ask for different things."""
    return one.target == other.target and not one["request_length"] + other["request_length"]


def _is_content(place: str) -> bool:
    """Whether a place says what is asked for, rather than who asks or in which attempt."""
    return bool(place) and not says_who(place) and not place.startswith("header:")


def _elsewhen(row: Row, recipient: Row, owner: Row) -> bool:
    """Whether `row` was answered at a time when `owner` was not waiting."""
    until = owner["response_time"] or recipient["response_time"]
    return bool(row["response_time"] < owner["request_time"] or row["request_time"] > until)
