"""The lab records again what is shipped; needs root, the tools, and Node from npm or the cache.

Two quick recordings by default; all of them, in fifteen minutes, with WRANGLER_FORENSICS_LAB=all.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from captures.lab import recording, scenario
from captures.lab.errors import LabError

SHIPPED = Path(__file__).parents[2] / "captures" / "recordings"
QUICK = ("handler-closes-node22", "crossed-same-shape-node22")
SCENARIOS = scenario.load_all()
EVERY = tuple(variant.name for one in SCENARIOS.values() for variant in scenario.variants(one))
NAMES = EVERY if os.environ.get("WRANGLER_FORENSICS_LAB") == "all" else QUICK
# How many of its requests meet the bug is a matter of timing.
BY_CHANCE = ("pool-reuse", "fpm-owed-answer", "tomcat-pool-timeout")


def essence(told: dict[str, Any]) -> dict[str, Any]:
    """What two recordings of one scenario must agree in: all but times, ports and frames."""

    def request(one: dict[str, str] | None) -> tuple[str, ...]:
        if one is None:
            return ()
        return one["method"], one["target"], one["client"].partition(":")[0]

    planted = sorted(
        (one["kind"], one["cause"], request(one["request"]), request(one["owner"]))
        for one in told["planted"]
    )
    by_chance = told["scenario"] in BY_CHANCE
    return {
        "mechanism": told["mechanism"],
        "vantages": [one["vantage"] for one in told["captures"]],
        "planted": sorted({one[:2] for one in planted}) if by_chance else planted,
        "totals": None if by_chance else (told["totals"], told["clients"]),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_new_recording_agrees_with_the_shipped_one(name: str, tmp_path: Path) -> None:
    (variant,) = scenario.choose((name,), SCENARIOS)
    try:
        recording.check(variant)
    except LabError as missing:
        pytest.skip(str(missing))
    if not os.access("/var/run", os.W_OK):
        pytest.skip("network namespaces need a writable /var/run")
    told = recording.record(variant, tmp_path / name)
    assert essence(told) == essence(json.loads((SHIPPED / name / "truth.json").read_text()))
    names = [path.name for path in Path("/var/run/netns").glob(f"wf{os.getpid():x}-*")]
    assert names == []
