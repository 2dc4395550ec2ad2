"""All recordings: nothing is found that did not happen, and nothing at all in honest traffic."""

import pytest

import analyzer
from tests.golden.rewriting import false_findings
from tests.recordings import Recording, recordings, truth
from tests.tools import found

HONEST = [r for r in recordings() if not truth(r.scenario)["planted"]]
FAULTY = [r for r in recordings() if truth(r.scenario)["planted"]]


@pytest.mark.parametrize("one", HONEST, ids=str)
def test_honest_traffic_has_no_finding(one: Recording) -> None:
    assert found(analyzer.scan(one.path)) == []


@pytest.mark.parametrize("one", FAULTY, ids=str)
def test_nothing_is_found_that_did_not_happen(one: Recording) -> None:
    assert false_findings(analyzer.scan(one.path), one.scenario) == []
