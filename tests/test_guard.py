"""Reading small captures of each kind of traffic costs no more than it did, counted, not timed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer import compiled
from benchmarks.guard import KEPT, grown
from benchmarks.kinds import KINDS

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(compiled.kernels is None, reason="without the kernels nothing is short")
def test_nothing_costs_more_than_it_did() -> None:
    # In a process of its own: what other tests have taught the caches is no part of it.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.guard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_each_kind_is_guarded() -> None:
    assert json.loads(KEPT.read_text()).keys() == KINDS.keys()


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"calls": 11.4, "declined: segments": 5}, []),
        ({"calls": 11.6, "declined: segments": 2}, ["one, calls: 11.6, was 10"]),
        ({"calls": 10, "declined: length": 4}, ["one, declined: length: 4, was 0"]),
    ],
)
def test_what_has_grown_by_more_than_a_sixth_is_told(
    now: dict[str, float], told: list[str]
) -> None:
    assert grown({"one": now}, {"one": {"calls": 10, "declined: segments": 2}}) == told
