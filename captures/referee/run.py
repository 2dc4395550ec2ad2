"""Readers over the captures of a recording, and the sums."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import zstandard

from captures.referee import judge, present
from captures.referee.judge import Count
from captures.referee.model import Json
from captures.referee.tools import TOOLS


def captures(directory: Path, vantages: tuple[str, ...]) -> Iterator[tuple[Json, Json]]:
    """The truth of a recording, and what it says of each capture of these vantages (none: all)."""
    truth = json.loads((directory / "truth.json").read_text())
    for one in truth["captures"]:
        if not vantages or one["vantage"] in vantages:
            yield truth, one


def held(directory: Path, names: Sequence[str], vantages: tuple[str, ...]) -> list[Json]:
    """What each reader makes of each capture of a recording."""
    found: list[Json] = []
    for truth, one in captures(directory, vantages):
        if "log" not in truth:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = plain(directory / one["file"], Path(folder))
            clients = {row["client"] for row in truth["log"]}
            there = present.read(path, clients)
            ahead = float(one.get("clock", {}).get("ahead", 0))
            for name in names:
                reading = TOOLS[name].read(path, sorted(there.ports))
                count = judge.count(truth, ahead, there, reading)
                where = f"{directory.name}/{one['vantage']}"
                found.append({"capture": where, "reader": name, **asdict(count)})
    return found


def plain(path: Path, folder: Path) -> Path:
    """A copy of a capture without its compression: not every reader undoes it."""
    copy = folder / path.name.removesuffix(".zst")
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    copy.write_bytes(data)
    return copy


def sums(rows: Sequence[Json]) -> dict[str, Count]:
    """By reader, over all captures."""
    found: dict[str, Count] = {}
    for row in rows:
        count = Count(**{one.name: row[one.name] for one in fields(Count)})
        found.setdefault(row["reader"], Count()).add(count)
    return found
