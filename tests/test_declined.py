"""A scan says how much it had to read exchange by exchange, and why."""

from pathlib import Path
from typing import Any

import pytest

from analyzer import compiled, pipeline
from analyzer.declined import Declined
from analyzer.report.result import as_dict
from tests.builder import SERVER, Conversation, as_json, pcap, request, response

needs_kernels = pytest.mark.skipif(compiled.kernels is None, reason="no kernels")


def reading(tmp_path: Path, talk: Conversation) -> Any:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(talk.close().frames))
    return as_dict(pipeline.scan([str(path)]))["reading"]


def plain() -> Conversation:
    talk = Conversation().open()
    for number in range(3):
        talk.ask(request(f"/a/{number}")).answer(response(as_json({"id": number})))
    return talk


@needs_kernels
def test_of_plain_traffic_nothing_is_declined(tmp_path: Path) -> None:
    told = {"kernels": True, "exchanges": 3, "singly": 0, "declined": {}}
    assert reading(tmp_path, plain()) == told


@needs_kernels
@pytest.mark.parametrize(
    ("asked", "answered", "reason"),
    [
        (request("/b", fields="Expect: 100-continue\r\n"), response(b"{}"), "request-head"),
        (request("/b"), response(b"{}", fields="Content-Length: 2\r\n"), "response-head"),
        (request("/b"), response(b"{}") + b"and more", "length"),
        (request("/b"), response(b'{"a": tru}'), "body"),
    ],
)
def test_what_is_declined_is_told_with_its_reason(
    tmp_path: Path, asked: bytes, answered: bytes, reason: str
) -> None:
    found = reading(tmp_path, plain().ask(asked).answer(answered))
    assert found["declined"] == {reason: 1}
    assert found["singly"] == (0 if reason == "body" else 1)


@needs_kernels
def test_segments_that_leave_doubt(tmp_path: Path) -> None:
    talk = plain().ask(request("/b"))
    talk.send(SERVER, response(b"{}"), captured=False)
    talk.ask(request("/c")).answer(response(b"{}"))
    assert reading(tmp_path, talk)["declined"]["segments"] >= 1


def test_without_kernels_all_is_read_singly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "kernels", None)
    told = {"kernels": False, "exchanges": 3, "singly": 3, "declined": {"kernels": 3}}
    assert reading(tmp_path, plain()) == told


def test_what_several_processes_declined_is_added_up() -> None:
    one, two = Declined(taken=3), Declined(taken=4)
    one.count("length", 1)
    two.count("length", 2)
    one.add(two)
    assert one.of(12, compiled=True) == {"segments": 2, "length": 3}
