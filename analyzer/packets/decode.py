"""FRAMES -> SEGMENTS: the block decoder, the one-frame decoder for what it declines, fragments."""

from typing import NamedTuple

import numpy as np

from analyzer.anomalies import ANALYSED, Anomalies, Fates
from analyzer.capture.frames import Frames
from analyzer.packets import block
from analyzer.packets.fragments import Fragment, Fragments, Part, Whole
from analyzer.packets.scopes import Scopes
from analyzer.packets.segments import Ints, Segments


class Found(NamedTuple):
    """The segments of a block, the bytes that their payloads are offsets in, and their scopes.

    `parts` has, by row of the block, the frames of packets put together of fragments, where they
    are kept.
    """

    data: bytes
    segments: Segments
    scopes: Scopes
    parts: dict[int, tuple[Part, ...]]


class Decoder:
    """Decodes the frames of one capture, a block at a time, in the order of the capture.

    Law: every frame is counted in `fates` once. One that holds a fragment is counted when its
    packet is whole or let go; `finish` counts those that still wait. With `keep` the frames of
    fragments are kept beside the packets that they make up.
    """

    def __init__(self, fates: Fates, anomalies: Anomalies, *, keep: bool = False) -> None:
        self.scopes = Scopes()
        self._fates = fates
        self._anomalies = anomalies
        self._fragments = Fragments(fates, anomalies)
        self._keep = keep

    def segments(self, frames: Frames, link_types: Ints) -> Found:
        """The TCP segments of a block; `link_types` has every frame's link type, shape (n,)."""
        decoded = block.decode(frames, link_types, self.scopes, self._fates, self._anomalies)
        self._fates.count(ANALYSED, len(decoded.segments))
        if not len(decoded.declined):
            return Found(frames.data, decoded.segments, self.scopes, {})
        others = self.one_by_one(frames, link_types, decoded.declined)
        return others._replace(segments=Segments.join([decoded.segments, others.segments]))

    def one_by_one(self, frames: Frames, link_types: Ints, rows: Ints) -> Found:
        """What `segments` returns, of `rows` of the block alone, by the one-frame decoder."""
        from analyzer.packets import single

        found: list[tuple[int, single.Segment]] = []
        added: list[bytes] = []  # packets put together of fragments, behind the block's bytes
        every: dict[int, tuple[Part, ...]] = {}
        behind = len(frames.data)
        for row in rows.tolist():
            base = int(frames.offset[row])
            frame = frames.data[base : base + int(frames.captured[row])]
            parts: tuple[Part, ...] = ()
            outcome = single.decode(frame, int(frames.wire[row]), int(link_types[row]), self.scopes)
            while isinstance(outcome, Fragment):
                if self._keep and not parts:
                    parts = (_part(frames, row, frame),)
                whole = self._add(outcome, frames, row, parts)
                if whole is None:
                    break
                packet, outcome = single.decode_whole(whole, self.scopes)
                base, parts = behind, whole.parts
                added.append(packet)
                behind += len(packet)
            if isinstance(outcome, str):
                self._fates.count(outcome)
            elif isinstance(outcome, single.Segment):
                if outcome.captured < outcome.wire:
                    self._anomalies.count("snaplen-cut")
                if parts:
                    every[row] = parts
                found.append((row, outcome._replace(payload=outcome.payload + base)))
        self._fates.count(ANALYSED, len(found))
        columns: dict[str, Ints] = {"row": np.array([row for row, _ in found], np.int64)}
        for place, name in enumerate(single.Segment._fields):
            kind = np.uint64 if name.endswith(("_high", "_low")) else np.int64
            columns[name] = np.array([s[place] for _, s in found], kind)
        data = b"".join([frames.data, *added]) if added else frames.data
        segments = Segments(**columns)  # type: ignore[arg-type]
        return Found(data, segments, self.scopes, every)

    def _add(
        self, fragment: Fragment, frames: Frames, row: int, parts: tuple[Part, ...]
    ) -> Whole | None:
        key = (int(frames.interface[row]), *fragment.key)
        return self._fragments.add(fragment, key, int(frames.time[row]), parts)

    def finish(self) -> None:
        """The capture is over: what still waits for other fragments is counted."""
        self._fragments.finish()


def _part(frames: Frames, row: int, data: bytes) -> Part:
    return Part(
        int(frames.number[row]),
        int(frames.interface[row]),
        int(frames.time[row]),
        int(frames.wire[row]),
        data,
    )
