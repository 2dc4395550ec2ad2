"""What is alarming, from the first sign until it is a finding, or is withdrawn.

Law: every alarm comes to an end, and its end has a reason. A request is overdue when it has waited
for longer than any of its endpoint's was ever seen to (`baselines.pace`). An incident is told once,
when nothing has happened in it for a while; where packets may be missing it is undecided.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from analyzer.baselines.pace import Pace
from analyzer.sockets import Snapshot
from analyzer.watch.judging import Asked, Round, Suspect
from analyzer.watch.ring import Losses

_SECOND = 1_000_000_000
SETTLE = 5 * _SECOND  # ns without anything of it, after which an incident is over
LONGEST = 600 * _SECOND  # ns after which an alarm is settled as it is
MARGIN = _SECOND  # ns before and behind an incident in which a loss may matter
MOST = 100  # alarms at a time; more are counted
MOST_REPORTED = 50_000  # findings that are remembered
VANISHED = 2  # rounds in a row without an incident, after which its alarm is withdrawn


class What(StrEnum):
    """What happened to an alarm."""

    RAISED = "alarm"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    SETTLED = "settled"


@dataclass(slots=True)
class Alarm:
    """Something that looks wrong. `raised` and `since` in ns since 1970.

    `asked` waits, or belongs to what looks like another's; `suspect` is the incident, as the last
    round had it; `sockets` is what the kernel told.
    """

    number: int
    raised: int
    asked: list[Asked]
    text: str
    suspect: Suspect | None = None
    overdue: bool = False  # it was raised because a request waits
    missing: int = 0  # rounds in a row without the incident
    sockets: list[Snapshot] = field(default_factory=list)

    @property
    def since(self) -> int:
        """When its first request was sent."""
        return min(one.time for one in self.asked)

    def has(self, request: Asked) -> bool:
        """Whether it is about that request."""
        return any(one.is_same(request) for one in self.asked)


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell; `why` is the reason of what ended."""

    what: What
    alarm: Alarm
    why: str = ""


@dataclass(slots=True)
class Learned:
    """How long answers take, over all rounds ever: the longest (ns), and how many of how many."""

    longest: dict[str, list[int]] = field(default_factory=dict)

    def take(self, told: dict[str, tuple[int, int]]) -> None:
        """What a round saw. Windows overlap: of the numbers the greatest counts."""
        for endpoint, (longest, answered) in told.items():
            known = self.longest.setdefault(endpoint, [0, 0])
            known[:] = max(known[0], longest), max(known[1], answered)

    def patience(self, endpoint: str) -> int:
        """How long an answer of the endpoint may take, in ns, before it is overdue."""
        numbers = {name: number for number, name in enumerate(self.longest)}
        pace = Pace({numbers[name]: longest for name, (longest, _) in self.longest.items()})
        pace.answered.update({numbers[name]: many for name, (_, many) in self.longest.items()})
        return pace.patience(numbers.get(endpoint, -1))


