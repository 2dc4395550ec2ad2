"""`python -m tests.fuzz [TARGET...] --seconds N [--jobs N]`: drive the targets with atheris.

Every target runs in processes of its own (libFuzzer ends them) for its share of the time, beginning
with the seeds and the kept corpus; as many targets at once as there are processors. The analyzer is
instrumented once, which takes longer than a target's share, and the processes are forked then. What
they find to be worth keeping goes to `--folder`, and with `--keep` into the corpus; what breaks
something is written to `tests/fuzz/regressions/TARGET-*`.
Exit status: 0 when nothing broke, 1 when something did.
"""

import argparse
import ctypes
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

HERE = Path(__file__).parent
REGRESSIONS = HERE / "regressions"
LONGEST = {"streams": 600, "reports": 600}  # bytes of an input; else:
_LONGEST = 1_500
_SECONDS_EACH = 20  # an input that takes longer is a finding
_MEMORY = 1_500  # MB
# A process is ended after that long: atheris' instrumentation keeps some KB of every input.
_ROUND = 100  # seconds

Target = Callable[[bytes], None]


class Run(NamedTuple):
    """A target that is being fuzzed by a process, and what that says."""

    name: str
    seconds: int
    said: BinaryIO


def _start(name: str, target: Target, seconds: int, folder: Path) -> tuple[int, Run]:
    """Fuzz one target in a process of its own, whose number is returned."""
    import atheris

    from tests.fuzz.corpus import kept
    from tests.fuzz.seeds import seeds

    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    for known, data in kept(name).items():
        (corpus / known).write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST.get(name, _LONGEST)}",
        f"-timeout={_SECONDS_EACH}",
        f"-rss_limit_mb={_MEMORY}",
        f"-artifact_prefix={REGRESSIONS}/{name}-",
        "-print_final_stats=1",
        "-verbosity=0",
        str(corpus),
    ]
    said = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the process has ended
    sys.stdout.flush()
    number = os.fork()
    if number:
        return number, Run(name, seconds, said)
    try:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        atheris.Setup([f"fuzz-{name}", *options], target)
        atheris.Fuzz()
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not os._exit: libFuzzer writes the input that broke something when the process exits. Nor
    # sys.exit, which would go through what the parent has open.
    ctypes.CDLL(None).exit(1)
    raise AssertionError("exit does not return")


def _told(run: Run, code: int) -> bool:
    """Tell what became of a target; whether nothing broke."""
    with run.said as file:
        file.seek(0)
        said = file.read().decode("utf-8", "replace")
    stats = dict(
        line.removeprefix("stat::").replace(" ", "").split(":")
        for line in said.splitlines()
        if line.startswith("stat::")
    )
    print(
        f"{time.strftime('%H:%M:%S')} {run.name}: {stats.get('number_of_executed_units', '?')} "
        f"inputs in {run.seconds} s, {stats.get('new_units_added', '?')} new, peak "
        f"{stats.get('peak_rss_mb', '?')} MB, {'ok' if code == 0 else 'BROKEN'}",
        flush=True,
    )
    if code:
        print(said[-6_000:], flush=True)
    return code == 0


def _fuzz(targets: dict[str, Target], jobs: int, seconds: int, folder: Path) -> int:
    """Fuzz the targets, so many at once and each for so long, and return how many broke."""
    REGRESSIONS.mkdir(exist_ok=True)
    waiting, failed = list(targets), 0
    running: dict[int, Run] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            name = waiting.pop(0)
            number, run = _start(name, targets[name], seconds, folder)
            running[number] = run
        number, status = os.wait()
        failed += not _told(running.pop(number), os.waitstatus_to_exitcode(status))
    return failed


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=int, default=90, help="shared by the targets")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at once")
    parser.add_argument("--folder", type=Path, help="where inputs worth keeping are kept")
    parser.add_argument("--keep", action="store_true", help="put what is in the folder by then "
                        "into the kept corpus")  # fmt: skip
    given = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=["analyzer"], enable_loader_override=False):
        from tests.fuzz.targets import TARGETS

    targets = {name: TARGETS[name] for name in given.targets or TARGETS}
    with tempfile.TemporaryDirectory() as spare:
        folder = given.folder or Path(spare)
        share = given.seconds // len(targets)
        rounds = -(-share // _ROUND)
        # All are run, whatever breaks; a target's rounds one after the other.
        failed = sum(
            _fuzz(targets, max(1, given.jobs), share // rounds, folder) for _ in range(rounds)
        )
        if given.keep:
            from tests.fuzz.corpus import keep

            for name in targets:
                inputs = [path.read_bytes() for path in sorted((folder / name).iterdir())]
                print(f"{name}: {keep(name, inputs)} inputs kept", flush=True)
        return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
