"""The stages called in order. Read this first.

    files -> FRAMES -> SEGMENTS -> STREAMS -> MESSAGES -> EXCHANGES -> FINDINGS -> report
             capture   packets     streams    http        shapes       findings

Law: the capture passes by once, a block at a time; what stays is the open connections and the
compact tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from analyzer import workers
from analyzer.ahead import ahead
from analyzer.baselines.learned import Learned
from analyzer.baselines.prior import Prior, fitted, neighbourhoods
from analyzer.capture import files
from analyzer.capture.frames import BLOCK, Capture, Frames
from analyzer.correlate import clocks, vantages
from analyzer.correlate.forwarded import forwarded
from analyzer.correlate.frames import file_names
from analyzer.correlate.view import Tables, Variants, place_of
from analyzer.diagnosis.where import locate
from analyzer.errors import InputError
from analyzer.explain.incidents import Incident, incidents
from analyzer.explain.overviews import Overview, Summary
from analyzer.explain.summary import overview, summary
from analyzer.extraction import Extraction, Recorder, join
from analyzer.features.echoes import renumbered
from analyzer.features.endpoints import Endpoint, Route
from analyzer.features.endpoints import endpoints as resolve
from analyzer.features.shapes import UNKNOWN_FORM, Form, text
from analyzer.features.templates import Templates
from analyzer.findings.model import Finding
from analyzer.http.ordinary import Glance, OrdinaryReader
from analyzer.intervals import MASK
from analyzer.judging import judge
from analyzer.limits import changed as changed_limits
from analyzer.packets.decode import Decoder, Found
from analyzer.packets.headers import INTERFACE
from analyzer.packets.segments import Segments
from analyzer.report.result import Basis, Report, Source
from analyzer.stopping import Pace
from analyzer.tables import MOST_REFUSALS
from analyzer.tcp.blocks import Arranged, Rows, arrange, share
from analyzer.tcp.halves import Halves
from analyzer.tcp.streams import Tracker

# What an ordinary scan does not need is imported where it is used: a small capture is read sooner
# than that would take.
if TYPE_CHECKING:
    from analyzer.explain.model import Story
    from analyzer.explain.tell import Scene
    from analyzer.logs.model import Log
    from analyzer.openapi.model import Document
    from analyzer.second_pass.copying import Copied
    from analyzer.second_pass.every import Exchanged
    from analyzer.second_pass.model import Limits, Message, Place, Reread, Wanted
    from analyzer.sockets import Snapshot

Progress = Callable[[int], None]
T = TypeVar("T")

_NUMBERED = re.compile(rf"(^| ){INTERFACE}[0-9]+$")
MOST_BASELINE, MOST_DOCUMENT = 1 << 30, 32 << 20  # bytes of a file
WORTH_SHARING = 64 << 20  # bytes; smaller captures are read sooner than a process has started


class Interfaces:
    """Numbers the interfaces of all captures; those of one rotated set are the same."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.series: list[int] = []
        self.tunnels: list[int] = []  # alike where tunnels may have two directions; -1: no tunnel
        self.clocks: list[int] = []  # those of one rotated set are one, per interface of its files
        self._clocks: dict[tuple[int, int], int] = {}
        self._tunnels: dict[tuple[int, int, str], int] = {}
        self._numbers: dict[tuple[int, int, str], int] = {}

    def number(self, capture: Capture, local: int, scope: str) -> int:
        """The number of interface `local` of a file, or of the scope of that name behind it."""
        key = (capture.series, local, scope)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.names)
            known = capture.interfaces[local].name
            # A cooked header's interface is another than the one that was captured on.
            outer = "" if scope.startswith(INTERFACE) else known
            self.names.append(" > ".join(part for part in (outer, scope) if part))
            self.series.append(capture.series)
            clock = self._clocks.setdefault((capture.series, local), len(self._clocks))
            self.clocks.append(clock)
            self.tunnels.append(self._tunnel(capture.series, local, scope))
        return found

    def _tunnel(self, series: int, local: int, scope: str) -> int:
        """A number for all tunnels of one kind on one interface; -1 for the interface itself."""
        kind = re.sub("[0-9]+$", "", scope)
        if kind in ("", INTERFACE):
            return -1
        return self._tunnels.setdefault((series, local, kind), len(self._tunnels))


