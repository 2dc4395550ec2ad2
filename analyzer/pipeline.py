"""The stages called in order. Read this first.

    files -> FRAMES -> SEGMENTS -> STREAMS -> MESSAGES -> EXCHANGES -> FINDINGS -> report
             capture   packets     streams    http        shapes       findings

Law: the capture passes by once, a block at a time; what stays is the open connections and the
compact tables.
"""

from collections.abc import Callable

import numpy as np

from analyzer.capture import files
from analyzer.capture.frames import BLOCK, Capture, Frames
from analyzer.endpoints import Endpoint
from analyzer.endpoints import endpoints as resolve
from analyzer.extraction import Extraction, Recorder
from analyzer.findings.judge import judge
from analyzer.findings.vantages import join
from analyzer.findings.view import Tables
from analyzer.intervals import MASK
from analyzer.packets.decode import segments
from analyzer.packets.segments import Segments
from analyzer.report.result import Report
from analyzer.streams import Rows, Tracker

Progress = Callable[[int], None]


class Interfaces:
    """Numbers the interfaces of all captures; those of one rotated set are the same."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.series: list[int] = []
        self._numbers: dict[tuple[int, int, int], int] = {}

    def number(self, capture: Capture, local: int, index: int) -> int:
        """The number of interface `local` of a file, or of cooked interface `index` behind it."""
        key = (capture.series, local, index)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.names)
            known = capture.interfaces[local].name
            self.names.append(known if known and not index else f"if{index}" if index else "")
            self.series.append(capture.series)
        return found


def extract(
    paths: list[str], *, block: int = BLOCK, progress: Progress | None = None
) -> tuple[Extraction, list[Capture], Interfaces]:
    """Read the captures at `paths` (files) and return all that was in them, not judged.

    Raises InputError when one cannot be read at all.
    """
    extraction = Extraction()
    recorder = Recorder(extraction)
    tracker = Tracker(recorder.open, extraction.anomalies)
    interfaces = Interfaces()
    captures: list[Capture] = []
    for source in files.in_order(paths):
        capture = Capture(source.path, index=len(captures))
        capture.series = files.series_of(source, captures)
        captures.append(capture)
        for frames in files.read(source.path, capture, block=block, progress=progress):
            link_types = _link_types(capture, frames)
            found = segments(frames, link_types, capture.anomalies)
            recorder.flush(tracker.feed(_rows(frames, found, capture, interfaces)))
    tracker.finish()
    recorder.flush({})
    extraction.streams = tracker.streams
    return extraction, captures, interfaces


def _link_types(capture: Capture, frames: Frames) -> np.ndarray:
    of_interface = np.array([*(i.link_type for i in capture.interfaces), -1], dtype=np.int64)
    chosen: np.ndarray = of_interface[frames.interface]
    return chosen


def _rows(frames: Frames, found: Segments, capture: Capture, interfaces: Interfaces) -> Rows:
    """Segments as the streams stage takes them: both directions under one key."""
    local = frames.interface[found.row]
    interface = np.zeros(len(found), dtype=np.uint64)
    for pair in np.unique(np.stack([local, found.scope], axis=1), axis=0) if len(found) else ():
        number = interfaces.number(capture, int(pair[0]), int(pair[1]))
        interface[(local == pair[0]) & (found.scope == pair[1])] = number
    source = (found.source_high, found.source_low, found.source_port.astype(np.uint64))
    target = (found.target_high, found.target_low, found.target_port.astype(np.uint64))
    # The lower endpoint comes first in a key; `side` says whether it is the sender.
    swapped = np.zeros(len(found), dtype=bool)
    decided = np.zeros(len(found), dtype=bool)
    for one, two in zip(source, target, strict=True):
        swapped |= ~decided & (one > two)
        decided |= one != two
    key = np.empty((len(found), 5), dtype=np.uint64)
    for place, (one, two) in enumerate(
        [(source[0], target[0]), (source[1], target[1])]
    ):
        key[:, place] = np.where(swapped, two, one)
        key[:, place + 2] = np.where(swapped, one, two)
    low_port = np.where(swapped, target[2], source[2])
    high_port = np.where(swapped, source[2], target[2])
    key[:, 4] = low_port << np.uint64(16) | high_port | interface << np.uint64(32)
    return Rows(
        data=frames.data,
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


def scan(paths: list[str], *, progress: Progress | None = None) -> Report:
    """Extract, then judge: everything about the captures at `paths` (files and folders).

    Raises InputError when one cannot be read at all.
    """
    extraction, captures, interfaces = extract(files.expand(paths), progress=progress)
    tables = _tables(extraction, captures, interfaces)
    return Report(captures, extraction.anomalies, judge(tables), tables)


def _tables(extraction: Extraction, captures: list[Capture], interfaces: Interfaces) -> Tables:
    """What judging sees of an extraction."""
    last: dict[int, int] = {}
    for capture in captures:
        last[capture.series] = max(last.get(capture.series, 0), capture.last or 0)
    connections = extraction.connections.rows()
    connections = connections[np.argsort(connections["connection"], kind="stable")]
    joined = join(connections, interfaces.series)
    asked = np.zeros(len(extraction.routes), dtype=np.int64)
    for rows, _ in extraction.exchanges.chunks():
        judged = joined.judged[rows["connection"]]
        asked += np.bincount(rows["route"][judged], minlength=len(asked))
    endpoints = resolve(extraction.routes, asked.tolist())
    numbers: dict[Endpoint, int] = {}
    for endpoint in endpoints:
        numbers.setdefault(endpoint, len(numbers))
    return Tables(
        exchanges=extraction.exchanges,
        connections=connections,
        joined=joined,
        endpoints=endpoints,
        endpoint_of=np.array([numbers[e] for e in endpoints], dtype=np.int64),
        names=list(numbers),
        forms=extraction.forms,
        addresses=extraction.addresses,
        interfaces=interfaces.names,
        ends=[last[series] for series in interfaces.series],
    )
