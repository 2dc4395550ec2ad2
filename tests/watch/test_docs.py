"""docs/watch.md and the unit say what there is."""

import shutil
import subprocess
from pathlib import Path

import pytest

from analyzer.sockets import Standing
from analyzer.watch.alarms import What
from analyzer.watch.store import Store

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "watch.md").read_text()
UNIT = DOCS / "wrangler-forensics-watch.service"


def test_every_option_is_there() -> None:
    from analyzer.cli import watch

    for parameter in watch.params:
        names = [name for name in parameter.opts if name.startswith("-")]
        assert not names or any(f"`{name}" in TEXT for name in names), names


def test_every_standing_and_event_is_there() -> None:
    for one in (*Standing, *What):
        assert f"`{one}`" in TEXT, one


def test_what_is_kept_is_there() -> None:
    store = Store("DIR")
    for path in (store.ring, store.incidents, store.lines, store.baseline):
        assert f"`{path.name}" in TEXT


def test_the_unit_starts_what_there_is() -> None:
    from analyzer.cli import watch

    options = {name for parameter in watch.params for name in parameter.opts}
    command = UNIT.read_text().partition("ExecStart=")[2].partition("\nRestart")[0]
    used = [word for word in command.replace("\\\n", " ").split() if word.startswith("-")]
    assert used
    assert set(used) <= options


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    there = tmp_path / UNIT.name
    text = UNIT.read_text()
    there.write_text(
        text.replace("/opt/wrangler-forensics/.venv/bin/wrangler-forensics", "/bin/true")
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", str(there)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
