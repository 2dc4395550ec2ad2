"""Larger captures out of the recorded one, a block at a time.

    python -m benchmarks.copies SOURCE TARGET TIMES

TIMES below 1 is a part of the recording from its start; a whole number is that many copies, one
after the other in time. A copy's connections are other connections: another client address, other
initial sequence numbers, later timestamps. Its bytes are the same, so the same targets and bodies
come again: only the step from a part to the whole brings new ones.

The source is what `record` writes: a little-endian pcap in microseconds, of Ethernet, IPv4 without
options and TCP. IP checksums are made right; TCP checksums stay what checksum offloading left, and
SACK blocks, which a lossless veth pair does not need, are not moved.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

BLOCK = 16 << 20
HEADER, RECORD = 24, 16
MAGIC = b"\xd4\xc3\xb2\xa1"
GAP = 60  # seconds between two copies
SHIFTS = 0x13579BDF, 0x2468ACE1  # times the copy's number: on the client's seq, the server's

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


def blocks(file: BinaryIO) -> Iterator[tuple[Bytes, Offsets]]:
    """The records of a pcap: writable blocks of whole records, and where each record starts."""
    if file.read(HEADER)[:4] != MAGIC:
        raise ValueError("not a little-endian pcap in microseconds")
    rest = b""
    while more := file.read(BLOCK):
        data = rest + more
        starts: list[int] = []
        at, end = 0, len(data)
        while at + RECORD <= end:
            length = RECORD + struct.unpack_from("<I", data, at + 8)[0]
            if at + length > end:
                break
            starts.append(at)
            at += length
        rest = data[at:]
        yield np.frombuffer(bytearray(data[:at]), np.uint8), np.array(starts, np.int64)


def word(data: Bytes, at: Offsets, dtype: str) -> npt.NDArray[np.uint32]:
    """The big- or little-endian number of `dtype` at each offset."""
    width = np.dtype(dtype).itemsize
    values: npt.NDArray[np.uint32] = (
        data[at[:, None] + np.arange(width)].view(dtype)[:, 0].astype(np.uint32)
    )
    return values


def put(data: Bytes, at: Offsets, values: npt.NDArray[np.uint32], dtype: str) -> None:
    """Writes a number at each offset; what does not fit wraps."""
    width = np.dtype(dtype).itemsize
    data[at[:, None] + np.arange(width)] = values.astype(dtype)[:, None].view(np.uint8)


def from_client(data: Bytes, ip: Offsets) -> npt.NDArray[np.bool_]:
    """Which packets the clients sent: the server has the lower port."""
    return word(data, ip + 20, ">u2") > word(data, ip + 22, ">u2")


def alter(data: Bytes, starts: Offsets, copy: int, span: int) -> None:
    """Makes a block into its `copy`-th copy, in place."""
    put(data, starts, word(data, starts, "<u4") + np.uint32(copy * span), "<u4")
    ip = starts + RECORD + 14
    client = from_client(data, ip)
    data[np.where(client, ip + 14, ip + 18)] += np.uint8(copy)  # third octet of the address
    shifts = [np.uint32(shift * copy & 0xFFFFFFFF) for shift in SHIFTS]
    own, other = np.where(client, *shifts), np.where(client, *shifts[::-1])
    put(data, ip + 24, word(data, ip + 24, ">u4") + own, ">u4")
    acks = (data[ip + 33] & 0x10) != 0
    put(data, ip[acks] + 28, word(data, ip[acks] + 28, ">u4") + other[acks], ">u4")
    total = np.zeros(len(ip), np.uint32)
    for i in (0, 2, 4, 6, 8, 12, 14, 16, 18):
        total += word(data, ip + i, ">u2")
    folded = (total & 0xFFFF) + (total >> 16)
    put(data, ip + 10, ~np.asarray((folded & 0xFFFF) + (folded >> 16), np.uint32), ">u2")


def responses(data: Bytes, starts: Offsets) -> int:
    """How many packets of the server start a response."""
    size = word(data, starts + 8, "<u4").astype(np.int64)
    ip = starts + RECORD + 14
    payload = ip + 20 + (data[ip + 32] >> 4).astype(np.int64) * 4
    payload = payload[~from_client(data, ip) & (payload + 4 <= starts + RECORD + size)]
    return int((word(data, payload, ">u4") == int.from_bytes(b"HTTP")).sum())


def write(source: Path, target: Path, times: float) -> dict[str, int]:
    """Writes `times` copies of `source` to `target`; returns its size, frames and responses."""
    limit = source.stat().st_size * min(times, 1.0)
    span = GAP
    frames = answered = 0
    part = target.with_suffix(".part")
    with part.open("wb") as out:
        with source.open("rb") as file:
            out.write(file.read(HEADER))
        for copy in range(max(1, int(times))):
            seconds: list[int] = []
            with source.open("rb") as file:
                for data, starts in blocks(file):
                    fits = starts[starts + out.tell() < limit] if times < 1 else starts
                    if len(fits) < len(starts):
                        data, starts = data[: starts[len(fits)]], fits
                    if not len(starts):
                        break
                    seconds += word(data, starts[[0, -1]], "<u4").tolist()
                    if copy:
                        alter(data, starts, copy, span)
                    frames += len(starts)
                    answered += responses(data, starts)
                    out.write(data.data)
            if not copy and seconds:
                span = seconds[-1] - seconds[0] + GAP
    part.rename(target)
    return {"size": target.stat().st_size, "frames": frames, "answered": answered}


if __name__ == "__main__":
    print(json.dumps(write(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))))
