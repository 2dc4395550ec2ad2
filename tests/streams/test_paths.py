"""Ordinary exchanges read at once, block sizes, shares: the tables stay the same."""

from pathlib import Path

import pytest

from analyzer import compiled, pipeline
from analyzer.errors import InputError
from analyzer.extraction import Recorder
from analyzer.tables import ConnectionFlag, Flag
from tests.builder import CLIENT, Conversation, as_json, in_time, pcap, request, response
from tests.recordings import Recording, plain, recordings
from tests.tools import Row, connections_of, extracted, rows_of

KINDS = [r for r in recordings() if r.vantage == "container"]
CLIENTS = [r for r in recordings() if r.vantage.startswith("client")]
ONE_STEP = [r for r in recordings() if r.vantage != "host-any" and r not in CLIENTS] + CLIENTS[::4]


def tables(
    path: Path, *, block: int = 1 << 24, parts: int = 1
) -> tuple[list[Row], list[Row], dict[str, int]]:
    """Exchanges, connections and anomalies."""
    found = extracted(path, block=block, parts=parts)
    return rows_of(found), connections_of(found), dict(found.extraction.anomalies)


def without_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave everything to the general path, as where the kernels could not be built."""
    monkeypatch.setattr(compiled, "kernels", None)


@pytest.mark.parametrize("recording", ONE_STEP, ids=str)
def test_one_step_and_state_machine_agree(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client's own capture has messages that another one of its scenario has too: of those every
    fourth is taken. `test_same_bytes.py` also scans one of every scenario without kernels.
    """
    in_one_step = tables(recording.path)
    without_fast_path(monkeypatch)
    assert tables(recording.path) == in_one_step


def ordinary_traffic() -> bytes:
    talks = []
    for number in range(12):
        talk = Conversation(("10.0.0.1", 40_000 + number), isns=(number, 2**32 - 300 * number))
        talk.open()
        for item in range(8):
            body = as_json({"id": item, "name": "n" * item})
            asked = request(f"/items/{item}?n={number}", "POST" if item % 3 else "GET", body=body)
            talk.send(CLIENT, asked)
            talk.answer(response(body, 200 + item % 2, fields=f"X-N: {item}\r\n"))
        talks.append(talk.close().frames)
    return pcap(in_time(*talks))


def test_the_fast_path_takes_ordinary_traffic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(ordinary_traffic())
    taken = []
    take = Recorder.take_ordinary

    def counted(self: Recorder, connection: int, row: int, count: int) -> None:
        taken.append(count)
        take(self, connection, row, count)

    monkeypatch.setattr(Recorder, "take_ordinary", counted)
    in_one_step = tables(path)
    assert sum(taken) > 0.8 * 12 * 8
    without_fast_path(monkeypatch)
    assert tables(path) == in_one_step
    assert len(in_one_step[0]) == 96


@pytest.mark.parametrize("recording", KINDS, ids=str)
def test_block_sizes_and_shares_of_the_connections_agree(recording: Recording) -> None:
    whole = tables(recording.path)
    # The recordings are small: 4 KiB cuts them where 64 KiB cuts a long one.
    size = len(plain(recording.path))
    for block in (4_096, 65_536, 1 << 20):
        if block < size:
            assert tables(recording.path, block=block) == whole, block
    for parts in (2, 3):
        assert tables(recording.path, parts=parts) == whole, parts


def test_several_processes_agree(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(ordinary_traffic())
    one, captures, _ = pipeline.extract([str(path)])
    two, same, _ = pipeline.extract([str(path)], jobs=2)
    assert captures == same
    assert sorted(one.begun) == sorted(two.begun)
    assert one.exchanges.length == two.exchanges.length == 96


@pytest.mark.parametrize("jobs", [1, 2])
def test_several_processes_complain_like_one(tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(b"no capture")
    with pytest.raises(InputError, match="not a pcap or pcapng capture"):
        pipeline.extract([str(path)], jobs=jobs)


def test_bytes_behind_a_response_are_counted_on_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Conversation().open()
    for target in ("/a", "/b", "/c"):
        extra = b"No Content" if target == "/b" else b""
        one.ask(request(target)).answer(response(b"", 204, fields="") + extra)
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(one.close().frames))
    found = tables(path)
    assert [row["response_extra"] for row in found[0]] == [0, 10, 0]
    assert [Flag(row["flags"]) for row in found[0]] == [0, Flag.EXTRA_BYTES, Flag.AFTER_EXTRA]
    assert found[1][0]["flags"] & ConnectionFlag.EXTRA_BYTES
    assert tables(path, parts=2) == found
    without_fast_path(monkeypatch)
    assert tables(path) == found


def test_a_short_body_keeps_the_length_that_was_announced(tmp_path: Path) -> None:
    one = Conversation().open()
    one.ask(request("/a")).answer(response(b'{"a": 1}', length=50))
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(one.close().frames))
    (row,) = tables(path)[0]
    assert (row["response_length"], row["response_announced"]) == (8, 50)
    assert row["flags"] == Flag.BODY_WHOLE
