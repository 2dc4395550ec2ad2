"""The reference and the man page say what the commands' help says, and man can show it."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import analyzer
from analyzer import compiled
from analyzer.cli import main
from tests import reference


@pytest.mark.parametrize(
    ("path", "made"),
    [(reference.REFERENCE, reference.markdown), (reference.MANUAL, reference.manual)],
    ids=["reference", "manual"],
)
def test_it_is_what_the_commands_say(path: Path, made: Callable[[], str]) -> None:
    assert path.read_text() == made(), "run: python -m tests.reference"


def test_every_command_and_option_is_in_both() -> None:
    text, manual = reference.REFERENCE.read_text(), reference.MANUAL.read_text()
    for name, command in main.commands.items():
        assert f"## wrangler-forensics {name}\n" in text
        assert f'.SH "{name.upper()}"\n' in manual
        for parameter in command.params:
            for option in (o for o in parameter.opts if o.startswith("--")):
                assert f"`{option}" in text or f", {option}" in text
                assert option.replace("-", "\\-") in manual


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_nothing_to_complain_of() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=100n", "-P-cbou", reference.MANUAL],
        capture_output=True,
        check=True,
    )
    assert not done.stderr
    assert b"--evidence DIR" in done.stdout


def test_the_version_is_in_one_place() -> None:
    project = tomllib.loads((reference.DOCS.parent / "pyproject.toml").read_text())["project"]
    assert analyzer.__version__ == project["version"]
    program = Path(sys.executable).parent / "wrangler-forensics"
    said = subprocess.run([program, "--version"], capture_output=True, check=True).stdout.decode()
    assert said.startswith(f"wrangler-forensics {project['version']} (")
    assert ("no compiled kernels" in said) == (compiled.kernels is None)
