"""FRAMES -> SEGMENTS: the block decoder, and the one-frame decoder for what it declines."""

import numpy as np

from analyzer.anomalies import Anomalies
from analyzer.capture.frames import Frames
from analyzer.packets import block
from analyzer.packets.segments import Ints, Segments


def segments(frames: Frames, link_types: Ints, anomalies: Anomalies) -> Segments:
    """The TCP segments of a block; `link_types` has the link type of every frame, shape (n,)."""
    decoded = block.decode(frames, link_types, anomalies)
    if not len(decoded.declined):
        return decoded.segments
    return Segments.join(
        [decoded.segments, one_by_one(frames, link_types, decoded.declined, anomalies)]
    )


def one_by_one(frames: Frames, link_types: Ints, rows: Ints, anomalies: Anomalies) -> Segments:
    """The TCP segments among `rows` of the block, by the one-frame decoder."""
    from analyzer.packets import single

    found: list[tuple[int, single.Segment]] = []
    for row in rows.tolist():
        start = int(frames.offset[row])
        frame = frames.data[start : start + int(frames.captured[row])]
        segment = single.decode(frame, int(frames.wire[row]), int(link_types[row]))
        if isinstance(segment, str):
            anomalies.count(segment)
            continue
        if segment.captured < segment.wire:
            anomalies.count("snaplen-cut")
        found.append((row, segment._replace(payload=segment.payload + start)))
    columns: dict[str, Ints] = {"row": np.array([row for row, _ in found], np.int64)}
    for place, name in enumerate(single.Segment._fields):
        kind = np.uint64 if name.endswith(("_high", "_low")) else np.int64
        columns[name] = np.array([s[place] for _, s in found], kind)
    return Segments(**columns)  # type: ignore[arg-type]
