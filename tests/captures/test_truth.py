"""Truth is made from logs: what belongs to whom, and what makes a recording fail."""

from typing import Any

import pytest

from captures.lab import soak, truth
from captures.lab.errors import RecordingFailed
from captures.lab.scenario import Expect

OWN, OTHER = "aa", "bb"


def asked(target: str, sent: float, **more: Any) -> dict[str, Any]:
    row = {
        "method": "GET",
        "target": target,
        "client": "10.0.0.1:5000",
        "from": "app1",
        "sent": sent,
        "ended": sent + 1,
        "outcome": "answered",
        "began": True,
        "status": 200,
        "sha256": OWN,
        "length": 2,
    }
    return row | more


def made(target: str, received: float, sha256: str = OWN, status: int = 200) -> dict[str, Any]:
    return {
        "method": "GET",
        "target": target,
        "received": received,
        "sha256": sha256,
        "status": status,
    }


def test_a_body_made_for_this_request_in_its_time_is_its_own() -> None:
    assert truth.observe([asked("/a", 10)], [made("/a", 10.1)]) == []


def test_a_body_made_for_another_request_is_misdelivered_and_has_its_owner() -> None:
    first = asked("/a", 10, outcome="timeout", began=False, ended=13)
    second = asked("/b", 11)
    found = truth.observe([first, second], [made("/a", 10.1), made("/b", 11.1, OTHER)])
    assert [(one.kind, one.row, one.owner) for one in found] == [
        ("unanswered", first, None),
        ("misdelivered", second, first),
    ]


def test_the_same_body_made_long_before_is_not_this_requests() -> None:
    (found,) = truth.observe([asked("/a", 10)], [made("/a", 2)])
    assert found.kind == "misdelivered"


def test_of_several_owners_of_the_same_bytes_the_nearest_is_taken() -> None:
    early = asked("/a", 10, outcome="cancelled", client="10.0.0.1:1")
    late = asked("/a", 20, outcome="cancelled", client="10.0.0.1:2")
    victim = asked("/b", 20.1, client="10.0.0.1:3")
    servers = [made("/a", 10), made("/a", 20), made("/b", 20.2, OTHER)]

    def owner(*clients: dict[str, Any]) -> truth.Row | None:
        return truth.observe(clients, servers)[-1].owner

    assert owner(early, late, victim) is late
    here = asked("/a", 10, outcome="cancelled", client="10.0.0.1:3")
    assert owner(here, late, victim) is here


def test_two_requests_for_one_target_are_told_apart_by_their_id_and_body() -> None:
    first = asked("/a", 10, about="first", outcome="timeout", began=False)
    second = asked("/a", 10, about="second")
    (lost, swapped) = truth.observe([first, second], [made("/a", 10.1) | {"about": "first"}])
    assert (lost.kind, swapped.kind) == ("unanswered", "misdelivered")
    assert swapped.owner is first
    assert truth.observe([second], [made("/a", 10.1) | {"about": "second"}]) == []
    assert truth.observe([second], [made("/a", 10.1)]) == []  # a server that does not tell


def test_an_answer_that_began_and_never_ended_is_incomplete() -> None:
    (found,) = truth.observe([asked("/a", 10, outcome="closed")], [made("/a", 10)])
    assert found.kind == "incomplete"


def test_a_stray_answer_leaves_its_reader_unanswered() -> None:
    found = truth.observe([asked("/a", 10, status=408)], [], stray=[408])
    assert [one.kind for one in found] == ["unsolicited", "unanswered"]


def test_a_parsers_own_refusal_is_an_answer() -> None:
    assert truth.observe([asked("/a", 10, status=400)], [], foreign=[400]) == []
    (given_up,) = truth.observe([asked("/a", 10, status=504)], [], foreign=[504])
    assert given_up.kind == "unanswered"  # behind the gateway


def test_a_fault_that_did_not_happen_fails_the_recording() -> None:
    with pytest.raises(RecordingFailed, match="planted but not seen"):
        truth.match([], [Expect("unanswered", "R1", "server/silent")])


def test_a_fault_that_was_not_planted_fails_the_recording() -> None:
    seen = truth.Observed("unanswered", asked("/a", 10, mark=None))
    with pytest.raises(RecordingFailed, match="seen but not planted"):
        truth.match([seen], [])


def test_the_owner_must_be_the_planted_one() -> None:
    stranger = asked("/x", 9, mark="R9")
    seen = truth.Observed("misdelivered", asked("/b", 10, mark="R2"), stranger)
    with pytest.raises(RecordingFailed):
        truth.match([seen], [Expect("misdelivered", "R2", "server/stolen", owner="R1")])


def test_a_request_without_a_connection_counts_apart() -> None:
    rows = [asked("/a", 1), asked("/b", 2, client=truth.UNCONNECTED, outcome="timeout")]
    assert truth.totals(rows) == {
        "requests": 1,
        "answered": 1,
        "unanswered": 0,
        "unconnected": 1,
    }


def test_times_are_written_as_the_report_writes_them() -> None:
    assert truth.instant(1795407119.632651) == "2026-11-23T04:11:59.632651Z"


def test_a_long_log_is_judged_in_slices_as_it_is_in_one_piece() -> None:
    clients, servers = [], []
    for number in range(200):
        sent = 1000 + number * 1.7
        clients.append(asked(f"/{number}", sent, sha256=f"{number}", ended=sent + 0.5))
        servers.append(made(f"/{number}", sent, f"{number}") | {"written": sent + 0.4})
    for number in (17, 18, 90, 145):  # the next one is given this one's answer, which is lost
        clients[number] |= {"outcome": "timeout", "began": False, "ended": 1003 + number * 1.7}
        clients[number + 1] |= {"sha256": f"{number}"}
    clients[18] |= {"outcome": "timeout"}
    rows = sorted(clients, key=lambda row: float(row["ended"]))
    whole = truth.observe(rows, servers)
    sliced = list(soak.observe_in_slices(rows, servers))
    assert sliced == whole
    assert len(whole) == 7
    assert all(one.owner for one in whole if one.kind == "misdelivered")


def test_what_was_made_for_another_user_is_not_ones_own() -> None:
    first = asked("/board", 10, who="1", client="10.0.0.1:5000")
    second = asked("/board", 12, who="2", client="10.0.0.2:5000")
    later = asked("/board", 14, who="1", client="10.0.0.1:5000")
    rows = [{**made("/board", sent + 0.1), "who": "1"} for sent in (10, 14)]
    (found,) = truth.observe([first, second, later], rows)
    assert (found.row, found.owner) == (second, first)


def test_an_owner_was_not_answered_after_its_answer_was_read() -> None:
    first = asked("/a", 10)
    second = asked("/b", 12, client="10.0.0.2:5000")  # read at 13
    later = asked("/a", 13.5, client="10.0.0.3:5000")
    (found,) = truth.observe([first, second, later], [made("/a", 10.1), made("/a", 13.6)])
    assert (found.row, found.owner) == (second, first)
