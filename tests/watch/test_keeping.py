"""What a watch keeps and runs beside itself: a folder, a judging process, a user's command."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analyzer.cli import main
from analyzer.errors import InputError
from analyzer.watch import hooks as hooking
from analyzer.watch import judging, windows
from analyzer.watch import settings as typed
from analyzer.watch import worker as working
from analyzer.watch.alarms import Alarms, Learned
from analyzer.watch.hooks import Hooks
from analyzer.watch.judging import Kept as Evidence
from analyzer.watch.judging import Round
from analyzer.watch.ring import Bounds, Kept, Loss, Losses
from analyzer.watch.store import State, Store
from analyzer.watch.windows import ForeignRing, Window, to_learn
from analyzer.watch.worker import Failed, Glance, Judge, Keep, Learn, Worker
from tests.builder import in_time, pcap
from tests.findings.stable import epilogue, ordinary, swap
from tests.watch.test_recorder import until


def capture(folder: Path, name: str = "built.pcap") -> Path:
    path = folder / name
    path.write_bytes(pcap(in_time(ordinary(), *(one.frames for one in swap()), epilogue())))
    return path


# --- what was kept, scanned ---------------------------------------------------------------------


def test_scan_reads_what_a_watch_has_kept(tmp_path: Path) -> None:
    (tmp_path / "incidents").mkdir()
    with pytest.raises(InputError, match="kept no incident"):
        typed.kept(str(tmp_path))
    capture(tmp_path / "incidents", "incident-0123abcd.pcapng")
    found = CliRunner().invoke(main, ["scan", "--keep", str(tmp_path), "--json", "-"])
    report = json.loads(found.stdout)
    assert found.exit_code == 1
    assert [one["kind"] for one in report["findings"]] == ["unanswered", "misdelivered"]
    (tmp_path / "baseline.json").write_text("no baseline")
    refused = CliRunner().invoke(main, ["scan", "--keep", str(tmp_path)])
    assert refused.exit_code == 2
    assert "baseline.json" in refused.stderr


def test_scan_takes_captures_or_a_folder_of_a_watch(tmp_path: Path) -> None:
    for given in ([], ["--keep", str(tmp_path)], ["--keep", str(tmp_path), "x.pcap"]):
        found = CliRunner().invoke(main, ["scan", *given])
        assert (found.exit_code, found.stderr.count("\n")) == (2, 1)


# --- the judging process -----------------------------------------------------------------------


def answer(worker: Worker) -> object:
    found: list[object] = []

    def there() -> bool:
        told = worker.answer()
        found.extend([told] if told is not None else [])
        return bool(found)

    until(there, 60)
    return found[0]


def test_another_process_judges_and_keeps_and_may_be_killed(tmp_path: Path) -> None:
    path = capture(tmp_path)
    worker = Worker()
    try:
        worker.give(Judge((str(path),)))
        told = answer(worker)
        assert isinstance(told, Round)
        (suspect,) = told.suspects
        assert suspect.kind == "misdelivered"
        assert {one.target for one in suspect.asked} == {
            "/horses/417/vet-report", "/paddocks/12/occupancy",
        }  # fmt: skip
        assert told.waiting == ()  # its client has left
        assert told.longest["GET /horses/{id}/vet-report"][1] > 8
        worker.give(Glance((str(path),)))
        short = answer(worker)
        assert isinstance(short, Round)
        assert (short.longest, short.last, short.suspects) == (told.longest, told.last, ())
        first = worker.pid
        worker.give(Judge(("/nowhere.pcap",)))
        assert answer(worker) == Failed("/nowhere.pcap: no such file")
        assert worker.pid == first
        assert first is not None
        os.kill(first, signal.SIGKILL)
        worker.give(Judge((str(path),)))
        told = answer(worker)
        if isinstance(told, Failed):  # it was not known yet that it had ended
            assert told.gone
            worker.give(Judge((str(path),)))
            told = answer(worker)
        assert isinstance(told, Round)
        worker.give(Keep((str(path),), str(tmp_path / "kept"), (suspect.incident, "00000000")))
        told = answer(worker)
        assert isinstance(told, list)
        kept = told[0]
        assert isinstance(kept, Evidence) and len(told) == 1
        assert kept.found
        assert Path(kept.packets).is_file() and Path(kept.facts).is_file()
    finally:
        worker.end()
    assert worker.pid is None


def test_what_is_usual_is_learned_once_and_judged_by(tmp_path: Path) -> None:
    before, after = tmp_path / "before.pcap", tmp_path / "after.pcap"
    before.write_bytes(pcap(ordinary(40)))
    after.write_bytes(pcap(in_time(*(one.frames for one in swap()), epilogue())))
    baseline = str(tmp_path / "baseline.json")
    alone = judging.judge([str(after)], baseline=baseline)
    told = working.do(Learn((str(before),), baseline))
    assert told == judging.Learnt(80, 80)
    kinds = [
        [one.kind for one in found.suspects]
        for found in (alone, judging.judge([str(after)], baseline=baseline))
    ]
    # Nobody knows from the incident alone what the two endpoints are like.
    assert kinds == [["unanswered"], ["misdelivered"]]
    assert working.do(Learn((str(before),), baseline)) == judging.Learnt(80, 160)
    Path(baseline).write_text("{}")
    assert isinstance(working.do(Judge((str(after),), (), baseline)), Failed)


def test_what_has_left_the_window_is_learned_from() -> None:
    big = windows.BYTES // 4
    every = files(big, big, big, big, big, big, big)
    assert [one.number for one in to_learn(every, 6, -1)] == [0, 1, 2, 3]
    assert [one.number for one in to_learn(every, 6, 2)] == [3, 4, 5]
    assert to_learn(every, 6, 3) == []  # few, and new
    assert to_learn(every, 0, -1) == []
    old = files(5, 5, 5, apart=1_000.0)
    assert [one.number for one in to_learn(old, 2, -1)] == [0, 1]


def test_one_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "LONGEST", 0.0)
    worker = Worker()
    worker.give(Judge((str(capture(tmp_path)),)))
    pid = worker.pid
    told = answer(worker)
    assert isinstance(told, Failed) and told.gone
    assert "longer than" in told.why
    assert pid is not None and not Path(f"/proc/{pid}").exists()


# --- the folder --------------------------------------------------------------------------------


def test_a_folder_has_one_watch(tmp_path: Path) -> None:
    one, two = Store(str(tmp_path / "kept")), Store(str(tmp_path / "kept"))
    one.claim()
    with pytest.raises(InputError, match="another watch"):
        two.claim()
    one.release()
    two.claim()
    two.release()
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0


def test_the_state_comes_back_and_nonsense_is_moved_aside(tmp_path: Path) -> None:
    said: list[str] = []
    store = Store(str(tmp_path))
    alarms = Alarms(Learned({"GET /a": [5, 7]}), Losses([Loss(1, 2, "full", 3)]))
    alarms.reported = {"f1": "i1"}
    assert store.write(alarms, 12) == ""
    state = store.read(said.append)
    assert state.learned == alarms.learned
    assert (state.losses, state.reported, state.file) == (alarms.losses, alarms.reported, 12)
    assert abs(state.written - time.time_ns()) < 60 * 10**9
    assert said == []
    for nonsense in (b"", b"[]", b'{"version": 99}', b'{"version": 1}'):
        (tmp_path / "state.json").write_bytes(nonsense)
        assert store.read(said.append) == State()
        assert (tmp_path / "state.json.unread").read_bytes() == nonsense
    assert len(said) == 4


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert store.add({"incident": "one"}) == ""
    with store.lines.open("ab") as file:
        file.write(b'{"incident": "tw')
    assert store.add({"incident": "three", "text": "\x1b[2J\udcff"}) == ""
    assert [one["incident"] for one in store.told()] == ["one", "three"]
    assert b"\x1b" not in store.lines.read_bytes()


def test_a_folder_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file"):
        Store(str(tmp_path / "file" / "kept")).claim()


# --- the user's command ------------------------------------------------------------------------


def test_a_command_is_given_the_incident(tmp_path: Path) -> None:
    said: list[str] = []
    hooks = Hooks(f"cat >> {tmp_path}/told", said.append)
    hooks.run({"event": "alarm", "number": 1})
    hooks.run({"event": "settled", "number": 2})
    hooks.finish()
    text = (tmp_path / "told").read_text()
    parts = [json.loads(part + "}") for part in text.split("}") if part.strip()]
    assert [part["number"] for part in parts] == [1, 2]
    assert said == []


def test_one_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooking, "LONGEST", 0.3)
    said: list[str] = []
    hooks = Hooks(f"sleep 60 & echo $! > {tmp_path}/pid; wait", said.append)
    before = time.monotonic()
    hooks.run({"event": "alarm"})
    assert time.monotonic() - before < 0.25  # it is not waited for
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())

    def ended() -> bool:
        hooks.tick()
        return bool(said)

    until(ended)
    assert "took too long" in said[0]
    child = Path("/proc") / (tmp_path / "pid").read_text().strip()
    until(lambda: not child.exists() or "Z" in (child / "stat").read_text().split(")")[1][:3])


def test_failures_and_those_left_out_are_said() -> None:
    said: list[str] = []
    hooks = Hooks("exit 7", said.append)
    hooks.run({})
    hooks.finish()
    assert said == ["--on-alarm: it failed (status 7)"]
    hooks.command = "sleep 60"
    for _ in range(hooking.MOST + 3):
        hooks.run({})
    assert hooks.left_out == 2
    hooks.finish(0.0)
    assert "were left out" in said[-1]


# --- which files are judged --------------------------------------------------------------------


def files(*sizes: int, apart: float = 10.0) -> list[Kept]:
    now = time.monotonic()
    ends = [now - apart * back for back in range(len(sizes))][::-1]
    paths = [Path(f"{n}") for n in range(len(sizes))]
    return [
        Kept(path, n, end, end, size)
        for n, (path, end, size) in enumerate(zip(paths, ends, sizes, strict=True))
    ]


def chosen(window: Window, every: list[Kept], held: float | None = None) -> list[int]:
    return [one.number for one in window.choose(every, held)]


def test_a_window_is_bounded_in_time_and_in_bytes() -> None:
    every = files(5, 5, 5, 5, 5)
    assert chosen(Window(time=25), every) == [2, 3, 4]
    assert chosen(Window(bytes=12), every) == [3, 4]
    assert chosen(Window(bytes=1), every) == [4]  # the latest always
    assert chosen(Window(), []) == []


def test_an_alarm_holds_it_open_and_a_new_clock_begins_it_anew() -> None:
    every = files(5, 5, 5, 5, 5)
    assert chosen(Window(bytes=5, time=1), every, held=5) == [3, 4]
    assert chosen(Window(bytes=1, time=1), every, held=999) == [4]
    assert chosen(Window(bytes=2, time=1), every, held=999) == [2, 3, 4]
    assert chosen(Window(floor=3), every) == [3, 4]


def test_a_ring_of_somebody_elses_is_read_as_it_is(tmp_path: Path) -> None:
    ring = ForeignRing(tmp_path)
    for number, name in enumerate(("b.pcap", "a.pcap", "c.pcap.gz", "notes.txt")):
        path = tmp_path / name
        path.write_bytes(b"no capture" if name == "notes.txt" else pcap([]))
        os.utime(path, (1_000 + number, 1_000 + number))
    assert [one.path.name for one in ring.files()] == ["b.pcap", "a.pcap"]
    (tmp_path / "b.pcap").unlink()
    assert [one.path.name for one in ring.files()] == ["a.pcap"]
    with pytest.raises(InputError, match="no such directory"):
        ForeignRing(tmp_path / "none").check()


# --- options -----------------------------------------------------------------------------------

NONE: dict[str, Any] = {
    "source": None, "folder": "kept", "interface": None, "ring": None, "expression": "",
    "recorder": None, "keep_size": "2G", "keep_time": "3d", "pid": None, "container": None,
    "sockets": True, "on_alarm": None, "metrics": None,
}  # fmt: skip


def test_options_mean_what_they_say() -> None:
    found = typed.settings(
        **{**NONE, "keep_size": "1.5M", "keep_time": "36h"} | {"keep_size": "8M"}
    )
    assert found.bounds == Bounds(8 << 20, 36 * 3600.0)
    assert found.interface == "any"
    assert typed.amount("--x", "1.5k", {"K": 1024}) == 1536
    assert typed.place("9100") == ("127.0.0.1", 9100)
    assert typed.place("[::1]:9100") == ("::1", 9100)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"source": "x.pcap"}, "scan reads files"),
        ({"source": "-", "interface": "lo"}, "one place alone"),
        ({"ring": "a", "interface": "lo"}, "one place alone"),
        ({"source": "-", "expression": "tcp"}, "--filter is for capturing"),
        ({"ring": "a", "recorder": "dumpcap"}, "--recorder is for capturing"),
        ({"keep_size": "2X"}, "--keep-size 2X: not a number"),
        ({"keep_size": "0G"}, "not a number above 0"),
        ({"keep_size": "1M"}, "at least 4M"),
        ({"keep_time": "soon"}, "1h"),
        ({"pid": 1, "container": "abcdef"}, "one of them is enough"),
        ({"container": "name"}, "hexadecimal"),
        ({"sockets": False, "pid": 1}, "mean nothing"),
        ({"ring": "kept"}, "never written to"),
        ({"ring": "kept/ring"}, "never written to"),
        ({"metrics": "x"}, "not a port"),
        ({"metrics": "99999"}, "not a port"),
        ({"folder": ""}, "takes a folder"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        typed.settings(**{**NONE, **wrong})