Extracted = tuple[Extraction, list[Capture], Interfaces]


def extract(
    paths: list[str],
    *,
    block: int = BLOCK,
    progress: Progress | None = None,
    jobs: int = 1,
    spool: files.Spool | None = None,
    pace: Pace | None = None,
) -> Extracted:
    """Read the captures at `paths` (files) and return all that was in them, not judged.

    With several `jobs` every process reads all frames and follows its share of the connections.
    `pace` can stop reading.
    Standard input is kept in `spool` for a second look. Raises InputError when a capture cannot be
    read at all.
    """
    if jobs == 1 or files.STANDARD_INPUT in paths:
        return extract_share(paths, 0, 1, block, progress, spool, pace)
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    pace, context = pace or Pace(), workers.processes()
    pace.share(context)
    with ProcessPoolExecutor(
        jobs - 1, mp_context=context, initializer=workers.prepare, initargs=(pace, changed_limits())
    ) as pool:
        others = [pool.submit(_extract_part, paths, part, jobs, block) for part in range(1, jobs)]
        try:
            extraction, captures, interfaces = extract_share(
                paths, 0, jobs, block, progress, pace=pace
            )
            parts = [extraction, *(o.result()[0] for o in others)]
        except BrokenProcessPool:
            raise InputError(
                "a reading process was ended from outside, or for want of memory; "
                "--jobs 1 needs the least"
            ) from None
        except BaseException:
            pace.halt()
            pool.shutdown(cancel_futures=True)
            raise
        return join(parts), captures, interfaces


def _extract_part(paths: list[str], part: int, parts: int, block: int) -> Extracted:
    return extract_share(paths, part, parts, block, pace=workers.pace)


def extract_share(
    paths: list[str],
    part: int,
    parts: int,
    block: int,
    progress: Progress | None = None,
    spool: files.Spool | None = None,
    pace: Pace | None = None,
) -> Extracted:
    """What `extract` returns, of one share of the connections only."""
    extraction = Extraction()
    recorder = Recorder(extraction)
    tracker = Tracker(recorder.open, extraction.anomalies)
    interfaces = Interfaces()
    captures: list[Capture] = []
    rows = _segments(paths, captures, interfaces, block, progress, spool, pace or Pace())
    blocks = _glanced(share(each, part, parts) for each in rows)
    # Waiting for standard input has to be stoppable, which a thread is not.
    for arranged, glance in blocks if files.STANDARD_INPUT in paths else ahead(blocks):
        brief = tracker.feed(arranged, glance.ordinary, recorder.take_brief)
        recorder.flush(arranged, glance, brief)
        del arranged, glance, brief
    tracker.finish()
    recorder.finish()
    extraction.begun = np.array(tracker.begun, dtype=np.int64)
    extraction.refusals = tracker.refusals
    return extraction, captures, interfaces


def _glanced(blocks: Iterable[Rows]) -> Iterator[tuple[Arranged, Glance]]:
    """The blocks arranged by connection, and which of their exchanges are ordinary."""
    reader = OrdinaryReader()
    for rows in blocks:
        arranged = arrange(rows)
        start, end = arranged.text, arranged.text + arranged.size
        answer = arranged.final + 1
        glance = reader.glance(arranged.data, start, end, arranged.pair, answer)
        # A block is much memory: none is kept while the next one is made.
        del rows, start, end, answer
        yield arranged, glance
        del arranged, glance


