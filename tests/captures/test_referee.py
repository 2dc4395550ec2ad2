"""The referee counts what a reader pairs wrongly and loses, and our scan does neither."""

import shutil
from dataclasses import asdict, replace
from typing import Any

import pytest
from click.testing import CliRunner

from captures.referee import judge
from captures.referee.__main__ import main
from captures.referee.judge import Count
from captures.referee.model import Json, Pair, Reading
from captures.referee.present import Present
from captures.referee.run import held, sums
from captures.score import RECORDINGS

ONE, TWO, THREE = "10.0.0.1:1001", "10.0.0.1:1002", "10.0.0.1:1003"
AT = "2026-11-23T07:00:{:02}Z"
BEGAN = 1795417200.0  # AT.format(0)


def row(client: str, target: str, second: int, digest: str, own: bool = True) -> Json:
    return {
        "client": client, "method": "GET", "target": target, "time": AT.format(second),
        "outcome": "answered", "status": 200, "sha256": digest, "own": own,
    }  # fmt: skip


def pair(client: str, target: str, second: int, digest: str | None, **more: Any) -> Pair:
    return Pair(client, "GET", target, BEGAN + second, 200, digest, **more)


TRUTH: Json = {
    "planted": [],
    "log": [row(ONE, "/a", 1, "aa"), row(TWO, "/b", 2, "bb"), row(TWO, "/b", 5, "cc")],
}
RIGHT = (pair(ONE, "/a", 1, "aa00"), pair(TWO, "/b", 2, "bb00"), pair(TWO, "/b", 5, "cc00"))
THERE = Present(
    {ONE: b"GET /a HTTP/1.1\r\n", TWO: b"GET /b HTTP/1.1\r\n"},
    dict.fromkeys((ONE, TWO), b"HTTP/1.1 200 OK\r\n"),
    frozenset({80}),
    BEGAN,
    BEGAN + 10,
)


def counted(reading: Reading, truth: Json = TRUTH, there: Present = THERE) -> dict[str, int]:
    found = asdict(judge.count(truth, 0.0, there, reading))
    return {name: value for name, value in found.items() if value}


def test_what_is_paired_as_the_client_read_it_is_right() -> None:
    assert counted(Reading(RIGHT)) == {"captures": 1, "exchanges": 3, "right": 3}
    unnamed = tuple(one._replace(client="") for one in RIGHT)
    assert counted(Reading(unnamed))["right"] == 3


def test_another_body_or_another_status_is_a_wrong_pair() -> None:
    assert counted(Reading((RIGHT[0], RIGHT[1], pair(TWO, "/b", 5, "bb00"))))["wrong"] == 1
    assert counted(Reading((RIGHT[0]._replace(status=404), *RIGHT[1:])))["wrong"] == 1
    assert "wrong" not in counted(Reading((RIGHT[0]._replace(digest=None), *RIGHT[1:])))


def test_a_loss_is_silent_unless_something_is_said_of_it() -> None:
    lost = (RIGHT[0]._replace(status=0), RIGHT[2])
    assert counted(Reading(lost)) == {"captures": 1, "exchanges": 3, "right": 1, "silent": 2}
    assert counted(Reading(lost, frozenset({TWO})))["told"] == 1
    assert counted(Reading(lost, None))["told"] == 2


def test_what_is_not_in_the_capture_is_not_asked_for() -> None:
    assert counted(Reading(), there=replace(THERE, sent={}))  == {"captures": 1}  # fmt: skip
    assert counted(Reading(), there=replace(THERE, received={ONE: b"HTTP/1.1 100 Continue"})) == {
        "captures": 1
    }
    assert counted(Reading(RIGHT), there=replace(THERE, first=BEGAN + 3))["exchanges"] == 1
    assert counted(Reading(RIGHT), there=replace(THERE, last=BEGAN + 4))["exchanges"] == 2
    assert counted(Reading(refused="no")) == {"captures": 1, "refused": 1}


def test_a_swap_in_its_place_is_right_and_told_only_by_who_says_so() -> None:
    log = [row(ONE, "/a", 1, "aa", own=False)]
    fault = {"kind": "misdelivered", "request": log[0], "owner": row(TWO, "/b", 2, "bb")}
    truth = {"planted": [fault], "log": log}
    unasked = {"planted": [{**fault, "kind": "unsolicited", "owner": None}], "log": log}
    assert "swaps" not in counted(Reading(RIGHT[:1]), unasked)
    plain = counted(Reading(RIGHT[:1]), truth)
    assert (plain["right"], plain["swaps"], plain.get("swaps_told")) == (1, 1, None)
    assert counted(Reading((RIGHT[0]._replace(whose=True),)), truth)["swaps_told"] == 1


def test_a_client_that_slipped_on_its_own_connection_is_not_asked_about() -> None:
    slip = {"kind": "misdelivered", "request": TRUTH["log"][2], "owner": TRUTH["log"][1]}
    assert counted(Reading(RIGHT), {**TRUTH, "planted": [slip]})["exchanges"] == 2


@pytest.mark.parametrize("name", ["pipelined-node22", "capture-loss-node20"])
def test_our_scan_pairs_nothing_wrongly_and_loses_nothing_in_silence(name: str) -> None:
    rows = held(RECORDINGS / name, ("wrangler-forensics",), ("container",))
    total = sums(rows)["wrangler-forensics"]
    assert total.exchanges > 100
    assert (total.wrong, total.silent) == (0, 0)
    assert total.right + total.told == total.exchanges


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_the_command_prints_a_table() -> None:
    asked = ["story-node12", "--vantage", "bridge", "--reader", "tshark"]
    done = CliRunner().invoke(main, asked, catch_exceptions=False)
    assert done.exit_code == 0
    last = done.output.splitlines()[-1]
    expected = Count(captures=1, exchanges=141, right=141, swaps=1)
    assert last == "| tshark | " + " | ".join(str(v) for v in asdict(expected).values()) + " |"
