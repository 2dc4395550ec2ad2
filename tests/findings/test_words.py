"""Words of judging that hold no more than was seen."""

import pytest

from analyzer.findings.words import seldom


@pytest.mark.parametrize(
    ("bits", "every", "text"),
    [
        (0.0, 100, "one request in 1"),
        (4.0, 100, "one request in 16"),
        (16.5, 100, "fewer than one request in 100"),
    ],
)
def test_nothing_is_said_to_be_seldomer_than_could_be_seen(
    bits: float, every: int, text: str
) -> None:
    assert seldom(bits, every, "request") == text
