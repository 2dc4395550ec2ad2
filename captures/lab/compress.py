"""Captures as they are shipped: compressed, hashed and counted."""

import hashlib
import struct
from pathlib import Path

import zstandard


def frames(path: Path) -> int:
    """The number of whole records in a classic little-endian pcap file."""
    data = path.read_bytes()
    at, count = 24, 0
    while at + 16 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        at += 16 + length
        count += at <= len(data)
    return count


def compress(path: Path, to: Path) -> None:
    """Write a zstd file; the level is the highest that any zstd reads without extra flags."""
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=27)
    data = path.read_bytes()
    to.write_bytes(zstandard.ZstdCompressor(compression_params=parameters).compress(data))


def sha256(path: Path) -> str:
    """The hash of a file as shipped."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
