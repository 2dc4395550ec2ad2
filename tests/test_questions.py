"""docs/questions.md: its cells run as they stand there, and say what stands below them."""

from pathlib import Path

import pytest

from tests.cells import codes, executed

HERE = Path(__file__).parents[1]
PAGE = (HERE / "docs" / "questions.md").read_text()


def test_the_questions_are_answered_as_they_stand_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    assert len(list(codes(PAGE))) >= 7
    assert executed(PAGE) == PAGE


def test_a_cell_that_says_something_else_is_noticed() -> None:
    page = "```python\nn = 1\n```\n\nand\n\n```python\nprint(n)\nn + 1\n```\n\n```text\n{}\n```\n"
    assert executed(page.format("1\n3")) == page.format("1\n2")
    assert executed(page.format("1\n2")) == page.format("1\n2")
    with pytest.raises(NameError):
        executed("```python\nmissing\n```\n")


def test_the_readme_leads_there() -> None:
    assert "(docs/questions.md)" in (HERE / "README.md").read_text()
