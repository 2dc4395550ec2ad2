"""The recorded captures with their truth, for the tests that run over real traffic."""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

FOLDER = Path(__file__).parent.parent / "captures" / "recordings"


class Recording(NamedTuple):
    """One capture of a scenario."""

    scenario: str
    vantage: str
    path: Path

    def __str__(self) -> str:
        return f"{self.scenario}/{self.vantage}"


@cache
def truth(scenario: str) -> dict[str, Any]:
    """What really happened."""
    loaded: dict[str, Any] = json.loads((FOLDER / scenario / "truth.json").read_text())
    return loaded


@cache
def recordings() -> tuple[Recording, ...]:
    """All recorded captures."""
    found = []
    for path in sorted(FOLDER.glob("*/truth.json")):
        scenario = path.parent.name
        for capture in truth(scenario)["captures"]:
            found.append(Recording(scenario, capture["vantage"], path.parent / capture["file"]))
    return tuple(found)


def recording(scenario: str, vantage: str) -> Path:
    """The capture of a scenario at a vantage."""
    return next(r.path for r in recordings() if r.scenario == scenario and r.vantage == vantage)


def plain(path: Path) -> bytes:
    """A capture without its compression, which is none or zstd."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def sees_both(scenario: str) -> list[Recording]:
    """The captures of a scenario that have the traffic of both clients."""
    return [
        r for r in recordings() if r.scenario == scenario and not r.vantage.startswith("client")
    ]
