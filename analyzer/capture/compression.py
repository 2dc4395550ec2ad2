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

    # What a decompressor had read of a step that meets damage is lost: steps are short, and of one
    # size, so that what is kept does not depend on how much is asked for at once.
    _STEP = 1 << 14

    def __init__(self, stream: BinaryIO) -> None:
        self._step = cast(io.BufferedReader, stream).read1
        self._spare = b""
        self.damaged = False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, as many as there are."""
        parts: list[bytes] = []
        while size > 0:
            part = self._spare or self._next()
            if not part:
                break
            self._spare = part[size:]
            parts.append(part[:size])
            size -= len(parts[-1])
        return b"".join(parts)

    def _next(self) -> bytes:
        """What one more step gives, nothing at the end."""
        if self.damaged:
            return b""
        try:
            return self._step(self._STEP)
        except DAMAGE:
            self.damaged = True
            return b""
