"""Compressed captures: told by content, never by name."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, cast

import zstandard


def _zstd(stream: BinaryIO) -> BinaryIO:
    reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
    return cast(BinaryIO, reader)


def _lz4(stream: BinaryIO) -> BinaryIO:
    import lz4.frame

    return cast(BinaryIO, lz4.frame.LZ4FrameFile(stream))


def _gzip(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream))


def _xz(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, lzma.LZMAFile(stream))


def _bzip2(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, bz2.BZ2File(stream))


# name, first bytes, how to open
CODECS: tuple[tuple[str, bytes, Callable[[BinaryIO], BinaryIO]], ...] = (
    ("gzip", b"\x1f\x8b\x08", _gzip),
    ("zstd", b"\x28\xb5\x2f\xfd", _zstd),
    ("lz4", b"\x04\x22\x4d\x18", _lz4),
    ("xz", b"\xfd7zXZ\x00", _xz),
    ("bzip2", b"BZh", _bzip2),
)

DAMAGE = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


def codec_of(start: bytes) -> tuple[str, Callable[[BinaryIO], BinaryIO]] | None:
    """Name and opener of the compression that data starting with `start` has, if any."""
    for name, magic, opener in CODECS:
        if start.startswith(magic):
            return name, opener
    return None


class Decompressed(io.RawIOBase):
    """Decompressed bytes; damage ends the data and is told by `damaged`, not raised."""

    _PIECE = 1 << 20

    def __init__(self, stream: BinaryIO) -> None:
        # One step of the decompressor at a time: what was readable before the damage is kept.
        self._read = cast(io.BufferedReader, stream).read1
        self.damaged = False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, as many as there are."""
        parts: list[bytes] = []
        while size > 0 and not self.damaged:
            try:
                part = self._read(min(size, self._PIECE))
            except DAMAGE:
                self.damaged = True
                break
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
