"""Thinning takes examples and never what was planted; the curve counts what is still found."""

import json
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from captures import curve, thinning
from captures.curve import Point, Row, Swap
from captures.score import RECORDINGS
from captures.scoring import seconds
from captures.thinning import Learned
from captures.vary import packets
from captures.vary.connections import connections
from captures.vary.recording import text

# One exchange on each connection; kept connections; a surplus answer, for which nobody had asked.
NAMES = ["story-node14", "stolen-node14", "stale-close-surplus-node14"]


@cache
def learned(name: str) -> Learned:
    vantage = thinning.server_side(json.loads((RECORDINGS / name / "truth.json").read_text()))
    assert vantage is not None
    return thinning.learn(RECORDINGS / name, vantage)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [1, 2])
def test_planted_connections_stay_whole_and_packets_as_they_were(
    name: str, seed: int, tmp_path: Path
) -> None:
    one = learned(name)
    kept = thinning.thinned(one, 1, seed)
    assert len(kept) < len(one.lines)
    one.write(kept, tmp_path / "thin.pcap")
    was, now = one.capture.packets, packets.read(tmp_path / "thin.pcap").packets
    left = iter(was)
    assert all(any(packet == other for other in left) for packet in now)  # in their order
    before, after = (
        {min(map(text, c.clients)): list(c.packets) for c in connections([capture])}
        for capture in (one.capture, packets.read(tmp_path / "thin.pcap"))
    )
    assert all(before[client] == after[client] for client in after)
    assert len(after) == len(kept)
    # By the packets, not by what thinning thinks of them: each planted request is still there.
    for fault in one.truth.told["planted"]:
        for request in (fault["request"], fault["owner"]):
            if request and request["method"] != "-":
                head = f"{request['method']} {request['target']} ".encode()
                near = [p for p in now if p.payload.startswith(head)
                        and abs(p.time / 1e6 - seconds(request["time"])) < 0.5]  # fmt: skip
                assert near


def test_planted_connections_are_known_behind_a_proxy_that_hides_the_clients() -> None:
    one = learned("crossed-behind-nginx-node22")
    shown = {line.key.partition(":")[0] for line in one.lines}
    assert not shown & {client.partition(":")[0] for client in one.truth.addresses}
    assert all(line.planted for line in one.lines)  # the two connections of nginx have one each


def test_each_endpoint_has_as_many_examples_as_asked_for_or_all_that_there_are() -> None:
    one = learned("story-node14")
    whole = one.examples(thinning.every(one))
    for k in (1, 3, 16):
        have = one.examples(thinning.thinned(one, k, 1))
        # Every connection here has one exchange, so there is no more than that either.
        assert have == {endpoint: min(k, many) for endpoint, many in whole.items()}
    assert thinning.thinned(one, 3, 1) == thinning.thinned(one, 3, 1) != thinning.thinned(one, 3, 2)


def test_what_was_planted_is_no_example_and_its_endpoints_are_known() -> None:
    one = learned("story-node14")
    exchanges = 142
    planted = 2  # the swapped one and the one without an answer
    assert one.examples(thinning.every(one)).total() == exchanges - planted
    names = [{endpoint for _, endpoint in each} for each in one.endpoints]
    paths = "paddocks/{id}/occupancy", "horses/{id}/vet-report"
    both = {f"GET /api/v1/{path}" for path in paths}
    kinds = [fault["kind"] for fault in one.truth.told["planted"]]
    assert names[kinds.index("misdelivered")] == both


def test_the_curve_finds_the_swap_again_as_soon_as_there_are_examples() -> None:
    found = curve.points(RECORDINGS / "story-node14", [30], 1)
    assert [point.k for point in found] == [30, curve.WHOLE]
    for point in found:
        (swap,) = point.swaps
        assert swap.found and swap.owner == "right" and not point.alarms
        # Of 16 and 17 exchanges one each is the swap itself.
        assert swap.examples == 15


def test_a_swap_that_the_server_side_does_not_show_is_left_out() -> None:
    truth = json.loads((RECORDINGS / "story-node14" / "truth.json").read_text())
    assert thinning.server_side(truth) == "container"
    for fault in truth["planted"]:
        fault["seen_at"] = ["client2", "host-any"]
    assert thinning.server_side(truth) == "host-any"
    for fault in truth["planted"]:
        fault["seen_at"] = ["client2"]
    assert thinning.server_side(truth) is None


def test_the_tables_count_swaps_by_what_was_asked_for_and_by_what_there_was() -> None:
    right = Swap("GET /a", 1, True, "right", "certain", 12.0)
    wrong = Swap("GET /b", 4, True, "wrong", "possible", 2.0)
    missed = Swap("GET /c", 4, False)
    every = [
        Point("r", 1, 1, 9, (right, missed), ("unanswered GET /d (likely)",)),
        Point("r", curve.WHOLE, 0, 9, (wrong,), ()),
    ]
    one, two, whole = curve.by_asked(every, [1, 2])
    assert list(one.cells()) == ["k=1", "2", "2", "1", "50.0", "1", "0", "0", "0", "0", "1",
                                 "12.0", "1"]  # fmt: skip
    assert list(two.cells())[2:4] == ["0", "0"]
    assert (whole.swaps, whole.alarms) == ([wrong], 0)
    had = {row.name: row.swaps for row in curve.by_had(every)}
    assert had["1"] == [right] and had["3-4"] == [missed, wrong]
    assert sum(map(len, had.values())) == 3
    assert len(list(curve.lines(every))) == 3
    assert len(list(Row("x").cells())) == len(curve.HEADS)


def test_the_command_prints_both_tables_and_refuses_nonsense() -> None:
    run = CliRunner().invoke
    told = run(curve.main, ["--k", "2", "--seeds", "1", "--jobs", "1", "stolen-same-shape-node16"])
    assert told.exit_code == 0, told.output
    assert "k=2" in told.output and "whole" in told.output
    assert run(curve.main, ["--k", "0,1"]).exit_code == 2
    assert run(curve.main, ["--k", "x"]).exit_code == 2
