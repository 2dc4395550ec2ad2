"""The scoreboard is what the scan finds today, and the README tells its sum."""

import json
from pathlib import Path
from typing import Any

import pytest

from captures import scoring
from captures.score import RECORDINGS, as_text, score
from captures.scoring import TOGETHER, Score, Tally, Truth

HERE = Path(__file__).parents[2]
BOARD: dict[str, Any] = json.loads((HERE / "captures" / "scoreboard.json").read_text())
CLIENT, OTHER, PROXY = "172.31.17.21:40001", "172.31.18.34:40002", "172.31.19.40:40003"


def as_scored(row: dict[str, Any]) -> Score:
    views = {name: Tally(**counts) for name, counts in row["views"].items()}
    return Score(row["recording"], row["mechanism"], views.pop("best"), views)


@pytest.mark.parametrize("row", BOARD["recordings"], ids=lambda row: str(row["recording"]))
def test_a_recording_scores_as_the_board_says(row: dict[str, Any]) -> None:
    """Every capture alone, and all of the recording together. A finding of what did not happen, or
    of anything in honest traffic, is an alarm that no board has: see `test_no_alarm_is_false`.
    """
    assert score(RECORDINGS / row["recording"]) == as_scored(row)


def test_every_recording_is_on_the_board() -> None:
    shipped = {truth.parent.name for truth in RECORDINGS.glob("*/truth.json")}
    assert {row["recording"] for row in BOARD["recordings"]} == shipped


def test_the_sums_are_those_of_the_rows_and_are_written_as_they_are_read() -> None:
    rows = [as_scored(row) for row in BOARD["recordings"]]
    sums = scoring.sums(rows)
    assert {name: Tally(**counts) for name, counts in BOARD["sum"].items()} == sums
    assert json.loads(as_text(rows, sums)) == BOARD


@pytest.mark.parametrize("group", ["best", *scoring.GROUPS])
def test_no_alarm_is_false(group: str) -> None:
    """No capture of any recording has a finding that nobody planted."""
    total = Tally(**BOARD["sum"][group])
    assert total.false_alarms == 0
    assert total.wrong_certain == 0


def test_the_readme_tells_the_sum() -> None:
    total, rows = Tally(**BOARD["sum"]["best"]), BOARD["recordings"]
    faults = sum(1 for row in rows if row["views"]["best"].get("planted"))
    readme = " ".join((HERE / "README.md").read_text().split())
    assert (
        f"has {len(rows)} recordings of real servers, {faults} of them with planted faults, "
        f"{total.planted} in all. Found are {total.found}; of {total.with_owner} with an "
        f"owner the owner is right in {total.owner_right}; the layer of the cause in "
        f"{total.layer_right}, its mechanism in {total.mechanism_right}; there is no false "
        "alarm on any recording."
    ) in readme


def asked(target: str, client: str, second: float) -> dict[str, Any]:
    time = f"2026-11-23T07:00:{second:09.6f}Z"
    return {"method": "GET", "target": target, "client": client, "time": time}


FIRST, SECOND = asked("/a", CLIENT, 10), asked("/b", OTHER, 10.3)


def told(**captures: float) -> dict[str, Any]:
    """The truth of a swap, captured at some vantages with clocks ahead by so many seconds."""
    return {
        "captures": [{"vantage": name, "clock": {"ahead": by}} for name, by in captures.items()],
        "log": [FIRST, SECOND],
        "planted": [
            {"kind": "misdelivered", "cause": "server/crossed", "also": ["server/stolen"],
             "request": SECOND, "owner": FIRST, "seen_at": list(captures)}
        ],
        "tolerated": [],
    }  # fmt: skip


def finding(**more: Any) -> dict[str, Any]:
    found = {"kind": "misdelivered", "confidence": "likely", "cause": "server/crossed",
             "causes": [], "request": SECOND, "owner": FIRST}  # fmt: skip
    return found | more


def judged(*findings: dict[str, Any], vantage: str = "container", **captures: float) -> Tally:
    truth = Truth(told(**(captures or {"container": 0.0})))
    report = {"findings": list(findings), "totals": {"undecided": 0}}
    return scoring.judge(truth, vantage, report).tally


def test_a_right_finding_counts_in_everything() -> None:
    assert judged(finding()) == Tally(1, 1, 1, 1, 1, 1)
    assert judged() == Tally(planted=1)


def test_another_cause_that_is_as_right_counts_and_one_of_the_layer_counts_as_that() -> None:
    assert judged(finding(cause="server/stolen")).mechanism_right == 1
    wrong = judged(finding(cause="server/descriptor"))
    assert (wrong.layer_right, wrong.mechanism_right) == (1, 0)
    assert judged(finding(cause="client/gave-up")).layer_right == 0


def test_ruling_out_what_it_was_is_counted() -> None:
    causes = [
        {"cause": "server/crossed", "verdict": "ruled-out", "because": ""},
        {"cause": "network/lost", "verdict": "ruled-out", "because": ""},
    ]
    assert judged(finding(causes=causes)).ruled_out_wrong == 1
    assert judged(finding(causes=causes[1:])).ruled_out_wrong == 0


def test_a_wrong_owner_is_not_right_and_worse_if_certain() -> None:
    wrong = judged(finding(owner=SECOND, confidence="certain"))
    assert (wrong.with_owner, wrong.owner_right, wrong.wrong_certain) == (1, 0, 1)
    assert judged(finding(owner=SECOND)).wrong_certain == 0


def test_what_nobody_planted_is_a_false_alarm() -> None:
    alarm = judged(finding(), finding(request=FIRST, owner=SECOND, confidence="certain"))
    assert (alarm.found, alarm.false_alarms, alarm.wrong_certain) == (1, 1, 1)


def test_an_owner_on_another_host_is_not_asked_of_a_clients_own_capture() -> None:
    alone = judged(finding(owner=None), vantage="client2", client2=0.0)
    assert (alone.found, alone.with_owner) == (1, 0)


def test_a_request_of_another_address_is_another_request_unless_a_proxy_asked_it() -> None:
    other = asked("/b", CLIENT, 10.3)
    assert judged(finding(request=other)).false_alarms == 1
    behind = finding(request=asked("/b", PROXY, 10.31), owner=asked("/a", PROXY, 10.01))
    assert judged(behind) == Tally(1, 1, 1, 1, 1, 1)


def test_a_clock_that_is_ahead_is_allowed_for() -> None:
    late = finding(request=asked("/b", OTHER, 15.3), owner=asked("/a", CLIENT, 15))
    assert judged(late).found == 0
    assert judged(late, container=5.0).owner_right == 1
    assert judged(late, vantage=TOGETHER, client1=5.0, container=0.0).owner_right == 1


def test_each_line_says_what_is_not_right(tmp_path: Path) -> None:
    truth = told(container=0.0)
    truth["captures"][0]["file"] = "container.pcap"
    (tmp_path / "truth.json").write_text(json.dumps(truth))

    def wrong(*findings: dict[str, Any]) -> list[tuple[str, ...]]:
        report = {"findings": list(findings), "totals": {"undecided": 0}}
        return [line.wrong for line in scoring.lines(tmp_path, lambda paths: report)]

    assert wrong() == [("not found",)]
    assert wrong(finding()) == [()]
    assert wrong(finding(owner=None, cause="server/descriptor")) == [("owner", "mechanism")]
    certain = finding(owner=SECOND, confidence="certain", cause="client/gave-up")
    assert wrong(certain) == [("owner", "layer", "wrong and certain")]
    assert wrong(finding(request=FIRST)) == [("false alarm",), ("not found",)]
