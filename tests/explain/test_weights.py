"""What `explain` says of a finding's weights."""

import pytest

from analyzer.explain.weights import odds, scales
from tests.explain.test_ladder import stories
from tests.recordings import recording


def test_the_lines_add_up_to_what_the_finding_says() -> None:
    (story,) = stories(recording("story-node12", "container"))
    (scale,) = scales(story.findings)
    finding = next(f for f in story.findings if f.weighed)
    assert sum(bits for _, bits in scale.lines) == pytest.approx(finding.bits, abs=1.0)
    assert scale.lines[-1][1] == -20
    assert scale.lost is not None
    assert scale.lost.name == "its own, in a new form"


@pytest.mark.parametrize(
    ("bits", "text"), [(0.0, "1 to 1"), (5.0, "32 to 1"), (31.2, "more than 1,000 to 1")]
)
def test_odds_claim_no_more_than_can_be_checked(bits: float, text: str) -> None:
    assert odds(bits) == text
