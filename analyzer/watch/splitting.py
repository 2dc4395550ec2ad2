"""A running capture cut into whole records, so that any of them may be the last of a file.

Law: what is handed on is the capture's own bytes, and begins and ends between two records. Its
`preface` is what every file of it begins with: the header of a pcap, the section and the interfaces
of a pcapng so far.
"""

import struct
from dataclasses import dataclass

from analyzer.capture import pcap, pcapng
from analyzer.capture.frames import LONGEST_FRAME
from analyzer.errors import InputError

_PCAP_HEADER = 24
_SECTION, _INTERFACE = 0x0A0D0D0A, 1
_LITTLE = b"\x4d\x3c\x2b\x1a"


@dataclass(slots=True)
class Piece:
    """Whole records. `anew`: the preface is another one than that of the records before."""

    preface: bytes
    records: bytes
    suffix: str  # of a file of these: ".pcap" or ".pcapng"
    anew: bool = False


class Splitter:
    """Takes a capture's bytes as they come; `what` is its name in complaints."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._rest = b""
        self._preface = b""
        self._order = ""
        self._blocks = False  # of pcapng

    def feed(self, data: bytes) -> list[Piece]:
        """The records that are whole with `data`. Raises InputError when it is no capture."""
        self._rest += data
        if not self._order and not self._begin():
            return []
        return self._split_blocks() if self._blocks else self._split_records()

    def _begin(self) -> bool:
        start = self._rest[:4]
        if len(start) < 4:
            return False
        if start == pcapng.MAGIC:
            self._blocks = True
            if len(self._rest) < 12:
                return False
            self._order = "<" if self._rest[8:12] == _LITTLE else ">"
            return True
        if start not in pcap.MAGICS:
            raise InputError(f"{self.what}: not a pcap or pcapng capture")
        if len(self._rest) < _PCAP_HEADER:
            return False
        self._order = pcap.MAGICS[start][0]
        self._preface, self._rest = self._rest[:_PCAP_HEADER], self._rest[_PCAP_HEADER:]
        return True

    def _split_records(self) -> list[Piece]:
        _, end, valid = pcap.record_offsets(self._rest, self._order)
        records, self._rest = self._rest[:end], self._rest[end:]
        if not valid:
            raise InputError(f"{self.what}: a record that cannot be true")
        return [Piece(self._preface, records, ".pcap")] if records else []

    def _split_blocks(self) -> list[Piece]:
        found: list[Piece] = []
        records: list[bytes] = []
        at, anew = 0, False
        data = self._rest

        def hand_on() -> None:
            nonlocal anew
            if records or anew:
                found.append(Piece(self._preface, b"".join(records), ".pcapng", anew))
                records.clear()
                anew = False

        while at + 12 <= len(data):
            kind = int.from_bytes(data[at : at + 4], "little")
            if kind == _SECTION:
                self._order = "<" if data[at + 8 : at + 12] == _LITTLE else ">"
            kind, size = struct.unpack_from(f"{self._order}II", data, at)
            if size < 12 or size % 4 or size > 2 * LONGEST_FRAME:
                raise InputError(f"{self.what}: a block that cannot be true")
            if at + size > len(data):
                break
            block = data[at : at + size]
            at += size
            if kind in (_SECTION, _INTERFACE):
                hand_on()
                self._preface = block if kind == _SECTION else self._preface + block
                anew = True
            else:
                records.append(block)
        self._rest = data[at:]
        hand_on()
        return [piece for piece in found if piece.records]
