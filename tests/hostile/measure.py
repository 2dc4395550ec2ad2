"""Scans a hostile capture in a process of its own and measures that."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.hostile.cases import Case, witness

MOST_MEMORY = 1_024  # MB, whatever the capture has in it
SECONDS_EACH_MB = 10.0
WITNESSED = ["misdelivered", "unanswered"]


class Found(NamedTuple):
    """What came of a capture: sizes in bytes, the peak in MB, names of anomalies and limits."""

    size: int
    seconds: float
    peak: int
    status: int
    told: tuple[str, ...]
    kinds: tuple[str, ...]
    complaint: str


def measured(case: Case, size: int) -> Found:
    """Make the capture and scan it; what is larger than 100 MB comes through standard input."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "c", Path(folder) / "r.json"
        if case.name == "huge connection":
            return _scanned(case.made(size), "-", out)
        with path.open("wb") as file:
            for piece in case.made(size):
                file.write(piece)
        return _scanned(None, str(path), out)


def _scanned(pieces: Any, path: str, out: Path) -> Found:
    status_file = out.with_suffix(".status")
    code = (
        "import atexit, shutil; from analyzer.cli import main\n"
        f"atexit.register(shutil.copyfile, {_STATUS!r}, {str(status_file)!r}); main()"
    )
    command = [sys.executable, "-c", code, "scan", path, "--json", str(out)]
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--jobs", "1"], stdin=subprocess.PIPE if pieces else None,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    total = 0
    if pieces is not None:
        assert process.stdin is not None
        for piece in pieces:
            process.stdin.write(piece)
            total += len(piece)
        process.stdin.close()
    else:
        total = Path(path).stat().st_size
    assert process.stderr is not None
    complaint = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    report = json.loads(out.read_bytes()) if out.exists() else {}
    told = {**report.get("anomalies", {})}
    for capture in report.get("captures", ()):
        told.update(capture["anomalies"])
        told.update({name: n for name, n in capture["frames_by"].items() if name != "analysed"})
    limits = [f"limit `{one['name']}`" for one in report.get("limits", ())]
    seconds = usage.ru_utime + usage.ru_stime if pieces is None else time.perf_counter() - begun
    return Found(
        total,
        seconds,
        _peak(status_file),
        process.returncode,
        (*(f"{count:,} `{name}`" for name, count in sorted(told.items())), *limits),
        tuple(sorted(f["kind"] for f in report.get("findings", ()) if _is_witness(f))),
        complaint,
    )


def _peak(status: Path) -> int:
    """The peak of a process's memory in MB, as it saw it at its end (the kernel's own count of it
    begins with what the parent had).
    """
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) // 1_024 for line in lines if line.startswith("VmHWM")), -1)


_STATUS = "/proc/self/status"
_PLACES = {
    f"{one[12 + 4 * n]}.{one[13 + 4 * n]}.{one[14 + 4 * n]}.{one[15 + 4 * n]}"
    for one in (frame.packet for frame in witness())
    for n in (0, 1)
}


def _is_witness(finding: dict[str, Any]) -> bool:
    return finding["request"] is not None and finding["request"]["server"].split(":")[0] in _PLACES


def problems(case: Case, found: Found) -> list[str]:
    """The promises that were broken."""
    broken = []
    if found.status not in (0, 1) or found.complaint:
        broken.append(f"status {found.status}: {found.complaint[-1_000:]}")
    if found.peak > MOST_MEMORY:
        broken.append(f"{found.peak} MB")
    if found.seconds > SECONDS_EACH_MB * max(1.0, found.size / 1e6):
        broken.append(f"{found.seconds:.1f} s")
    told = " ".join(found.told)
    broken += [f"{name} is not told" for name in case.anomalies if f"`{name}`" not in told]
    if case.witness and list(found.kinds) != WITNESSED:
        broken.append(f"the witness's findings are {found.kinds}")
    return broken
