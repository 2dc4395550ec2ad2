"""Text from packets on its way to a terminal or a spreadsheet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.report.escape import cell, rfc3339, shortened, visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü 日本", "plain ü 日本"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\r\nb\tc\0", "a\\x0d\\x0ab\\x09c\\x00"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("abc\u202ecba\u2066", "abc\\u202ecba\\u2066"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("line\u2028para\u2029", "line\\u2028para\\u2029"),
    ],
)
def test_what_a_terminal_would_act_on_is_shown(text: str, expected: str) -> None:
    assert visible(text) == expected


@given(st.text())
def test_nothing_that_acts_remains(text: str) -> None:
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in visible(text))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "=cmd|' /C calc'!A0"])
def test_formulas_are_quoted(start: str) -> None:
    assert str(cell(start)).startswith("'")


@given(st.text())
def test_no_cell_begins_as_a_formula(text: str) -> None:
    value = cell(text)
    assert isinstance(value, str)
    assert not value.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_stay_numbers() -> None:
    assert cell(-5) == -5
    assert cell("5") == "5"


def test_shortened() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_times_have_nine_digits(time: int, expected: str) -> None:
    assert rfc3339(time) == expected
