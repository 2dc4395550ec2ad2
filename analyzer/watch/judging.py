"""One round: the files of a window judged, and what of it somebody who waits must know.

Law: a scan like any other, so that an alarm and a finding are what `scan` would say of the same
packets. It is told apart which requests still wait at the end, what looks wrong, and what became of
the requests that were asked after.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from analyzer import dossier, facts, pipeline
from analyzer.baselines import saved
from analyzer.baselines.learned import Learned
from analyzer.baselines.pace import Pace
from analyzer.correlate.model import Request
from analyzer.correlate.view import Row, Tables
from analyzer.explain.incidents import Incident
from analyzer.explain.words import asked as words_of
from analyzer.findings.model import Finding
from analyzer.matching.capture_limits import limited, why
from analyzer.report import files
from analyzer.sockets import Snapshot
from analyzer.tables import Array, Flag, Outcome

MOST_WAITING = 1_000  # requests of a round that are told
SAME = 50_000_000  # ns between two sightings of one request, at two places
_OPEN_AT_END = int(Flag.OPEN_AT_END)
_NOT_WAITING = int(Flag.REQUEST_OPEN | Flag.TUNNEL | Flag.BODY_SKIPPED)
_ENDS = ("client_fin_time", "server_fin_time", "reset_time")

Names = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, the same in whatever window it is seen; `time` in ns since 1970.

    `text` is for a person, with secrets masked. `names` are the pairs of client and server
    (`ip:port`) that its connection goes by.
    """

    method: str
    target: str
    endpoint: str
    client: str
    server: str
    time: int
    text: str
    names: Names = ()

    def is_same(self, other: "Asked") -> bool:
        """Whether both are one request, perhaps seen at two places."""
        mine = self.method, self.target, self.client
        return (
            mine == (other.method, other.target, other.client)
            and abs(self.time - other.time) < SAME
        )