def _segments(
    paths: list[str],
    captures: list[Capture],
    interfaces: Interfaces,
    block: int,
    progress: Progress | None,
    spool: files.Spool | None,
    pace: Pace,
) -> Iterator[Rows]:
    """The segments of all captures, a block at a time; `captures` is filled in on the way."""
    number = 0
    halves = Halves()
    for source in files.in_order(paths):
        capture = Capture(source.path, index=len(captures))
        capture.series = files.series_of(source, captures)
        captures.append(capture)
        blocks = files.read(
            source.path, capture, block=block, progress=progress, spool=spool, pace=pace
        )
        decoder = Decoder(capture.fates, capture.anomalies)
        while pace.may_read(number):
            frames = next(blocks, None)
            if frames is None:
                break
            number += 1
            found = decoder.segments(frames, _link_types(capture, frames))
            rows = _rows(frames, found, capture, interfaces)
            halves.join(rows, interfaces.tunnels)
            del frames, found
            yield rows
            del rows
        else:
            capture.partial = True
        decoder.finish()
        capture.settle()


def look(
    captures: list[Capture],
    interfaces: Interfaces,
    connections: list[Wanted],
    *,
    limits: Limits | None = None,
    block: int = BLOCK,
    spool: files.Spool | None = None,
) -> dict[int, Reread]:
    """Read the wanted connections again, closely (see `analyzer.second_pass`), by their numbers.

    `captures` and `interfaces` are those of the first pass. Files that have none of the connections
    are not read, and nothing can be when standard input was not kept. Raises InputError when a
    capture has gone meanwhile.
    """
    if not connections or (spool is not None and spool.lost):
        return {}
    from analyzer.second_pass.look import Watch
    from analyzer.second_pass.model import Limits

    watch = Watch(connections, limits or Limits())
    seen_at = {w.interface for w in connections}
    for frames, link_types, found, rows in _again(captures, interfaces, seen_at, block, spool):
        watch.block(frames, link_types, found.segments, rows)
    return watch.finish()


def read(
    captures: list[Capture],
    interfaces: Interfaces,
    places: dict[Place, int],
    *,
    limits: Limits | None = None,
    block: int = BLOCK,
    spool: files.Spool | None = None,
) -> dict[Place, Message]:
    """Read single messages again, by their places, each with its interface; otherwise as `look`.

    Those that cannot be read without all of their connection are not in the result.
    """
    if not places or (spool is not None and spool.lost):
        return {}
    from analyzer.second_pass.excerpts import Excerpts
    from analyzer.second_pass.model import Limits

    excerpts = Excerpts(places, (limits or Limits()).bytes)
    for _, _, _, rows in _again(captures, interfaces, set(places.values()), block, spool):
        excerpts.block(rows)
    return excerpts.finish()


def copy(
    captures: list[Capture],
    interfaces: Interfaces,
    connections: list[Wanted],
    *,
    most: int,
    block: int = BLOCK,
    spool: files.Spool | None = None,
) -> dict[int, list[Copied]]:
    """The frames of connections as they were captured, by their numbers; otherwise as `look`.

    The most important connections come first. Those that there was no room for, with `most` bytes
    in all, are not in the result.
    """
    if not connections or (spool is not None and spool.lost):
        return {}
    from analyzer.second_pass.copying import Copier

    copier = Copier(connections, most)
    seen_at = {w.interface for w in connections}
    for frames, _, found, rows in _again(captures, interfaces, seen_at, block, spool):
        copier.block(frames, found.segments, rows, found.parts)
    every = zip(connections, copier.finish(), strict=True)
    return {wanted.number: copies for wanted, copies in every if copies is not None}


def every(
    captures: list[Capture],
    interfaces: Interfaces,
    connections: np.ndarray,
    take: Callable[[Exchanged], None],
    *,
    block: int = BLOCK,
    spool: files.Spool | None = None,
) -> None:
    """Hand all messages of connections (rows of CONNECTIONS) to `take`; otherwise as `look`."""
    if not len(connections) or (spool is not None and spool.lost):
        return
    from analyzer.second_pass.every import Every

    first = connections["first_capture"].astype(np.int64) << 32 | connections["first_frame"]
    numbers = dict(zip(first.tolist(), connections["connection"].tolist(), strict=True))
    handed = Every(numbers, take)
    seen_at = set(connections["interface"].tolist())
    for _, _, _, rows in _again(captures, interfaces, seen_at, block, spool):
        handed.block(rows)
    handed.finish()


