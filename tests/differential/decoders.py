"""The block decoder and the one-frame decoder on every frame of a capture: they say the same."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from analyzer.capture import files
from analyzer.capture.frames import Capture
from analyzer.packets.decode import Decoder, Found
from analyzer.packets.segments import Segments
from tests.differential.model import Difference

_COLUMNS = [name for name in Segments.__dataclass_fields__ if name not in ("row", "payload")]


def apart(path: Path) -> list[Difference]:
    """Where the decoders differ, at the first frame where they do; nothing if they don't.

    Raises InputError where there is nothing to read.
    """
    capture, fast, slow = (Capture(str(path)) for _ in range(3))
    by_block, alone = (Decoder(c.fates, c.anomalies) for c in (fast, slow))
    alone.scopes = by_block.scopes
    for frames in files.read(str(path), capture):
        types = np.array([*(i.link_type for i in capture.interfaces), -1], dtype=np.int64)
        links = types[frames.interface]
        one = dict(_segments(by_block.segments(frames, links)))
        two = dict(_segments(alone.one_by_one(frames, links, np.arange(len(frames)))))
        for row in sorted({*one, *two}):
            if one.get(row) != two.get(row):
                return [Difference("decoders", int(frames.number[row]),
                                   str(one.get(row)), str(two.get(row)))]  # fmt: skip
    for decoder in (by_block, alone):
        decoder.finish()
    if fast.fates != slow.fates or fast.anomalies != slow.anomalies:
        counted = [f"{dict(c.fates)} {dict(c.anomalies)}" for c in (fast, slow)]
        return [Difference("decoders", 0, *counted)]
    return []


def _segments(found: Found) -> Iterator[tuple[int, tuple[object, ...]]]:
    """By the row of the frame what was read of it, and the payload."""
    columns = [getattr(found.segments, name).tolist() for name in _COLUMNS]
    starts, sizes = found.segments.payload.tolist(), found.segments.captured.tolist()
    for n, row in enumerate(found.segments.row.tolist()):
        payload = found.data[starts[n] : starts[n] + sizes[n]]
        yield row, (*(column[n] for column in columns), payload)
