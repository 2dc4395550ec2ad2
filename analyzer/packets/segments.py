"""SEGMENTS: the table that this stage puts out."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

# TCP flags (RFC 9293 §3.1)
FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclass(slots=True)
class Segments:
    """A block of TCP segments: one array element each, in the order of the frames.

    Addresses are 128 bits in two words, IPv4 as its IPv6-mapped form (RFC 4291 §2.5.5.2).
    `scope` is what keeps equal addresses apart: a number of `scopes.Scopes`, 0 for none.
    `payload` is the payload's offset in the block's data, `captured` and `wire` its lengths there
    and on the wire, in bytes.
    """

    row: Ints  # index into the block's frames
    scope: Ints
    source_high: Words
    source_low: Words
    target_high: Words
    target_low: Words
    source_port: Ints
    target_port: Ints
    seq: Ints
    ack: Ints
    flags: Ints
    window: Ints
    payload: Ints
    captured: Ints
    wire: Ints

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def none(cls) -> "Segments":
        """No segments."""
        no, words = np.empty(0, np.int64), np.empty(0, np.uint64)
        return cls(no, no, words, words, words, words, no, no, no, no, no, no, no, no, no)

    @classmethod
    def join(cls, parts: list["Segments"]) -> "Segments":
        """The parts as one table, in the order of the frames."""
        columns = {
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            if len(parts) > 1
            else getattr(parts[0], f.name)
            for f in fields(cls)
        }
        if (columns["row"][1:] > columns["row"][:-1]).all():
            return cls(**columns)
        order = np.argsort(columns["row"], kind="stable")
        return cls(**{name: column[order] for name, column in columns.items()})
