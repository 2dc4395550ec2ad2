"""Commands to paste: a shell reads them as they are meant, and a terminal acts on nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.report.paste import LONGEST, Commands, quoted
from tests.recordings import recording

NAMES = [
    "plain.pcap",
    "two words.pcap",
    "it's.pcap",
    "$(reboot).pcap",
    "a\x1b[31m\\x41'b\n.pcap",
    "\u202eltr\u200b.pcap",
    "caf\xe9.pcap",
    os.fsdecode(b"one\xff1.pcap"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_shell_reads_the_name_that_was_meant(name: str) -> None:
    command = f"printf %s {quoted(name)}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stdout == os.fsencode(name)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u202e\udc80-\udcff]", command)


def test_the_command_has_all_that_the_scan_was_given() -> None:
    commands = Commands("prog", ["a b.pcap", "-x.pcap"], ["odd=5"])
    assert commands.explain("48f8") == (
        "prog explain 'a b.pcap' ./-x.pcap --limit odd=5 --finding 48f8"
    )
    assert Commands("prog", ["-"]).explain("48f8") == "prog explain - --finding 48f8 < CAPTURE"


def test_very_many_captures_are_not_listed() -> None:
    many = [f"trace.pcap{number}" for number in range(LONGEST)]
    assert Commands("prog", many).explain("48f8") == "prog explain CAPTURE... --finding 48f8"


def test_an_interpreter_is_not_taken_for_another_one_of_its_name(tmp_path: Path) -> None:
    """One that is found by its name and lacks the program is not what is to be typed."""
    (tmp_path / Path(sys.executable).name).symlink_to(Path(sys.executable).resolve())
    capture = recording("story-node12", "bridge")
    for folder, name in (
        (str(tmp_path), sys.executable),
        (str(Path(sys.executable).parent), Path(sys.executable).name),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "analyzer", "scan", capture],
            env={**os.environ, "PATH": folder}, capture_output=True, check=False,
        )  # fmt: skip
        assert f"\n  {name} -m analyzer explain " in done.stdout.decode()


@pytest.mark.parametrize("program", [["wrangler-forensics"], [sys.executable, "-m", "analyzer"]])
def test_what_a_scan_shows_can_be_pasted(program: list[str], tmp_path: Path) -> None:
    there = str(Path(sys.executable).parent)
    if len(program) == 1:
        program = [f"{there}/{program[0]}"]
    capture = tmp_path / "my $captures' of\x1b[31m today.pcap"
    capture.write_bytes(recording("story-node12", "bridge").read_bytes())
    done = subprocess.run([*program, "scan", capture], capture_output=True, check=False)
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.decode().splitlines() if " explain " in line)
    assert ("-m analyzer" in line) == (len(program) > 1)
    pasted = subprocess.run(["bash", "-c", line], capture_output=True, check=False)
    assert pasted.returncode == 1, pasted.stderr
    assert pasted.stdout.startswith(b"Incident ")
