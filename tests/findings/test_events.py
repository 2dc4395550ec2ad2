"""Event streams, lines and parts are bodies: what they repeat says whose they are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.findings.model import Finding, Kind
from tests.builder import (
    CLIENT,
    MILLISECOND,
    SECOND,
    START,
    as_json,
    in_time,
    request,
    response,
)
from tests.findings.stable import LATER, epilogue, talk
from tests.tools import scanned

NAMES = (
    "Bucephalus", "Marengo", "Copenhagen", "Incitatus", "Traveller", "Rocinante", "Seabiscuit",
    "Comanche", "Babieca", "Shadowfax", "Trigger", "Champion",
)  # fmt: skip


def call(name: str) -> bytes:
    """A JSON-RPC request, as the Model Context Protocol sends it; all with one id."""
    params = {"name": "horse", "arguments": {"name": name}}
    body = as_json({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
    return request("/mcp", "POST", body=body, fields="Content-Type: application/json\r\n")


def said(name: str) -> bytes:
    content = [{"type": "text", "text": f"{name} is fit to travel"}]
    return as_json({"jsonrpc": "2.0", "id": 7, "result": {"content": content}})


def typed(media_type: str) -> str:
    return f"Content-Type: {media_type}\r\n"


def as_event(name: str) -> bytes:
    stream = b": ping\r\n\r\nevent: message\r\ndata: " + said(name) + b"\r\n\r\n"
    return response(stream, fields=typed("text/event-stream"))


def as_events(name: str) -> bytes:
    progress = as_json({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"n": 1}})
    stream = b"data: " + progress + b"\n\nevent: message\ndata: " + said(name) + b"\n\n"
    return response(stream, fields=typed("text/event-stream; charset=utf-8"))


def as_lines(name: str) -> bytes:
    return response(b'{"queued":true}\n' + said(name) + b"\n", fields=typed("application/jsonl"))


def as_parts(name: str) -> bytes:
    part = b"--x\r\nContent-Type: application/json\r\n\r\n"
    body = part + b'{"count":1}\r\n' + part + said(name) + b"\r\n--x--\r\n"
    return response(body, fields=typed("multipart/mixed; boundary=x"))


def as_form(name: str) -> bytes:
    body = f"horse={name}&fit=yes&stalls=4".encode()
    return response(body, fields=typed("application/x-www-form-urlencoded"))


ANSWERS = [as_event, as_events, as_lines, as_parts, as_form]


def strayed(folder: Path, answer: Callable[[str], bytes], *parts: object) -> list[Finding]:
    """The misdelivered responses among ordinary ones and these conversations."""
    frames = []
    for number, name in enumerate(NAMES * 3):
        one = talk(100 + number, start=START + number * SECOND)
        frames.append(one.ask(call(name)).wait(MILLISECOND).answer(answer(name)).close().frames)
    frames += [one.frames for one in parts]  # type: ignore[attr-defined]
    report = scanned(folder, in_time(*frames, epilogue()))
    return [f for f in report.judgement.findings if f.kind is Kind.MISDELIVERED]


@pytest.mark.parametrize("answer", ANSWERS)
def test_two_that_are_crossed(tmp_path: Path, answer: Callable[[str], bytes]) -> None:
    one, two = talk(1), talk(2, start=LATER + 2 * MILLISECOND)
    one.ask(call("Bucephalus")).wait(80 * MILLISECOND).answer(answer("Marengo")).close()
    two.ask(call("Marengo")).wait(50 * MILLISECOND).answer(answer("Bucephalus")).close()
    found = strayed(tmp_path, answer, one, two)
    assert [f.owner.client.split(":")[0] for f in found if f.owner] == ["10.0.1.2", "10.0.1.1"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_two_that_ask_at_once_and_get_their_own(
    tmp_path: Path, answer: Callable[[str], bytes]
) -> None:
    one, two = talk(1), talk(2, start=LATER + 2 * MILLISECOND)
    one.ask(call("Bucephalus")).wait(80 * MILLISECOND).answer(answer("Bucephalus")).close()
    two.ask(call("Marengo")).wait(50 * MILLISECOND).answer(answer("Marengo")).close()
    assert strayed(tmp_path, answer, one, two) == []


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PING = b"8\r\n: ping\n\n\r\n"


@pytest.mark.parametrize("began", [HEAD, HEAD + PING], ids=["a head", "a head and a comment"])
def test_a_head_without_an_event_is_no_response_yet(tmp_path: Path, began: bytes) -> None:
    """The later call of the same id is given the earlier one's event."""
    one = talk(1).ask(call("Bucephalus")).wait(MILLISECOND).answer(began)
    one.wait(4 * SECOND).close()
    two = talk(2, start=LATER + 300 * MILLISECOND)
    two.ask(call("Marengo")).wait(MILLISECOND).answer(as_event("Bucephalus")).close()
    (finding,) = strayed(tmp_path, as_event, one, two)
    assert finding.owner is not None and finding.owner.client.startswith("10.0.1.1:")
    assert finding.request is not None and finding.request.client.startswith("10.0.1.2:")


def test_it_is_told_with_what_it_lacks(tmp_path: Path) -> None:
    one = talk(1).ask(call("Bucephalus")).wait(MILLISECOND).answer(HEAD).wait(4 * SECOND).close()
    two = talk(2, start=LATER + 300 * MILLISECOND)
    two.ask(call("Marengo")).wait(MILLISECOND).answer(as_event("Bucephalus")).close()
    frames = []
    for number, name in enumerate(NAMES * 3):
        usual = talk(100 + number, start=START + number * SECOND)
        frames.append(usual.ask(call(name)).answer(as_event(name)).close().frames)
    report = scanned(tmp_path, in_time(*frames, one.frames, two.frames, epilogue()))
    (finding,) = [f for f in report.judgement.findings if f.kind is Kind.INCOMPLETE]
    assert finding.cause is not None and finding.cause.startswith("server/")
    assert any("went out on another connection" in fact.fact for fact in finding.evidence)


def test_streams_that_are_left_without_an_event_are_nothing_odd(tmp_path: Path) -> None:
    """Clients listen for a while, and nothing happens."""
    listeners = []
    for number in range(1, 9):
        one = talk(number, start=LATER + number * SECOND)
        one.ask(request("/events")).answer(HEAD + PING * (number % 2)).wait(5 * SECOND)
        listeners.append(one.fin(CLIENT))
    assert strayed(tmp_path, as_event, *listeners) == []
