"""Hostile captures, small: bounded, told by name, and the others in the capture still judged."""

import pytest

from tests.hostile.cases import CASES, Case
from tests.hostile.measure import measured, problems


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_capture(case: Case) -> None:
    assert problems(case, measured(case, case.size[0])) == []
