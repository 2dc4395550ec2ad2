"""docs/verdicts.md names every explanation, with its prior, and every comparison that is made."""

import ast
import re
from pathlib import Path

import pytest

from analyzer.explain.weights import ABOUT
from analyzer.findings.model import CERTAIN, LIKELY, POSSIBLE
from analyzer.matching import weights
from analyzer.matching.explanations import EXPLANATIONS, Explanation

HERE = Path(__file__).parents[2]
VERDICTS = (HERE / "docs" / "verdicts.md").read_text()
GLOSSARY = (HERE / "docs" / "glossary.md").read_text()


def section(title: str) -> str:
    """What stands below a heading of the page, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#)", VERDICTS, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def made() -> set[str]:
    """The names of all comparisons that judging makes, as its source has them."""
    names = set()
    for path in (HERE / "analyzer" / "matching").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Comparison":
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    names.add(str(first.value))
                else:
                    assert isinstance(first, ast.Name)
                    names.add(getattr(weights, first.id))
    return names


def test_the_comparisons_are_those_that_are_made() -> None:
    told = {name.strip("`") for name, *_ in rows(section("The comparisons")) if "`" in name}
    assert told == made()


def test_the_story_has_words_for_each_comparison() -> None:
    assert ABOUT.keys() == made()


@pytest.mark.parametrize("one", EXPLANATIONS, ids=lambda one: one.name)
def test_every_explanation_is_told_with_its_prior(one: Explanation) -> None:
    (row,) = [row for row in rows(section("The explanations")) if row[0] == one.name]
    _, kind, prior, explains, sentence = row
    assert (kind, float(prior), sentence) == (one.kind, one.prior, one.sentence)
    assert set(explains.split(", ")) == one.explains or not one.explains


def test_no_explanation_is_told_that_is_none() -> None:
    told = [row[0] for row in rows(section("The explanations"))[2:]]
    assert told == [one.name for one in EXPLANATIONS]


def test_the_thresholds_are_those_of_the_code() -> None:
    table = rows(section("Confidence, `bits` and `expected_false`"))
    told = {row[0].strip("`"): float(row[1].split()[0]) for row in table if "`" in row[0]}
    assert told == {"possible": POSSIBLE, "likely": LIKELY, "certain": CERTAIN}


def test_what_the_glossary_names_is_there() -> None:
    for path in re.findall(r"`([\w/]+(?:\.py|/))`", GLOSSARY):
        assert (HERE / "analyzer" / path).exists() or (HERE / path).exists(), path
