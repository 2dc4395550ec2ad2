"""A watch from the inside: when the clock is set, and when there is too much evidence."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.watch import watching, windows
from analyzer.watch.recorder import Recorder
from analyzer.watch.ring import Bounds, Ring
from analyzer.watch.watching import Settings, Watch
from analyzer.watch.worker import Failed, Judge
from tests.watch.test_alarms import NOTHING, SECOND, START, asked, suspect
from tests.watch.test_ring import piece

HOUR = 3_600.0


class Quiet(Recorder):
    """A recorder that records nothing."""

    def begin(self) -> None:
        self.ended.clear()

    def stop(self, patience: float = 5.0) -> None:
        self.ring.close()


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setattr(watching, "Recorder", Quiet)
    monkeypatch.setattr("analyzer.watch.recorder.found", lambda named: (None, ""))
    monkeypatch.setattr(Quiet, "__init__", _made)
    said: list[str] = []
    bounds = Bounds(8 << 20, HOUR)
    one = Watch(Settings(str(tmp_path / "kept"), bounds=bounds, sockets=False), said.append)
    one.said = said  # type: ignore[attr-defined]
    one.store.claim()
    monkeypatch.setattr(Watch, "_source", lambda self: "nothing")
    one._begin()
    yield one
    one.store.release()


def _made(self: Quiet, _i: str, _e: str, _n: str | None, ring: Ring, losses: object,
          say: object) -> None:  # fmt: skip
    super(Recorder, self).__init__(ring, losses, say)  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_what_came_before_is_not_judged_with_what_comes(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    assert isinstance(watch.ring, Ring)
    watch.ring.write(piece(1))
    now = time.time_ns()
    waiting = replace(asked(1), time=now - 10 * 10**9)
    watch._tell(watch.alarms.take(replace(NOTHING, waiting=(waiting,)), (), now))
    assert len(watch.alarms.open) == 1
    watch._see_to_clock()
    assert len(watch._paths()) == 1  # no step, nothing happens
    own, own_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: own() + step)
    monkeypatch.setattr(time, "time_ns", lambda: own_ns() + int(step * 1e9))
    watch._see_to_clock()
    assert watch.alarms.open == []
    assert watch._paths() == []
    watch.ring.write(piece(2))
    assert len(watch._paths()) == 1
    watch._see_to_clock()  # it has been seen
    assert len(watch._paths()) == 1
    assert watch.losses.between(time.time_ns(), time.time_ns()) is not None
    told = " ".join(watch.said)  # type: ignore[attr-defined]
    assert told.count("the clock was set") == 2
    assert "withdrawn: undecided: the clock was set" in told
    assert len(watch.ring.files()) == 2  # and nothing was deleted


def test_no_file_is_left_out_between_two_rounds(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(watch.ring, Ring)
    given: list[list[int]] = []

    def take(task: Judge) -> None:
        watch._through, watch._round = watch._covers
        given.append([int(Path(one).name.split("-")[1]) for one in task.paths])

    monkeypatch.setattr(watch.worker, "give", take)
    monkeypatch.setattr(watching, "OVERLAP", 0.0)
    watch.window.bytes, watch.window.time = 1, 0.0  # so small that it holds one file

    def pass_by(files: int) -> None:
        for _ in range(files):
            watch.ring.write(piece(1))  # type: ignore[union-attr]
            watch.ring.close()  # type: ignore[union-attr]
            time.sleep(0.002)

    pass_by(2)
    watch._give_round()
    monkeypatch.setattr(windows, "HELD", 1 << 40)
    monkeypatch.setattr(windows, "BEFORE", 0.003)
    pass_by(5)
    watch._give_round()
    assert given[0] == [2]
    assert given[1] == list(range(given[1][0], 8)) and given[1][0] in (2, 3)
    assert watch.counts.skipped == max(0, given[1][0] - 2)
    monkeypatch.setattr(windows, "HELD", 0)
    pass_by(3)
    watch._give_round()
    assert given[2] == [10]
    assert watch.counts.skipped >= 3
    assert "never judged" in watch.said[-1]  # type: ignore[attr-defined]


def test_what_a_round_failed_at_is_in_the_next_one(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(watch.ring, Ring)
    answers: list[object] = [Failed("killed", gone=True), replace(NOTHING, last=1), None]
    monkeypatch.setattr(watch.worker, "give", lambda task: None)
    monkeypatch.setattr(watch.worker, "answer", lambda: answers.pop(0))
    monkeypatch.setattr(watch.worker, "_task", Judge(()))
    covered = []
    for _ in range(2):
        watch.ring.write(piece(1))
        watch.ring.close()
        watch._give_round()
        watch._take_answer()
        covered.append(watch._through)
    assert covered == [-1, 2]


def test_evidence_goes_back_to_before_the_incident_however_late_it_is(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(watch.ring, Ring)
    watch.window.bytes, watch.window.time = 1, 0.0
    monkeypatch.setattr(windows, "BEFORE", 0.0)
    monkeypatch.setattr(windows, "HELD", 1 << 40)
    watch.ring.write(piece(1))
    began = time.time_ns()
    for number in (2, 3):
        time.sleep(0.05)
        watch.ring.close()
        watch.ring.write(piece(number))
    # The last round was long ago: it knows the wire up to before the incident.
    watch._known = began - 60 * 10**9, 0
    (event,) = watch.alarms.glance(replace(NOTHING, waiting=(replace(asked(1), time=began),)),
                                   began + 10**10)  # fmt: skip
    assert len(watch._paths_for(event.alarm)) == 3
    assert len(watch._chosen()) == 3


def test_evidence_is_bounded_and_a_line_is_written_all_the_same(watch: Watch) -> None:
    assert isinstance(watch.ring, Ring)
    watch.ring.write(piece(1))
    with (watch.store.incidents / "incident-00000000.pcapng").open("wb") as big:
        big.truncate(9 << 20)
    told = replace(NOTHING, suspects=(suspect(asked(1)),))
    watch._tell(watch.alarms.take(told, (), START + 4 * SECOND))
    watch._tell(watch.alarms.take(told, (), START + 60 * SECOND))
    watch._give_task()
    assert not watch.worker.busy
    (line,) = watch.store.told()
    assert (line["verdict"], line["evidence"]) == ("finding", None)
    assert "--keep-size" in line["without_evidence"]
