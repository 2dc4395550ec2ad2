"""Captures as they are shipped: compressed, hashed and counted."""

import hashlib
import mmap
import os
import shutil
import struct
from pathlib import Path

import zstandard

HEADER, RECORD = 24, 16  # bytes before the first record, and before each record's packet


def frames(path: Path) -> int:
    """The number of whole records in a classic little-endian pcap file."""
    count = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at, size = HEADER, len(data)
        while at + RECORD <= size:
            (length,) = struct.unpack_from("<I", data, at + 8)
            at += RECORD + length
            count += at <= size
    return count


def compress(path: Path, to: Path) -> None:
    """Write a zstd file that any zstd reads without extra flags."""
    data = path.read_bytes()
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=27)
    to.write_bytes(zstandard.ZstdCompressor(compression_params=parameters).compress(data))


def place(path: Path, to: Path) -> None:
    """The same file under another name; copied only where it has to be."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)


def sha256(path: Path) -> str:
    """The hash of a file as shipped."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
