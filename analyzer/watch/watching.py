"""The watch: fills the ring, has it judged every few seconds, and sees to what is alarming.

Law: nothing here may hold up the recording. What may take long is done by another process (judging,
evidence, the user's command); what cannot be done is said, and tried again.
"""

import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from analyzer.baselines import saved
from analyzer.errors import InputError
from analyzer.report.escape import rfc3339
from analyzer.sockets import Snapshot, Standing, closed_since
from analyzer.watch import asking, kernel, windows
from analyzer.watch import ring as rings
from analyzer.watch.alarms import Alarm, Alarms, Event, What
from analyzer.watch.asking import Scope, Wanted
from analyzer.watch.hooks import Hooks
from analyzer.watch.judging import Asked, Kept, Learnt, Round
from analyzer.watch.recorder import Feed, Recorder, StandardInput
from analyzer.watch.ring import Bounds, Loss, Ring, Say
from analyzer.watch.store import Store
from analyzer.watch.windows import ForeignRing, Window
from analyzer.watch.worker import Answer, Failed, Glance, Judge, Keep, Learn, Worker

TICK = 0.2  # seconds
EVERY = 1.0  # seconds between two rounds, at least
SHARE = 0.15  # of the time, at most, that rounds take, and that glances take
ALARMED = 0.5  # while an alarm is open
OVERLAP = 20.0  # seconds of what the last round has judged that the next one judges again
LEARN_EVERY = 10.0  # seconds between two looks whether there is anything to learn from
SHORT = 0.4  # seconds; while rounds take less, nothing is gained by glances
ASK_EVERY = 1.0  # seconds between two looks at the sockets of an alarm
STATUS_EVERY = 5.0
STATE_EVERY = 60.0
TRIES = 3  # to write an incident's evidence
MOST_SNAPSHOTS = 60  # of one incident
# A packet may stay so long with the kernel before it is handed on: libpcap takes blocks, each of
# which tcpdump lets wait for a second (pcap_set_timeout(3pcap)).
LAG = 1.2  # seconds
STEP = 1.0  # seconds by which the clock is off at once, and was set
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What a watch is to do. `source`: an interface, or one of the others."""

    folder: str
    interface: str = "any"
    expression: str = ""
    ring: str | None = None  # a folder that somebody else fills
    standard_input: bool = False
    recorder: str | None = None
    bounds: Bounds = field(default_factory=lambda: Bounds(2 << 30, 3 * 86_400.0))
    scope: Scope = field(default_factory=Scope)
    sockets: bool = True
    on_alarm: str | None = None
    metrics: tuple[str, int] | None = None


@dataclass(slots=True)
class Counts:
    """What has happened since the start."""

    rounds: int = 0
    failed_rounds: int = 0
    alarms: int = 0
    withdrawn: int = 0
    incidents: int = 0
    undecided: int = 0
    frames: int = 0  # in the last window
    judged: int = 0
    learned: int = 0  # exchanges
    skipped: int = 0  # files that no round has judged


class Watch:
    """A watch; `run` it."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self.settings = settings
        self._say = say
        self.counts = Counts()
        self.store = Store(settings.folder)
        self.worker = Worker()
        self.hooks = Hooks(settings.on_alarm, self.say)
        self.window = Window()
        self.stopping = False
        self.began = time.time_ns()
        self.last = 0  # time of the last frame that was judged
        self.unjudged = ""
        self._settled: deque[tuple[Event, int]] = deque()  # incidents to keep, and the tries left
        self._keeping: Event | None = None
        self._asked: tuple[Asked, ...] = ()
        self._judged: tuple[int, int] = (0, 0)  # what the last round was given
        # The time (ns), and the bytes recorded by then, of the round under way and of the last one.
        self._given = self._known = (0, 0)
        self._next_round = self._next_glance = 0.0
        self._took = 0.0  # seconds, of the last round
        self._round = 0.0  # when that was given, by the monotonic clock; 0: there was none
        self._through = -1  # the number of the last file that it had
        self._covers = (-1, 0.0)  # both of the round under way: one that fails has judged nothing
        self._file = -1  # the number of the last file that was learned from
        self._learning: list[rings.Kept] = []
        self._due: dict[str, float] = {}
        self._clock = time.time() - time.monotonic()
        self._problems: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Say it, with the time."""
        self._say(f"{rfc3339(time.time_ns())[:19]}Z {text}")

    def stop(self) -> None:
        """End, as soon as what was seen is safe. For a signal handler."""
        self.stopping = True

    # --- the whole of it ---------------------------------------------------------------------

    def run(self) -> int:
        """Watch until told to stop, or until the input ends; the number of incidents kept.

        Raises InputError where it cannot begin.
        """
        self.store.claim()
        try:
            self._begin()
            while not self.stopping and not self._at_end():
                self._tick()
            self._finish()
        finally:
            self.worker.end()
            self.store.release()
        return self.counts.incidents

    def _begin(self) -> None:
        settings = self.settings
        state = self.store.read(self.say)
        losses = self.losses = state.losses
        self.alarms = Alarms(state.learned, losses)
        self.alarms.reported = state.reported
        self._file = state.file
        self._mend_baseline()
        if settings.sockets and not kernel.available():
            self.say("who holds a socket is not asked: pip install 'wrangler-forensics[watch]'")
            self.settings = settings = replace(settings, sockets=False)
        if settings.sockets:
            asking.ask([], settings.scope, "")  # what is wrong with the scope is said now
        self.ring: Ring | ForeignRing
        self.feed: Feed | None = None
        if settings.ring is not None:
            self.ring = ForeignRing(Path(settings.ring))
            self.ring.check()
        else:
            ring = self.ring = Ring(self.store.ring, settings.bounds, losses, self.say)
            if settings.standard_input:
                self.feed = StandardInput(ring, losses, self.say)
                # What an earlier run left is of another time.
                self._begin_window_anew("")
            else:
                self.feed = Recorder(
                    settings.interface,
                    settings.expression,
                    settings.recorder,
                    ring,
                    losses,
                    self.say,
                )
            left = max((one.path.stat().st_mtime_ns for one in ring.files()), default=0)
            self.feed.begin()
            until = max(state.written, left)
            if until and not settings.standard_input:
                losses.add(Loss(until, time.time_ns(), "no watch was running"))
        if settings.metrics is not None:
            from analyzer.watch import metrics

            metrics.serve(self, *settings.metrics)
        self.say(f"watching {self._source()}; {self.store.folder} keeps what matters")

    def _mend_baseline(self) -> None:
        """Move a baseline aside that makes no sense: the watch is there to go on."""
        path = self.store.baseline
        try:
            if path.exists():
                saved.from_json(path.read_bytes(), str(path))
        except (InputError, OSError) as error:
            path.replace(path.with_suffix(".json.unread"))
            self._file = -1
            self.say(f"{error}; moved aside, to learn anew")

    def _source(self) -> str:
        settings = self.settings
        if settings.ring is not None:
            return f"the files in {settings.ring}"
        if settings.standard_input:
            return "standard input"
        named = f", {settings.expression}" if settings.expression else ""
        assert isinstance(self.feed, Recorder)
        return f"{settings.interface}{named} with {self.feed.program.name}"

    def _at_end(self) -> bool:
        return self.feed is not None and self.feed.ended.is_set()

    def _tick(self) -> None:
        """See to everything once, then wait for the next thing, or a moment."""
        ready = wait([*self.worker.waits_on()], TICK) if self.worker.busy else None
        if ready is None:
            time.sleep(TICK)
        self._see_to_clock()
        self._take_answer()
        if self._is_live:
            self._tell(self.alarms.overdue(self._now()))
        self._ask_again()
        self._give_task()
        self.hooks.tick()
        if self._is_due("feed", 2.0) and self.feed is not None:
            self.feed.tick()
            if isinstance(self.ring, Ring):
                self.ring.forget()
        if self._is_due("status", STATUS_EVERY):
            self._problem("status", self.store.write_status(self.status()))
        if self._is_due("state", STATE_EVERY):
            self._problem("state", self.store.write(self.alarms, self._file))

    def _finish(self) -> None:
        """Take what is under way, judge it all once more, and write what is known."""
        if self.feed is not None:
            self.feed.stop()
        deadline = time.monotonic() + 60.0
        self._drain(deadline)
        self._next_round = 0.0
        self._judged = (0, 0)
        if self._paths():
            self._give_round()
            self._drain(deadline)
        self._tell(self.alarms.finish())
        while (self._settled or self.worker.busy) and time.monotonic() < deadline:
            self._give_task(rounds=False)
            self._drain(deadline)
        for event, _ in self._settled:
            self._record(event, None, "the watch ended before its evidence was written")
        self.hooks.finish()
        self._problem("state", self.store.write(self.alarms, self._file))
        self._problem("status", self.store.write_status(self.status(ended=True)))
        self.say("the watch has ended")

    def _drain(self, deadline: float) -> None:
        while self.worker.busy and time.monotonic() < deadline:
            wait(self.worker.waits_on(), TICK)
            self._take_answer()

    def _is_due(self, name: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(name, 0.0):
            return False
        self._due[name] = now + seconds
        return True

    def _problem(self, of: str, text: str) -> None:
        """Say what went wrong with something; the same again only when it went well meanwhile."""
        if text and self._problems.get(of) != text:
            self.say(text)
        self._problems[of] = text

    # --- time --------------------------------------------------------------------------------

    @property
    def _is_own(self) -> bool:
        """Whether the ring is this watch's: its files are numbered one by one."""
        return isinstance(self.ring, Ring)

    @property
    def _is_live(self) -> bool:
        """Whether the packets are captured here and now: this host's clock is theirs."""
        return isinstance(self.feed, Recorder)

    def _now(self) -> int:
        """Up to when the last round knows the wire, in ns since 1970.

        What it was not given may have been an answer. While nothing is recorded it knows more from
        moment to moment: that nothing came.
        """
        if not isinstance(self.feed, Recorder):
            return self.last
        given, written = self._known
        nothing_came = self.feed.ring.written == written
        return max(self.last, (time.time_ns() if nothing_came else given) - int(LAG * _NS))

    def _age(self, moment: int) -> float:
        """How many seconds ago something passed that has that time on the wire."""
        if self._is_live:
            return max(0, time.time_ns() - moment) / _NS
        # By the packets' own clock, and what has passed here since the last of them was judged.
        since = time.monotonic() - self._round if self._round else 0.0
        return max(0, self.last - moment) / _NS + since

    def _see_to_clock(self) -> None:
        """Begin anew where the clock was set: times before and after cannot be compared."""
        clock = time.time() - time.monotonic()
        step, self._clock = clock - self._clock, clock
        if abs(step) < STEP or not self._is_live:
            return
        self.say(
            f"the clock was set by {step:+.1f} s: what came before is not judged with what comes"
        )
        now = time.time_ns()
        self.losses.add(Loss(now - 2 * _NS, now + _NS, "the clock was set"))
        self._begin_window_anew("undecided: the clock was set while it waited")

    def _begin_window_anew(self, why: str) -> None:
        assert isinstance(self.ring, Ring)
        self.ring.close()
        every = self.ring.files()
        self.window.floor = every[-1].number + 1 if every else 0
        if why:
            self._tell(self.alarms.begin_anew(why))

    # --- rounds ------------------------------------------------------------------------------

    def _chosen(self) -> list[rings.Kept]:
        """The files of the next round: none of what no round has judged is left out."""
        held = time.monotonic() - self._round + OVERLAP if self._round else 0.0
        if self.alarms.open:
            held = max(held, self._age(min(alarm.since for alarm in self.alarms.open)))
        return self.window.choose(self.ring.files(), held)

    def _paths(self) -> list[str]:
        return [str(one.path) for one in self._chosen()]

    def _give_task(self, *, rounds: bool = True) -> None:
        if self.worker.busy:
            return
        if self._settled:
            event, left = self._settled[0]
            suspect = event.alarm.suspect
            assert suspect is not None
            if self.store.evidence > self.settings.bounds.size:
                self._settled.popleft()
                self._record(event, None, "evidence takes more than --keep-size already")
                return
            self._settled[0] = (event, left - 1)
            self._keeping = event
            # Whatever happened while the worker was busy, this window has it still.
            self.worker.give(
                Keep(
                    tuple(self._paths_for(event.alarm)),
                    str(self.store.incidents),
                    (suspect.incident,),
                    tuple(event.alarm.sockets),
                    str(self.store.baseline),
                )
            )
        elif rounds and time.monotonic() >= self._next_round and self._has_grown():
            self._give_round()
        elif rounds and self._took > SHORT and time.monotonic() >= self._next_glance:
            self._give_glance()
        elif rounds and not self.alarms.open and self._is_due("learn", LEARN_EVERY):
            self._give_to_learn()

    def _give_to_learn(self) -> None:
        every = self.ring.files()
        window = self.window.choose(every)
        if window:
            self._learning = windows.to_learn(every, window[0].number, self._file)
            if self._learning:
                paths = tuple(str(one.path) for one in self._learning)
                self.worker.give(Learn(paths, str(self.store.baseline)))

    def _give_glance(self) -> None:
        short = Window(self.window.floor, windows.GLANCE_TIME, windows.GLANCE_BYTES)
        self._given = time.time_ns(), 0
        paths = [str(one.path) for one in short.choose(self.ring.files())]
        if paths and self._is_live:
            self.worker.give(Glance(tuple(paths)))
        self._next_glance = time.monotonic() + EVERY

    def _paths_for(self, alarm: Alarm) -> list[str]:
        held = self._age(alarm.since)
        return [str(one.path) for one in self.window.choose(self.ring.files(), held)]

    def _has_grown(self) -> bool:
        every = self.ring.files()
        if not every:
            return False
        latest = every[-1].number, sum(one.size for one in every[-2:])
        if latest == self._judged and not self.alarms.open:
            return False
        self._judged = latest
        return True

    def _give_round(self) -> None:
        written = self.ring.written if isinstance(self.ring, Ring) else 0
        self._given = time.time_ns(), written
        chosen = self._chosen()
        paths = [str(one.path) for one in chosen]
        if chosen:
            skipped = chosen[0].number - self._through
            if self._through >= self.window.floor and skipped > 0 and self._is_own:
                self.counts.skipped += skipped
                self.say(f"{skipped} files were never judged: this host is too slow, or too busy")
            self._covers = chosen[-1].number, time.monotonic()
            self._asked = self.alarms.asked_after()
            self.worker.give(Judge(tuple(paths), self._asked, str(self.store.baseline)))

    def _take_answer(self) -> None:
        task = self.worker.task
        told = self.worker.answer()
        if told is None:
            return
        took = self.worker.took
        share = ALARMED if self.alarms.open else SHARE
        pause = took * (1 - share) / share
        if isinstance(task, Judge) and isinstance(told, Round):
            # However slow the rounds are, the next one has to be there before its window has gone.
            pause = min(pause, (told.last - told.first) / _NS / 2)
        again = time.monotonic() + max(EVERY, pause)
        if isinstance(task, Glance):
            self._next_glance = again
            if isinstance(told, Round):
                seen = max(told.last, self._given[0] - int(LAG * _NS))
                self._tell(self.alarms.glance(told, seen))
            return
        if isinstance(task, Learn):
            # Whatever came of it, these are not tried again: they may be what it failed at.
            self._file = self._learning[-1].number
            if isinstance(told, Learnt):
                self.counts.learned += told.new
            elif isinstance(told, Failed):
                self.say(f"{len(task.paths)} files could not be learned from: {told.why}")
            self._problem("state", self.store.write(self.alarms, self._file))
            return
        self._next_round, self._took = again, took
        if isinstance(told, Round):
            self.counts.rounds += 1
            self._known = self._given
            self._through, self._round = self._covers
            self.counts.frames, self.counts.judged = told.frames, told.judged
            self.last = told.last
            self.unjudged = told.unjudged
            self._tell(self.alarms.take(told, self._asked, self._now()))
        elif isinstance(task, Keep):
            self._take_kept(told)
        elif isinstance(told, Failed):
            self.counts.failed_rounds += 1
            self.say(f"a window could not be judged: {told.why}")
            self._judged = (0, 0)

    # --- alarms ------------------------------------------------------------------------------

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            alarm = event.alarm
            if event.what in (What.RAISED, What.CHANGED):
                self._ask(alarm, "alarm" if event.what is What.RAISED else "more is known")
                name = f"alarm {alarm.number}"
                if event.what is What.RAISED:
                    self.counts.alarms += 1
                self.say(f"{name}: {alarm.text.rstrip('.')}{self._whose(alarm)}")
                self.hooks.run(self._as_dict(event))
            elif event.what is What.WITHDRAWN:
                self.counts.withdrawn += 1
                self.say(f"alarm {alarm.number} is withdrawn: {event.why}")
                self.hooks.run(self._as_dict(event))
            else:
                self._ask(alarm, "finding")
                self._settled.append((event, TRIES))

    def _whose(self, alarm: Alarm) -> str:
        """What the last look at the sockets showed, in a few words."""
        if not alarm.sockets:
            return ""
        parts = []
        for one in alarm.sockets[-1].sockets:
            if one.standing in (Standing.GONE, Standing.CLOSED) or not one.state:
                continue  # it is over, or was not seen
            held = ", ".join(
                f"{h.command} (pid {h.pid}, descriptor {h.descriptor})" for h in one.holders[:3]
            )
            parts.append(f"{one.names[0][0]} is {one.told}" + (f" [{held}]" if held else ""))
        return f". Sockets: {'; '.join(parts)}" if parts else ""

    def _ask_again(self) -> None:
        """Look at the sockets of what is alarming now and then, and keep what has changed."""
        for alarm in self.alarms.open:
            if self._is_due(f"alarm {alarm.number}", ASK_EVERY):
                self._ask(alarm, "meanwhile", only_changes=True)
        open_now = {f"alarm {one.number}" for one in self.alarms.open}
        for name in [n for n in self._due if n.startswith("alarm ") and n not in open_now]:
            del self._due[name]

    def _ask(self, alarm: Alarm, moment: str, *, only_changes: bool = False) -> None:
        if not self.settings.sockets:
            return
        wanted = [Wanted(one.names) for one in alarm.asked if one.names]
        try:
            snapshot = asking.ask(wanted, self.settings.scope, moment)
        except InputError as error:
            self._problem("sockets", str(error))
            return
        except Exception as error:
            # Our bug. Recording goes on, and it is said.
            self._problem("sockets", f"who holds a socket is not known: {error!r}")
            return
        earlier = alarm.sockets
        again = bool(only_changes and earlier and _same(earlier[-1], snapshot))
        if again and earlier[-1].moment == moment:
            # The same still, later: what it excludes it excludes for longer.
            earlier[-1] = snapshot
            return
        if earlier:
            snapshot = replace(snapshot, closed=closed_since(earlier[0], snapshot))
        if len(earlier) < MOST_SNAPSHOTS:
            earlier.append(snapshot)

    # --- incidents ---------------------------------------------------------------------------

    def _take_kept(self, told: Answer) -> None:
        event, left = self._settled.popleft()
        self._keeping = None
        incident = event.alarm.suspect.incident if event.alarm.suspect else ""
        if isinstance(told, list):
            kept = next((one for one in told if one.incident == incident), None)
            why = "" if kept else "the window that was kept does not show it any more"
            self._record(event, kept, why)
        elif left > 0:
            self._settled.append((event, left))
        else:
            why = told.why if isinstance(told, Failed) else ""
            self._record(event, None, f"its evidence could not be written: {why}")

    def _record(self, event: Event, kept: Kept | None, why: str) -> None:
        """An incident has come to its end: a line for it, and say so."""
        alarm = event.alarm
        suspect = kept.suspect if kept is not None else alarm.suspect
        assert suspect is not None
        verdict = "undecided" if event.why else "finding"
        if event.why:
            self.counts.undecided += 1
        else:
            self.counts.incidents += 1
        line = {
            **self._as_dict(event),
            "verdict": verdict,
            "incident": suspect.incident,
            "title": suspect.title,
            "text": suspect.text,
            "kind": suspect.kind,
            "cause": suspect.cause,
            "confidence": suspect.confidence,
            "evidence": None
            if kept is None
            else {
                "packets": str(Path(kept.packets).relative_to(self.store.folder)),
                "facts": str(Path(kept.facts).relative_to(self.store.folder)),
                "found_again": kept.found,
            },
            "without_evidence": why or None,
        }
        self._problem("incidents", self.store.add(line))
        self._problem("state", self.store.write(self.alarms, self._file))
        begin = f"incident {suspect.incident}"
        if event.why:
            self.say(f"{begin} is {event.why}: {suspect.title}")
        else:
            self.say(f"{begin}: {suspect.title}. {suspect.text}")
        if kept is not None:
            self.say(f"{begin} is kept: wrangler-forensics explain {kept.packets}")
        elif why:
            self.say(f"{begin}: no evidence is kept: {why}")
        self.hooks.run(line)

    def _as_dict(self, event: Event) -> dict[str, Any]:
        """An event as a command or a line has it; targets with their secrets masked."""
        alarm = event.alarm
        return {
            "schema": 1,
            "event": str(event.what),
            "time": rfc3339(time.time_ns()),
            "alarm": alarm.number,
            "raised": rfc3339(alarm.raised),
            "since": rfc3339(alarm.since),
            "text": alarm.text,
            "why": event.why or None,
            "incident": alarm.suspect.incident if alarm.suspect else None,
            "requests": [
                {
                    "request": one.text,
                    "endpoint": one.endpoint,
                    "client": one.client,
                    "server": one.server,
                    "time": rfc3339(one.time),
                    "names": one.names,
                }
                for one in alarm.asked
            ],
            "sockets": [one.as_dict() for one in alarm.sockets],
        }

    # --- how it is ---------------------------------------------------------------------------

    def status(self, *, ended: bool = False) -> dict[str, Any]:
        """How it is, as JSON types."""
        feed = self.feed
        lag = (time.time_ns() - self.last) / 1e9 if self.last and self._is_live else None
        return {
            "schema": 1,
            "time": rfc3339(time.time_ns()),
            "pid": None if ended else os.getpid(),
            "since": rfc3339(self.began),
            "source": self._source(),
            "recording": feed is not None and not feed.ended.is_set() and not ended,
            "restarts_of_recorder": feed.restarts if feed is not None else 0,
            "packets_dropped_by_kernel": feed.dropped if feed is not None else None,
            "ring_bytes": self.ring.size,
            "evidence_bytes": self.store.evidence,
            "ring_seconds": round(self.ring.age, 1),
            "bytes_recorded": self.ring.written if isinstance(self.ring, Ring) else None,
            "last_frame": rfc3339(self.last) if self.last else None,
            "seconds_since_last_frame": None if lag is None else round(lag, 1),
            "seconds_of_last_round": round(self._took, 3),
            "deaths_of_judge": self.worker.deaths,
            "not_judged": self.unjudged or None,
            "open_alarms": [alarm.text for alarm in self.alarms.open],
            "alarms_left_out": self.alarms.left_out,
            "findings_that_went_on": self.alarms.continued,
            "losses": [asdict(one) for one in self.alarms.losses.all[-10:]],
            **asdict(self.counts),
        }


def _same(one: Snapshot, two: Snapshot) -> bool:
    """Whether two looks showed the same sockets, held by the same."""
    return [(s.names, s.standing, s.holders) for s in one.sockets] == [
        (s.names, s.standing, s.holders) for s in two.sockets
    ]