@dataclass(frozen=True, slots=True)
class Suspect:
    """An incident as a round has it; times in ns since 1970.

    `until` is when the last thing happened that belongs to it. `others` are the requests of its
    findings, `findings` their ids.
    """

    incident: str
    title: str
    text: str
    kind: str
    cause: str
    confidence: str
    since: int
    until: int
    findings: tuple[str, ...]
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """What one look at a window showed. `first` and `last` are times of frames; 0: none.

    `longest` has for endpoints how long answers took at most (ns), and how many there were;
    `fates` says for requests that were asked after what became of them, None: they still wait.
    """

    first: int
    last: int
    frames: int
    judged: int
    waiting: tuple[Asked, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    longest: dict[str, tuple[int, int]] = field(default_factory=dict)
    fates: tuple[str | None, ...] = ()
    unjudged: str = ""  # why nothing could be judged; "": something was


@dataclass(frozen=True, slots=True)
class Kept:
    """The evidence of an incident; `found`: a scan of its packets finds it again."""

    incident: str
    packets: str
    facts: str
    found: bool
    suspect: Suspect


def judge(paths: Sequence[str], after: Sequence[Asked] = (), baseline: str = "") -> Round:
    """Judge the captures at `paths`, and by what is in the file `baseline`, if there is one.

    `after` are requests whose fates are wanted. Raises InputError when they cannot be read.
    """
    examination = pipeline.examine(list(paths), known=known(baseline))
    report = examination.report
    tables = report.tables
    times = [(c.first, c.last) for c in report.captures if c.first is not None]
    suspects = tuple(_suspect(examination, one) for one in examination.incidents())
    return Round(
        first=min((first or 0 for first, _ in times), default=0),
        last=max((last or 0 for _, last in times), default=0),
        frames=sum(c.frames for c in report.captures),
        judged=report.judgement.requests,
        waiting=tuple(_waiting(tables)),
        suspects=suspects,
        longest=_longest(tables),
        fates=tuple(_fates(tables, suspects, after)),
        unjudged=report.coverage.summary if report.nothing_judged else "",
    )


def glance(paths: Sequence[str]) -> Round:
    """Which requests wait at the end of the captures at `paths`, and nothing else.

    It takes a fraction of the time that judging does. Raises InputError when they cannot be read.
    """
    tables, captures = pipeline.extracted(list(paths))
    return Round(
        first=min((c.first for c in captures if c.first is not None), default=0),
        last=max((c.last or 0 for c in captures), default=0),
        frames=sum(c.frames for c in captures),
        judged=0,
        waiting=tuple(_waiting(tables)),
        longest=_longest(tables),
    )


def _longest(tables: Tables) -> dict[str, tuple[int, int]]:
    pace = Pace.of(tables)
    return {
        tables.names[number].name: (longest, pace.answered[number])
        for number, longest in pace.longest.items()
    }


@dataclass(frozen=True, slots=True)
class Learnt:
    """How many exchanges were learned from, and how many the baseline now has."""

    new: int
    all: int


def known(baseline: str) -> pipeline.Known | None:
    """What a baseline has; None: there is no such file. Raises InputError where it makes no sense.

    It is read anew when it has changed.
    """
    try:
        told = Path(baseline).stat() if baseline else None
    except OSError:
        told = None
    return _read(baseline, told.st_mtime_ns, told.st_size) if told is not None else None


@lru_cache(maxsize=1)
def _read(baseline: str, _time: int, _size: int) -> pipeline.Known:
    return pipeline.Known((saved.from_json(Path(baseline).read_bytes(), baseline),))


def learn(paths: Sequence[str], baseline: str) -> Learnt:
    """Add what is usual in the captures at `paths` to a baseline.

    Each is to be learned from once. Raises InputError when one cannot be read or written.
    """
    before = known(baseline)
    found = pipeline.examine(list(paths), known=before).learned()
    every = [*(before.learned if before is not None else ()), found]
    together = Learned.merged(every)
    files.write(baseline, lambda file: file.write(saved.to_json(together)), force=True)
    return Learnt(found.exchanges, together.exchanges)


def keep(
    paths: Sequence[str],
    folder: str,
    incidents: Sequence[str],
    sockets: Sequence[Snapshot],
    baseline: str = "",
) -> list[Kept]:
    """Write the evidence of those incidents, as far as the captures have them.

    Raises InputError when it cannot be written.
    """
    examination = pipeline.examine(list(paths), sockets=sockets, known=known(baseline))
    found = {one.id: one for one in examination.incidents() if one.id in set(incidents)}
    written = dossier.write(examination, folder, force=True, only=set(found))
    return [
        Kept(
            one.incident,
            one.path,
            facts.beside([one.path])[0],
            bool(one.found),
            _suspect(examination, found[one.incident]),
        )
        for one in written
    ]


def _suspect(examination: pipeline.Examination, incident: Incident) -> Suspect:
    tables = examination.report.tables
    summary = examination.summary(incident)
    times = [
        what.time
        for finding in incident.findings
        for what in (finding.request, finding.owner, finding.response)
        if what is not None
    ]
    ends = [int(tables.connections[name][n]) for n in incident.every for name in _ENDS]
    # What else is sent on a connection that goes on is not the incident's.
    slow = [end for end in ends if end and min(times) <= end]
    return Suspect(
        incident=incident.id,
        title=summary.title,
        text=f"{summary.sentence} {summary.why}",
        kind=str(summary.kind),
        cause=summary.cause,
        confidence=str(summary.confidence),
        since=min(times),
        until=max([*times, *slow]),
        findings=tuple(finding.id for finding in incident.findings),
        asked=tuple(_of_findings(tables, incident.findings)),
    )


def _of_findings(tables: Tables, findings: Iterable[Finding]) -> Iterable[Asked]:
    seen: set[tuple[int, int, str]] = set()
    for finding in findings:
        for request in (finding.owner, finding.request):
            if request is None:
                continue
            key = request.capture, request.frame, request.target
            if key not in seen:
                seen.add(key)
                stream = np.flatnonzero(tables.connections["stream"] == request.connection)
                yield _asked(request, _names(tables, int(stream[0])))


def _asked(request: Request, names: Names) -> Asked:
    every = dict.fromkeys(((request.client, request.server), *names))
    return Asked(
        request.method,
        request.target,
        request.endpoint,
        request.client,
        request.server,
        request.time,
        words_of(request),
        tuple(every),
    )


def _names(tables: Tables, connection: int) -> Names:
    """The addresses of a connection at every place where it was seen."""
    found: dict[tuple[str, str], None] = {}
    for number in tables.joined.members(connection):
        row = tables.connections[number]
        client = tables.place(int(row["client"]), int(row["client_port"]))
        found[client, tables.place(int(row["server"]), int(row["server_port"]))] = None
    return tuple(found)


def _waiting(tables: Tables) -> Iterable[Asked]:
    """The requests that have no byte of an answer at the end, where one would have been seen."""

    def waits(rows: Array) -> Array:
        found = (rows["outcome"] == Outcome.UNANSWERED) & (rows["request_frame"] > 0)
        found &= (rows["flags"] & _OPEN_AT_END != 0) & (rows["flags"] & _NOT_WAITING == 0)
        return np.asarray(found)

    for row in tables.pick(waits)[:MOST_WAITING]:
        # Whose client has left waits no longer, whatever the server does.
        left = tables.ended(row, row["request_time"])
        if not left and not limited(tables, row, but=_OPEN_AT_END):
            yield _of_row(tables, row)


def _of_row(tables: Tables, row: Row) -> Asked:
    return _asked(tables.request(row), _names(tables, row["connection"]))


def _fates(
    tables: Tables, suspects: Sequence[Suspect], after: Sequence[Asked]
) -> Iterable[str | None]:
    """What became of requests: None: they wait, or are of an incident; else in words."""
    if not after:
        return
    moments = np.array([one.time for one in after], dtype=np.int64)

    def near(rows: Array) -> Array:
        found = np.zeros(len(rows), dtype=np.bool_)
        for moment in moments:
            found |= np.abs(rows["request_time"] - moment) < SAME
        return found & (rows["request_frame"] > 0)

    seen = [(row, _of_row(tables, row)) for row in tables.pick(near)]
    told = [request for suspect in suspects for request in suspect.asked]
    for one in after:
        row = next((row for row, request in seen if request.is_same(one)), None)
        if any(request.is_same(one) for request in told):
            yield None
        elif row is None:
            yield "it is no longer in the window that is judged"
        else:
            yield _fate(tables, row)


def _fate(tables: Tables, row: Row) -> str | None:
    waits = row["outcome"] == Outcome.UNANSWERED and row["flags"] & _OPEN_AT_END
    if waits and tables.ended(row, row["request_time"]):
        return None  # it has just ended: what that was, the next round shows
    if waits and not limited(tables, row, but=_OPEN_AT_END):
        return None
    if row["response_frame"] and row["outcome"] in (Outcome.ANSWERED, Outcome.INCOMPLETE):
        took = (row["response_time"] - row["request_time"]) / 1e9
        if limited(tables, row, but=_OPEN_AT_END):
            return f"it was answered after {took:.3f} s; {why(row)}"
        return f"it was answered after {took:.3f} s"
    if limited(tables, row):
        return f"undecided: {why(row)}"
    return "it ended without an answer, for a reason that is no fault"
