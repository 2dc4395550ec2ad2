"""The README's two commands are there, and CI runs the second word for word."""

import re
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


def test_ci_runs_the_second_command_from_the_readme() -> None:
    assert command("tests").endswith("-m pytest")
    assert "<!-- tests -->" in (HERE / ".ci" / "run").read_text()
    assert "eval " in (HERE / ".ci" / "run").read_text()


def test_every_option_of_scan_is_in_the_readme() -> None:
    from analyzer.cli import scan

    for parameter in scan.params:
        for name in parameter.opts:
            if name.startswith("--"):
                assert f"`{name}" in README, name


def test_the_architecture_page_names_what_is_there() -> None:
    named = re.findall(r"`(analyzer/[\w/.]+)`", README.partition("## Architecture")[2])
    assert named
    for path in named:
        assert (HERE / path).exists(), path
