"""Scenario files load, mean something, and complain about what they do not understand."""

import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner

from captures.lab import plan, scenario, soak
from captures.lab.cli import main
from captures.lab.errors import LabError
from captures.lab.topology import VANTAGES

SCENARIOS = scenario.load_all()
each_scenario = pytest.mark.parametrize("one", SCENARIOS.values(), ids=lambda one: str(one.name))


@each_scenario
def test_marks_that_are_expected_are_in_the_plan(one: scenario.Scenario) -> None:
    steps = [
        step
        for client in one.clients
        for worker in plan.workers(client, str(one.seed))
        for step in worker["steps"]
    ]
    marks = {step.get("mark") for step in steps} | {"*"}
    for expect in one.expects:
        assert expect.request in marks
        assert expect.owner is None or expect.owner in marks


@each_scenario
def test_captures_are_at_known_vantages_and_texts_are_there(one: scenario.Scenario) -> None:
    assert one.captures
    assert {capture.vantage for capture in one.captures} <= set(VANTAGES)
    assert one.title
    assert one.description.strip()


@each_scenario
def test_the_same_seed_gives_the_same_plan(one: scenario.Scenario) -> None:
    for client in one.clients:
        assert plan.workers(client, "1/1") == plan.workers(client, "1/1")


def test_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "typo.toml"
    good = (scenario.DIRECTORY / "silent.toml").read_text()
    path.write_text(good.replace("mechanism =", "mechansim ="))
    with pytest.raises(LabError, match=r"typo\.toml"):
        scenario.load(path)


def test_names_choose_scenarios_recordings_and_versions() -> None:
    def names(*wanted: str, node: str | None = None) -> list[str]:
        return [one.name for one in scenario.choose(wanted, SCENARIOS, node)]

    assert names("story") == ["story-node12", "story-node14"]
    assert names("story-node14") == ["story-node14"]
    assert names("story", node="16") == ["story-node16"]
    assert names("gave-up") == ["gave-up"]
    with pytest.raises(LabError, match="no scenario called nothing"):
        names("nothing")


def test_what_a_person_did_wrong_is_one_line_and_status_2() -> None:
    result = CliRunner().invoke(main, ["record", "nothing"])
    assert result.exit_code == 2
    assert result.output.startswith("captures.lab: no scenario called nothing")
    assert result.output.count("\n") == 1


def test_without_a_name_the_scenarios_are_listed() -> None:
    result = CliRunner().invoke(main, ["record"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == list(SCENARIOS)


def test_a_soaks_faults_are_apart_and_in_range() -> None:
    wanted = soak.Soak(1_000_000, 10, 800, 7, "14", ("bridge",))
    found = soak.places(wanted)
    assert len(found) == 10
    assert all(later - earlier >= 4800 for earlier, later in itertools.pairwise(found))
    assert 0 < found[0] < found[-1] < wanted.exchanges
    with pytest.raises(ValueError, match="too many faults"):
        soak.places(soak.Soak(1000, 10, 800, 7, "14", ("bridge",)))