def _again(
    captures: list[Capture],
    interfaces: Interfaces,
    seen_at: set[int],
    block: int,
    spool: files.Spool | None,
) -> Iterator[tuple[Frames, np.ndarray, Found, Rows]]:
    """The captures that have any of these interfaces, a block at a time, read once more."""
    series = {interfaces.series[interface] for interface in seen_at}
    halves = Halves()
    for known in captures:
        if known.series not in series:
            continue
        capture = Capture(known.path, index=known.index, series=known.series)
        decoder = Decoder(capture.fates, capture.anomalies, keep=True)
        for frames in files.read(known.path, capture, block=block, spool=spool):
            link_types = _link_types(capture, frames)
            found = decoder.segments(frames, link_types)
            rows = _rows(frames, found, capture, interfaces)
            halves.join(rows, interfaces.tunnels)
            yield frames, link_types, found, rows


def _link_types(capture: Capture, frames: Frames) -> np.ndarray:
    of_interface = np.array([*(i.link_type for i in capture.interfaces), -1], dtype=np.int64)
    if len(capture.interfaces) == 1:
        return np.full(len(frames), of_interface[0])
    chosen: np.ndarray = of_interface[frames.interface]
    return chosen


def _rows(frames: Frames, block: Found, capture: Capture, interfaces: Interfaces) -> Rows:
    """Segments as the streams stage takes them: both directions under one key."""
    found = block.segments
    key, swapped = _keys(found)
    key[:, 4] |= _interface_numbers(frames, block, capture, interfaces) << np.uint64(32)
    return Rows(
        data=block.data,
        key=key,
        side=swapped.astype(np.int64),
        frame=frames.number[found.row] | capture.index << 32,
        time=frames.time[found.row],
        seq=found.seq & MASK,
        ack=found.ack & MASK,
        flags=found.flags,
        window=found.window,
        payload=found.payload,
        captured=found.captured,
        wire=found.wire,
    )


def _keys(found: Segments) -> tuple[np.ndarray, np.ndarray]:
    """The key of each segment, both directions alike, and whether the higher endpoint sent it.

    A key is five words: the lower and the higher address in two words each, and their ports.
    """
    one, two = found.source_port.astype(np.uint64), found.target_port.astype(np.uint64)
    swapped = found.source_low > found.target_low
    undecided = found.source_low == found.target_low
    if undecided.any():
        swapped |= undecided & (one > two)
    high = found.source_high != found.target_high
    if high.any():
        swapped = np.where(high, found.source_high > found.target_high, swapped)
    key = np.empty((len(found), 5), dtype=np.uint64)
    key[:, 0] = np.where(swapped, found.target_high, found.source_high)
    key[:, 1] = np.where(swapped, found.target_low, found.source_low)
    key[:, 2] = np.where(swapped, found.source_high, found.target_high)
    key[:, 3] = np.where(swapped, found.source_low, found.target_low)
    key[:, 4] = np.where(swapped, two << np.uint64(16) | one, one << np.uint64(16) | two)
    return key, swapped


