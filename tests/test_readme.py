"""The README's two commands are there, and CI runs the second word for word."""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[1]
README = (HERE / "README.md").read_text()


def command(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n```sh\n(.+)\n```", README)
    assert found is not None
    return found[1]


def test_the_first_command_scans_a_capture_that_ships() -> None:
    path = command("try").split()[-1]
    assert (HERE / path).is_file()
    assert "wrangler-forensics scan" in command("try")


def shown(marker: str) -> str:
    """What the README shows behind a marker, as it was pasted."""
    found = re.search(rf"<!-- {marker} -->\n```\n(.+?)\n```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_what_the_first_command_shows_is_what_it_prints() -> None:
    path = command("try").split()[-1]
    scan = [sys.executable, "-m", "analyzer", "scan", path]
    done = subprocess.run(
        scan, cwd=HERE, env={**os.environ, "COLUMNS": "80"}, capture_output=True, check=False
    )
    # The next command is by the name of the program, which the README calls by its path.
    called = re.sub(rb"\S+ -m analyzer", b".venv/bin/wrangler-forensics", done.stdout)
    assert called.decode().rstrip() == shown("told")
    brief = [sys.executable, "-m", "analyzer", "explain", path, "--brief"]
    done = subprocess.run(brief, cwd=HERE, capture_output=True, check=False)
    assert done.stdout.decode().rstrip() == shown("brief")


def test_the_shells_that_the_readme_names_complete() -> None:
    variable = "_WRANGLER_FORENSICS_COMPLETE"
    program = Path(sys.executable).parent / "wrangler-forensics"
    for shell in ("bash", "zsh", "fish"):
        assert f"{shell}_source" in README
        env = {**os.environ, variable: f"{shell}_source"}
        script = subprocess.run([program], env=env, capture_output=True, check=True).stdout
        assert variable.encode() in script


def test_ci_runs_the_second_command_from_the_readme() -> None:
    assert command("tests").endswith("-m pytest")
    assert "<!-- tests -->" in (HERE / ".ci" / "run").read_text()
    assert "eval " in (HERE / ".ci" / "run").read_text()


def test_every_option_is_in_the_readme() -> None:
    from analyzer.cli import explain, learn, review, scan

    for parameter in (*scan.params, *explain.params, *learn.params, *review.params):
        for name in parameter.opts:
            if name.startswith("--"):
                assert f"`{name}" in README, name


def test_the_architecture_page_names_what_is_there() -> None:
    named = re.findall(r"`(analyzer/[\w/.]+)`", README.partition("## Architecture")[2])
    assert named
    for path in named:
        assert (HERE / path).exists(), path