class Alarms:
    """All that is alarming now, and what has been told of before."""

    def __init__(self, learned: Learned, losses: Losses) -> None:
        self.learned, self.losses = learned, losses
        self.open: list[Alarm] = []
        self.reported: dict[str, str] = {}  # findings, and the incidents they were told in
        self.number = 0
        self.left_out = 0  # alarms that there was no room for
        self.continued = 0  # findings of incidents that had been told
        self._waiting: tuple[Asked, ...] = ()
        self._told: list[Asked] = []  # requests of alarms that ended, and wait for all that

    def asked_after(self) -> tuple[Asked, ...]:
        """The requests whose fates the next round is to tell."""
        return tuple(one for alarm in self.open for one in alarm.asked)

    # --- what a round brings -----------------------------------------------------------------

    def take(self, told: Round, asked_after: Sequence[Asked], now: int) -> list[Event]:
        """What a round changes; `now` is the time on the wire, in ns since 1970."""
        self.learned.take(told.longest)
        self._waiting = told.waiting
        self._told = [one for one in self._told if any(one.is_same(w) for w in told.waiting)]
        events: list[Event] = []
        present: set[int] = set()
        for suspect in told.suspects:
            alarm = self._alarm_of(suspect)
            if alarm is None:
                new = [one for one in suspect.findings if one not in self.reported]
                if len(new) < len(suspect.findings):
                    # It was told, and goes on: a server that hangs, a connection that slipped.
                    self.continued += len(new)
                    self._remember(new, suspect.incident)
                    continue
                alarm = self._raise(list(suspect.asked), suspect.text, now)
                if alarm is None:
                    continue
                alarm.suspect = suspect
                events.append(Event(What.RAISED, alarm))
            elif alarm.suspect is None or alarm.suspect.findings != suspect.findings:
                alarm.suspect, alarm.text = suspect, suspect.text
                alarm.asked += [one for one in suspect.asked if not alarm.has(one)]
                events.append(Event(What.CHANGED, alarm))
            alarm.suspect, alarm.missing = suspect, 0
            present.add(alarm.number)
        fates = list(zip(asked_after, told.fates, strict=False))
        for alarm in list(self.open):
            if alarm.number not in present:
                events += self._without(alarm, fates)
        events += self._settled(now)
        return events + self.overdue(now)

    def _alarm_of(self, suspect: Suspect) -> Alarm | None:
        """The alarm of an incident; those of its requests that had one each become one."""
        found = [
            alarm
            for alarm in self.open
            if (alarm.suspect is not None and alarm.suspect.incident == suspect.incident)
            or any(alarm.has(one) for one in suspect.asked)
        ]
        if not found:
            return None
        first, *others = found
        for other in others:
            first.asked += other.asked
            first.sockets += other.sockets
            self.open.remove(other)
        return first

    def _without(self, alarm: Alarm, fates: Iterable[tuple[Asked, str | None]]) -> Iterable[Event]:
        """An alarm that the round has no incident for."""
        if alarm.suspect is not None:
            alarm.missing += 1
            if alarm.missing >= VANISHED:
                why = "with what came after it, it is no longer unlike what it was asked for"
                yield self._end(alarm, What.WITHDRAWN, why)
            return
        (request,) = alarm.asked[:1]
        fate = next((why for one, why in fates if one.is_same(request)), None)
        if fate is not None:
            yield self._end(alarm, What.WITHDRAWN, fate)

    def glance(self, told: Round, now: int) -> list[Event]:
        """What a look at a short window shows: which requests wait too long by then."""
        self.learned.take(told.longest)
        return self._too_long(told.waiting, now)

    def overdue(self, now: int) -> list[Event]:
        """The requests of the last round that have waited too long by now, if nothing came."""
        return self._too_long(self._waiting, now)

    def _too_long(self, waiting: Iterable[Asked], now: int) -> list[Event]:
        """Alarms for those that are not told of yet."""
        events = []
        for one in waiting:
            if now - one.time <= self.learned.patience(one.endpoint):
                continue
            if any(alarm.has(one) for alarm in self.open) or any(map(one.is_same, self._told)):
                continue
            if self.losses.between(one.time, now) is not None:
                continue  # its answer may be what was lost
            usual = self.learned.longest.get(one.endpoint, [0, 0])
            waited = (now - one.time) / 1e9
            text = f"{one.text} of {one.client} has waited for {waited:.3f} s"
            if usual[1]:
                text += f"; {one.endpoint} never took longer than {usual[0] / 1e9:.3f} s"
            alarm = self._raise([one], text, now)
            if alarm is not None:
                alarm.overdue = True
                events.append(Event(What.RAISED, alarm))
        return events

    def _raise(self, asked: list[Asked], text: str, now: int) -> Alarm | None:
        if len(self.open) >= MOST or not asked:
            self.left_out += 1
            return None
        self.number += 1
        alarm = Alarm(self.number, now, asked, text)
        self.open.append(alarm)
        return alarm

    # --- how it ends -------------------------------------------------------------------------

    def _settled(self, now: int) -> list[Event]:
        """The incidents that are over, or have lasted too long."""
        events = []
        for alarm in list(self.open):
            suspect = alarm.suspect
            if suspect is None:
                if now - alarm.since > LONGEST:
                    why = f"undecided: it has waited for {LONGEST // _SECOND} s, and still does"
                    events.append(self._end(alarm, What.WITHDRAWN, why))
                continue
            waits = any(alarm.has(one) for one in self._waiting)
            if now - suspect.until >= SETTLE and (not waits or now - alarm.since > LONGEST):
                events.append(self.settle(alarm))
        return events

    def settle(self, alarm: Alarm) -> Event:
        """Its incident is over: a finding, or undecided where packets may be missing."""
        suspect = alarm.suspect
        assert suspect is not None
        self._remember(suspect.findings, suspect.incident)
        loss = self.losses.between(suspect.since - MARGIN, suspect.until + MARGIN)
        why = f"undecided: {loss.why} at that time" if loss is not None else ""
        return self._end(alarm, What.SETTLED, why)

    def _remember(self, findings: Iterable[str], incident: str) -> None:
        self.reported.update(dict.fromkeys(findings, incident))
        for old in list(self.reported)[: max(0, len(self.reported) - MOST_REPORTED)]:
            del self.reported[old]

    def finish(self) -> list[Event]:
        """Nothing more will come: all alarms end."""
        events = []
        for alarm in list(self.open):
            if alarm.suspect is not None:
                events.append(self.settle(alarm))
            else:
                why = "undecided: the capture ends while it waits"
                events.append(self._end(alarm, What.WITHDRAWN, why))
        return events

    def begin_anew(self, why: str) -> list[Event]:
        """What came before is not judged any more: the alarms without an incident end."""
        self._waiting = ()
        return [
            self._end(alarm, What.WITHDRAWN, why)
            for alarm in list(self.open)
            if alarm.suspect is None
        ]

    def _end(self, alarm: Alarm, what: What, why: str) -> Event:
        self.open.remove(alarm)
        self._told += [one for one in self._waiting if alarm.has(one)]
        return Event(what, alarm, why)
