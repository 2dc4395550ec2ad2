"""A watch from the inside: when the clock is set, and when there is too much evidence."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.watch import watching
from analyzer.watch.recorder import Recorder
from analyzer.watch.ring import Bounds, Ring
from analyzer.watch.watching import Settings, Watch
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