def _interface_numbers(
    frames: Frames, block: Found, capture: Capture, interfaces: Interfaces
) -> np.ndarray:
    """The number of the interface of each segment, shape (n,), uint64."""
    # Both are small: an interface of the file, and a scope behind it.
    places = frames.interface[block.segments.row] << 32 | block.segments.scope
    if not len(places):
        return np.zeros(0, dtype=np.uint64)
    if (places == places[0]).all():
        places, first, which = places[:1], np.zeros(1, np.int64), np.zeros(len(places), np.int64)
    else:
        places, first, which = np.unique(places, return_index=True, return_inverse=True)
    numbers = np.zeros(len(places), dtype=np.uint64)
    # In the order in which they were met, whatever the size of the blocks.
    for n in np.argsort(first).tolist():
        local, scope = int(places[n]) >> 32, int(places[n]) & MASK
        numbers[n] = interfaces.number(capture, local, block.scopes.name(scope))
    chosen: np.ndarray = numbers[which]
    return chosen


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the traffic before a capture is read: from baselines, and documents.

    `paths` says where each of the baselines was read.
    """

    learned: Sequence[Learned] = ()
    documents: Sequence[Document] = ()
    paths: Sequence[str] = ()

    @property
    def sources(self) -> list[Learned]:
        """All that may be judged by: the baselines as one, and each document."""
        return [Learned.merged(self.learned), *(one.learned for one in self.documents)]

    @property
    def templates(self) -> Templates:
        """The templates of paths."""
        stated, guessed = (
            [name.endpoint for one in every for name in sorted(one.endpoints)]
            for every in ([one.learned for one in self.documents], self.learned)
        )
        return Templates.of(stated, guessed)

    def basis(self, prior: Prior) -> Basis:
        """What of it was used."""
        paths = [*self.paths, *("a baseline" for _ in self.learned[len(self.paths) :])]
        every = zip(paths, self.learned, strict=True)
        fits, *stated = prior.sources
        return Basis(
            tuple(Source(path, one.exchanges, len(one.endpoints)) for path, one in every),
            tuple(Source(one.path, 0, len(one.learned.endpoints)) for one in self.documents),
            fits if self.learned else (),
            tuple(stated),
        )


def known_from(baselines: Sequence[str], documents: Sequence[str]) -> Known | None:
    """What is known by these files; None where there are none.

    Raises InputError when one cannot be read, or is none.
    """
    if not baselines and not documents:
        return None
    from analyzer.baselines.saved import from_json

    learned = [from_json(files.whole(path, MOST_BASELINE), path) for path in baselines]
    stated = []
    for path in documents:
        from analyzer.openapi.document import read as read_document

        stated.append(read_document(files.whole(path, MOST_DOCUMENT), path))
    return Known(learned, stated, baselines)


Windows = dict[int, tuple[int, int]]  # connections, and from when to when to look at them


@dataclass(slots=True)
class Examination:
    """A report, and what it takes to read some of its connections again.

    `look` is the second look at connections, with times by the reference clock. `sockets` is what
    was known of them beside the captures.
    """

    report: Report
    interfaces: Interfaces
    spool: files.Spool | None
    look: Callable[[Windows], dict[int, Reread]]
    read: Callable[[dict[Place, int]], dict[Place, Message]]
    sockets: tuple[Snapshot, ...] = ()

    def learned(self) -> Learned:
        """What is usual in the captures, for other captures to be judged with."""
        from analyzer.matching.learning import learn

        return learn(self.report.tables, self.report.judgement, self.look, self.read)

    def incidents(self) -> list[Incident]:
        """The findings as incidents, the worst first."""
        return incidents(self.report.judgement.findings, self.report.tables)

    def overview(self, most: int) -> Overview:
        """The incidents in brief: the worst `most` groups of those that repeat."""
        return self.report.overview(most)

    def summary(self, incident: Incident) -> Summary:
        """An incident in a sentence or two."""
        return summary(incident, self.report.tables)

    def scenes(self, chosen: Sequence[Incident]) -> list[Scene]:
        """All that there is to tell incidents by, after one more look at their connections."""
        from analyzer.explain.tell import Scene, window

        report = self.report
        windows: Windows = {}
        for incident in chosen:
            for number in incident.every:
                windows |= dict.fromkeys(report.tables.joined.members(number), window(incident))
        looks = self.look(windows)
        return [
            Scene(incident, report.tables, report.judgement, report.captures, looks)
            for incident in chosen
        ]

    def story(
        self, incident: Incident, *, show_bodies: bool = False, show_secrets: bool = False
    ) -> Story:
        """What happened in an incident."""
        return self.stories([incident], show_bodies=show_bodies, show_secrets=show_secrets)[0]

    def stories(
        self,
        chosen: Sequence[Incident],
        *,
        show_bodies: bool = False,
        show_secrets: bool = False,
    ) -> list[Story]:
        """What happened in incidents, after one more look at the captures for all of them."""
        from analyzer.explain.tell import tell

        return [
            tell(scene, show_bodies=show_bodies, show_secrets=show_secrets)
            for scene in self.scenes(chosen)
        ]

    def copy(self, numbers: Sequence[int], most: int) -> dict[int, list[Copied]]:
        """The frames of connections, as `pipeline.copy` has them."""
        from analyzer.second_pass.look import wanted

        tables = self.report.tables
        chosen = {w.number: w for w in wanted(tables.connections, tables.addresses, numbers)}
        connections = [chosen[number] for number in dict.fromkeys(numbers)]
        return copy(self.report.captures, self.interfaces, connections, most=most, spool=self.spool)

    def every(self, take: Callable[[Exchanged], None]) -> None:
        """Hand all messages of the judged connections to `take`, after reading all once more.

        Of captures that were not read to their ends there are none. Times are by the reference
        clock.
        """
        report = self.report
        if report.partial:
            return
        connections, timing = report.tables.connections, report.tables.clocks

        def timed(one: Exchanged) -> None:
            interface = int(connections["interface"][one.connection])
            if timing.of(interface).applied:
                asked, came = (
                    None if message is None else _put_right(message, timing, interface)
                    for message in (one.request, one.response)
                )
                one = one._replace(request=asked, response=came)
            take(one)

        judged = connections[report.tables.joined.judged]
        every(report.captures, self.interfaces, judged, timed, spool=self.spool)


def inputs(paths: list[str]) -> list[str]:
    """The files that `paths` mean: a folder stands for the captures below it.

    Raises InputError for a path that does not exist, and for a folder without captures.
    """
    return files.expand(paths)


def scan(
    paths: list[str],
    *,
    progress: Progress | None = None,
    jobs: int = 1,
    pace: Pace | None = None,
    known: Known | None = None,
) -> Report:
    """Extract, then judge: everything about the captures at `paths` (files and folders).

    `jobs` is the most processes to use; small captures are read by one. When `pace` is asked to
    stop, what was read by then is judged, and the report says that it is partial. Raises InputError
    when a capture cannot be read at all.
    """
    return examine(paths, progress=progress, jobs=jobs, pace=pace, known=known).report


def examine(
    paths: list[str],
    *,
    progress: Progress | None = None,
    jobs: int = 1,
    pace: Pace | None = None,
    known: Known | None = None,
    sockets: Sequence[Snapshot] = (),
    logs: Sequence[Log] = (),
) -> Examination:
    """What `scan` does, and its report with the means to look again.

    `known` is what was known of the traffic before, `sockets` what the kernel told of the
    connections while they were open, `logs` what the programs said.
    """
    found = files.expand(paths)
    if files.size_of(found) < WORTH_SHARING:
        jobs = 1
    spool = files.Spool() if files.STANDARD_INPUT in found else None
    extraction, captures, interfaces = extract(
        found, progress=progress, jobs=jobs, spool=spool, pace=pace
    )
    tables, prior = (
        _tables(extraction, captures, interfaces, None if known is None else known.templates),
        Prior(),
    )
    if known is not None:
        tables, prior = fitted(tables, known.sources)

    def closer(windows: Windows) -> dict[int, Reread]:
        if any(capture.partial for capture in captures):
            return {}  # somebody is waiting for the end
        if not windows:
            return {}
        from analyzer.second_pass.look import wanted

        chosen = []
        for one in wanted(tables.connections, tables.addresses, windows):
            # The captures have times by their own clocks, judging has the reference clock's.
            since, until = (tables.clocks.own(time, one.interface) for time in windows[one.number])
            chosen.append(replace(one, since=since, until=until))
        seen = look(captures, interfaces, chosen, spool=spool)
        return {number: by_reference(reread, tables.clocks) for number, reread in seen.items()}

    def alone(places: dict[Place, int]) -> dict[Place, Message]:
        if any(capture.partial for capture in captures):
            return {}
        return read(captures, interfaces, places, spool=spool)

    judgement = locate(tables, judge(tables, closer, alone, prior))
    if sockets:
        from analyzer.diagnosis.held import by_sockets

        judgement.findings = by_sockets(judgement.findings, sockets, tables.frame)
    extraction.anomalies.count("odd-limit", tables.left_out)
    report = Report(captures, extraction.anomalies, judgement, tables, in_brief)
    report.declined = extraction.declined
    if logs:
        from analyzer.diagnosis.logged import beside

        judgement.findings, report.logs = beside(judgement.findings, logs, tables)
    if known is not None:
        from analyzer.openapi.contradictions import contradictions

        report.basis = known.basis(prior)
        judgement.notices += contradictions(
            tables, known.documents, judgement, report.basis.stated, closer, alone
        )
    return Examination(report, interfaces, spool, closer, alone, tuple(sockets))


def extracted(paths: list[str]) -> tuple[Tables, list[Capture]]:
    """What judging would see of the captures at `paths` (files), not judged."""
    extraction, captures, interfaces = extract(paths)
    return _tables(extraction, captures, interfaces), captures


def in_brief(findings: Sequence[Finding], tables: Tables, most: int) -> Overview:
    """The incidents that findings make, the worst first: the first `most` groups of them."""
    return overview(incidents(findings, tables), tables, most)


def sources_of(captures: list[Capture], interfaces: Interfaces) -> list[tuple[int, ...]]:
    """For every interface the numbers of the files that it belongs to."""
    files_of: dict[int, list[int]] = {}
    for capture in captures:
        files_of.setdefault(capture.series, []).append(capture.index)
    return [tuple(files_of[series]) for series in interfaces.series]


def vantage_names(captures: list[Capture], interfaces: Interfaces) -> list[str]:
    """For every interface what to call it: its name, and the (first) file where there are several.

    Empty for the one interface of a file without names.
    """
    first = [of[0] for of in sources_of(captures, interfaces)]
    if len(set(first)) < 2:
        return list(interfaces.names)
    files = file_names([capture.path for capture in captures])
    return [f"{files[n]} {name}".strip() for n, name in zip(first, interfaces.names, strict=True)]


def _files(captures: list[Capture], connections: np.ndarray) -> list[str]:
    """What to call each capture; nothing where one with one interface is all that is in play."""
    several = len(captures) > 1 or len(np.unique(connections["interface"])) > 1
    return file_names([capture.path for capture in captures]) if several else []


def _carrying(
    names: list[str], connections: np.ndarray, addresses: list[tuple[int, int]]
) -> list[str]:
    """The names of interfaces; one that is only a number with the server that is most asked on it.

    A cooked header (Linux SLL2) has the number of each interface and not its name.
    """
    found = list(names)
    for number, name in enumerate(names):
        if not _NUMBERED.search(name):
            continue
        rows = connections[connections["interface"] == number]
        if len(rows):
            servers = rows["server"].astype(np.int64) << 16 | rows["server_port"]
            values, counts = np.unique(servers, return_counts=True)
            most = int(values[counts.argmax()])
            found[number] = f"{name} (to {place_of(*addresses[most >> 16], most & 0xFFFF)})"
    return found


def by_reference(reread: Reread, timed: clocks.Clocks) -> Reread:
    """`reread` with its times by the reference clock."""
    interface = reread.interface
    if not timed.of(interface).applied:
        return reread

    return replace(
        reread,
        packets=tuple(p._replace(time=timed.moment(p.time, interface)) for p in reread.packets),
        messages=tuple(_put_right(m, timed, interface) for m in reread.messages),
    )


def _put_right(message: Message, timed: clocks.Clocks, interface: int) -> Message:
    end = message.end_time  # 0: there is none
    return replace(
        message,
        time=timed.moment(message.time, interface),
        end_time=timed.moment(end, interface) if end else 0,
    )


def _tables(
    extraction: Extraction,
    captures: list[Capture],
    interfaces: Interfaces,
    templates: Templates | None = None,
) -> Tables:
    """What judging sees of an extraction; the `templates` of paths are known beforehand."""
    last: dict[int, int] = {}
    for capture in captures:
        last[capture.series] = max(last.get(capture.series, 0), capture.last or 0)
    connections = extraction.connections.rows()
    # Numbered in the order of their first frames, whatever the blocks and the shares.
    first = connections["first_capture"].astype(np.int64) << 32 | connections["first_frame"]
    order = np.argsort(first, kind="stable")
    connections, first = connections[order], first[order]
    anew = np.empty(len(order), dtype=np.int64)
    anew[connections["connection"]] = np.arange(len(order))
    connections["connection"] = np.arange(len(order))
    extraction.exchanges.renumber("connection", anew)
    route = _in_order(extraction.routes, 1, _itself)
    extraction.exchanges.renumber("route", route)
    form = _in_order(extraction.forms, UNKNOWN_FORM + 1, _readable)
    extraction.exchanges.renumber("form", form)
    connections["stream"] = np.searchsorted(np.sort(extraction.begun), first)
    group = vantages.groups(connections, extraction.exchanges, interfaces.clocks)
    timed = clocks.estimate(extraction.exchanges, connections, group, interfaces.clocks)
    connections = timed.corrected(connections, connections["interface"])
    ends = [timed.moment(last[series], n) for n, series in enumerate(interfaces.series)]
    joined = vantages.choose(connections, group, ends)
    asked = np.zeros(len(extraction.routes), dtype=np.int64)
    for rows, _ in extraction.exchanges.chunks():
        judged = joined.judged[rows["connection"]]
        asked += np.bincount(rows["route"][judged], minlength=len(asked))
    endpoints = resolve(
        extraction.routes, asked.tolist(), templates.endpoint if templates is not None else None
    )
    # Whatever name a server is called by, an endpoint is its method and path.
    numbers: dict[Endpoint, int] = {}
    for endpoint in endpoints:
        numbers.setdefault(endpoint._replace(host=""), len(numbers))
    endpoint_of = np.array([numbers[e._replace(host="")] for e in endpoints], dtype=np.int64)
    tables = Tables(
        exchanges=extraction.exchanges,
        connections=connections,
        joined=joined,
        clocks=timed,
        endpoints=endpoints,
        endpoint_of=endpoint_of,
        names=list(numbers),
        variants=_variants(extraction, joined, endpoint_of, list(numbers)),
        forms=extraction.forms,
        addresses=extraction.addresses,
        interfaces=interfaces.names,
        echoes=renumbered(extraction.echoes, anew, route),
        vantages=_carrying(vantage_names(captures, interfaces), connections, extraction.addresses),
        sources=sources_of(captures, interfaces),
        ends=ends,
        refusals=sorted(extraction.refusals)[:MOST_REFUSALS],
        files=_files(captures, connections),
    )
    verbs: dict[str, int] = {}
    method = np.array(
        [verbs.setdefault(endpoint.method, len(verbs)) for endpoint in endpoints], dtype=np.int64
    )
    found = forwarded(tables.judged(), connections, joined, timed, method)
    return replace(tables, forwarded=found)


def _in_order(things: list[T], first: int, key: Callable[[T], Any]) -> np.ndarray:
    """Put things in the order of their keys, from `first` on; returns their new numbers by the old.

    They were numbered as they were met, which depends on blocks and shares.
    """
    order = [*range(first), *sorted(range(first, len(things)), key=lambda n: key(things[n]))]
    things[:] = [things[n] for n in order]
    anew = np.empty(len(order), dtype=np.int64)
    anew[order] = np.arange(len(order))
    return anew


def _itself(route: Route) -> Route:
    return route


def _readable(form: Form) -> tuple[str, str]:
    return form.media_type, text(form.shape)


def _variants(
    extraction: Extraction,
    joined: vantages.Joined,
    endpoint_of: np.ndarray,
    names: list[Endpoint],
) -> Variants:
    """The endpoints as they were asked: at which server, and under which name."""
    numbers: dict[tuple[int, str], int] = {}
    pairs = zip(endpoint_of.tolist(), (route.host for route in extraction.routes), strict=True)
    named = np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs], dtype=np.int64)
    codes = np.zeros(0, dtype=np.int64)
    for rows, _ in extraction.exchanges.chunks():
        asked = joined.service[rows["connection"]] * len(numbers) + named[rows["route"]]
        codes = np.union1d(codes, np.unique(asked))
    neighbours = neighbourhoods(names)
    many = len(numbers)
    endpoint = np.array([number for number, _ in numbers], dtype=np.int64)[codes % many]
    return Variants(codes, named, many, endpoint, neighbours[endpoint], codes // many)
