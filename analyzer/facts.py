"""The files of facts that lie beside the packets of an incident (`dossier.py` writes both)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import orjson

from analyzer.errors import InputError

if TYPE_CHECKING:
    from analyzer.sockets import Snapshot

MOST_FACTS = 64 << 20  # bytes of facts that are read
_PACKETS = re.compile(r"incident-[0-9a-f]{8}\.pcapng")


def beside(captures: Iterable[str]) -> list[str]:
    """The files of facts that lie beside captures which are an incident's packets."""
    found = []
    for capture in captures:
        packets = PurePath(capture)
        if _PACKETS.fullmatch(packets.name):
            facts = Path(packets.with_suffix(".json"))
            if facts.is_file():
                found.append(str(facts))
    return found


def sockets_in(facts: Iterable[str]) -> list[Snapshot]:
    """What the kernel told of the incidents' connections, as such files have it.

    Raises InputError where one cannot be read.
    """
    found: list[Snapshot] = []
    for path in facts:
        from analyzer.sockets import from_dict  # few captures have such files

        try:
            with Path(path).open("rb") as file:
                told = orjson.loads(file.read(MOST_FACTS))
            found += [from_dict(one) for one in told.get("sockets", ())]
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InputError(f"{path}: not an incident's facts; move it away to go on") from None
    return found
