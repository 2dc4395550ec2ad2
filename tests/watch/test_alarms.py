"""Every alarm ends with a reason, an incident is told once, a loss makes it undecided."""

from dataclasses import replace

import pytest

from analyzer.baselines.pace import MOMENT, UNKNOWN
from analyzer.watch.alarms import LONGEST, MOST, SETTLE, Alarms, Event, Learned, What
from analyzer.watch.judging import Asked, Round, Suspect
from analyzer.watch.ring import Loss, Losses

SECOND = 1_000_000_000
START = 1_000 * SECOND
NOTHING = Round(0, 0, 0, 0)
ORDINARY = replace(NOTHING, longest={"GET /a": (2 * SECOND, 20), "GET /b": (SECOND // 50, 50)})


def asked(number: int, endpoint: str = "GET /a", at: int = 0) -> Asked:
    client = f"10.0.0.{number}:40000"
    target = f"/a/{number}"
    time = START + at * SECOND
    return Asked("GET", target, endpoint, client, "10.1.1.1:80", time, f"GET {target}")


def suspect(*about: Asked, name: str = "aaaa", until: int = 3) -> Suspect:
    ids = tuple(f"{name}-{one.client}" for one in about)
    end = START + until * SECOND
    return Suspect(name, "one hung", "Why", "unanswered", "server/silent", "certain",
                   min(one.time for one in about), end, ids, about)  # fmt: skip


class Played:
    """Alarms, to which rounds come at a second."""

    def __init__(self) -> None:
        self.losses = Losses()
        self.alarms = Alarms(Learned(), self.losses)
        self.events: list[Event] = []
        self.round(0, ORDINARY)

    def round(self, at: float, told: Round, fates: tuple[str | None, ...] = ()) -> list[str]:
        """What happened, by name; `fates` are those of the requests of all open alarms."""
        after = self.alarms.asked_after()
        told = replace(told, fates=fates or (None,) * len(after))
        events = self.alarms.take(told, after, START + int(at * SECOND))
        self.events += events
        return [str(event.what) for event in events]


def test_a_request_is_overdue_when_it_waits_longer_than_its_endpoint_ever_did() -> None:
    played = Played()
    waiting = replace(NOTHING, waiting=(asked(1),))
    assert played.round(1.9, waiting) == []
    assert played.round(2.1, waiting) == ["alarm"]
    assert played.round(3, waiting) == []  # told once
    assert "never took longer than 2.000 s" in played.events[0].alarm.text


def test_it_comes_between_rounds_too() -> None:
    played = Played()
    played.round(1.0, replace(NOTHING, waiting=(asked(1),)))
    assert played.alarms.overdue(START + SECOND) == []
    (event,) = played.alarms.overdue(START + 3 * SECOND)
    assert event.what is What.RAISED
    assert played.alarms.overdue(START + 4 * SECOND) == []


def test_a_glance_tells_what_waits_and_nothing_else() -> None:
    played = Played()
    played.round(3, replace(NOTHING, suspects=(suspect(asked(1)),)))
    short = replace(NOTHING, waiting=(asked(2), asked(3, at=2)))
    (event,) = played.alarms.glance(short, START + 3 * SECOND)
    assert (event.what, event.alarm.asked) == (What.RAISED, [asked(2)])
    assert played.alarms.glance(NOTHING, START + 4 * SECOND) == []
    assert len(played.alarms.open) == 2  # what a glance does not show it does not end


def test_how_long_answers_take_is_remembered_over_rounds() -> None:
    learned = Learned()
    assert learned.patience("GET /a") == UNKNOWN
    learned.take({"GET /a": (5 * SECOND, 20)})
    learned.take({"GET /a": (SECOND, 9), "GET /b": (SECOND // 1000, 50), "GET /c": (SECOND, 2)})
    assert learned.patience("GET /a") == 5 * SECOND
    assert learned.patience("GET /b") == MOMENT
    assert learned.patience("GET /c") == 5 * SECOND  # few: as long as any
    assert learned.patience("GET /never") == 5 * SECOND


def test_an_answer_withdraws_it_with_its_reason() -> None:
    played = Played()
    played.round(2.1, replace(NOTHING, waiting=(asked(1),)))
    assert played.round(3, NOTHING, ("it was answered after 2.900 s",)) == ["withdrawn"]
    assert played.events[-1].why == "it was answered after 2.900 s"
    assert played.alarms.open == []


def test_an_incident_is_a_finding_when_nothing_happens_in_it_any_more() -> None:
    played = Played()
    played.round(2.1, replace(NOTHING, waiting=(asked(1),)))
    told = replace(NOTHING, suspects=(suspect(asked(1)),))
    assert played.round(4, told) == ["changed"]
    assert played.round(5, told) == []
    assert played.round(3 + SETTLE / SECOND, told) == ["settled"]
    assert played.events[-1].why == ""
    assert played.round(20, told) == []  # it is in the window still, and told
    assert len([e for e in played.events if e.what is What.RAISED]) == 1


def test_one_that_hangs_still_keeps_it_open() -> None:
    played = Played()
    told = replace(NOTHING, waiting=(asked(1),), suspects=(suspect(asked(1), asked(2)),))
    assert played.round(4, told) == ["alarm"]
    assert played.round(60, told) == []
    assert played.round(1 + LONGEST / SECOND, told) == ["settled"]


def test_what_looked_like_anothers_and_does_not_any_more_is_withdrawn() -> None:
    played = Played()
    played.round(3, replace(NOTHING, suspects=(suspect(asked(1)),)))
    assert played.round(4, NOTHING) == []
    assert played.round(5, NOTHING) == ["withdrawn"]
    assert "no longer unlike" in played.events[-1].why


@pytest.mark.parametrize(
    "since, until, undecided", [(3.5, 4.5, True), (-9, -0.5, True), (-9, -2, False), (5, 6, False)]
)
def test_where_packets_may_be_missing_it_is_undecided(
    since: float, until: float, undecided: bool
) -> None:
    played = Played()
    begin, end = (START + int(one * SECOND) for one in (since, until))
    played.losses.add(Loss(begin, end, "the kernel dropped packets"))
    told = replace(NOTHING, suspects=(suspect(asked(1)),))
    played.round(4, told)
    assert played.round(30, told) == ["settled"]
    assert played.events[-1].why.startswith("undecided: the kernel dropped") is undecided


def test_an_answer_that_may_have_been_lost_is_not_overdue() -> None:
    played = Played()
    played.losses.add(Loss(START + SECOND, START + 2 * SECOND, "tcpdump was not running"))
    assert played.round(9, replace(NOTHING, waiting=(asked(1), asked(2, at=3)))) == ["alarm"]
    assert played.events[-1].alarm.asked == [asked(2, at=3)]


def test_alarms_of_one_incident_become_one() -> None:
    played = Played()
    both = asked(1), asked(2)
    assert played.round(2.1, replace(NOTHING, waiting=both)) == ["alarm", "alarm"]
    assert played.round(4, replace(NOTHING, suspects=(suspect(*both),))) == ["changed"]
    assert len(played.alarms.open) == 1


def test_an_incident_that_was_told_and_goes_on_is_no_new_one() -> None:
    played = Played()
    played.round(4, replace(NOTHING, suspects=(suspect(asked(1)),)))
    played.round(30, replace(NOTHING, suspects=(suspect(asked(1)),)))
    # The window has moved: its first request is not in it any more, and so its name is another.
    on = replace(suspect(asked(1), asked(9, at=40), name="aaaa", until=41), incident="bbbb")
    assert played.round(41, replace(NOTHING, suspects=(on,))) == []
    assert played.alarms.continued == 1
    another = suspect(asked(7, at=50), name="cccc", until=51)
    assert played.round(52, replace(NOTHING, suspects=(another,))) == ["alarm"]


def test_there_are_never_too_many() -> None:
    played = Played()
    many = tuple(asked(n) for n in range(MOST + 20))
    played.round(9, replace(NOTHING, waiting=many))
    assert len(played.alarms.open) == MOST
    assert played.alarms.left_out == 20


def test_all_end_when_nothing_more_will_come() -> None:
    played = Played()
    told = replace(NOTHING, waiting=(asked(2),), suspects=(suspect(asked(1)),))
    played.round(4, told)
    assert sorted(str(e.what) for e in played.alarms.finish()) == ["settled", "withdrawn"]
    assert played.alarms.open == []


def test_two_sightings_are_one_request() -> None:
    one = asked(1)
    assert one.is_same(replace(one, time=one.time + 1_000_000, server="172.17.0.2:3000"))
    assert not one.is_same(replace(one, time=one.time + SECOND))
    assert not one.is_same(replace(one, client="10.0.0.1:40001"))
