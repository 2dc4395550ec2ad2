"""`python -m tests.fuzz [TARGET...] --seconds N [--jobs N]`: drive the targets with atheris.

Every target runs in processes of its own (libFuzzer ends them) for its share of the time, beginning
with the seeds and the kept corpus; as many targets at once as there are processors. What it finds
to be worth keeping goes to `--folder`, and with `--keep` into the corpus; what breaks something is
written to `tests/fuzz/regressions/TARGET-*`.
Exit status: 0 when nothing broke, 1 when something did.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
REGRESSIONS = HERE / "regressions"
LONGEST = {"streams": 600, "reports": 600}  # bytes of an input; else:
_LONGEST = 1_500
_SECONDS_EACH = 20  # an input that takes longer is a finding
_MEMORY = 1_500  # MB
# A process is ended after that long: atheris' instrumentation keeps some KB of every input.
_ROUND = 100  # seconds


def _fuzz_here(name: str, options: list[str]) -> None:
    """Fuzz one target in this process; does not return."""
    import atheris

    with atheris.instrument_imports(include=["analyzer"], enable_loader_override=False):
        from tests.fuzz import targets
    atheris.Setup([f"fuzz-{name}", *options], targets.TARGETS[name])
    atheris.Fuzz()


def _run(name: str, seconds: int, folder: Path) -> bool:
    """Fuzz one target in a process of its own; whether nothing broke."""
    from tests.fuzz.corpus import kept
    from tests.fuzz.seeds import seeds

    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    for known, data in kept(name).items():
        (corpus / known).write_bytes(data)
    REGRESSIONS.mkdir(exist_ok=True)
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
    command = [sys.executable, "-m", "tests.fuzz", "--here", name, "--", *options]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    stats = dict(
        line.removeprefix("stat::").replace(" ", "").split(":")
        for line in done.stderr.splitlines()
        if line.startswith("stat::")
    )
    print(
        f"{time.strftime('%H:%M:%S')} {name}: {stats.get('number_of_executed_units', '?')} inputs "
        f"in {seconds} s, {stats.get('new_units_added', '?')} new, peak "
        f"{stats.get('peak_rss_mb', '?')} MB, {'ok' if done.returncode == 0 else 'BROKEN'}",
        flush=True,
    )
    if done.returncode:
        print(done.stdout[-3_000:], done.stderr[-3_000:], sep="\n", flush=True)
    return done.returncode == 0


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=int, default=90, help="shared by the targets")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at once")
    parser.add_argument("--folder", type=Path, help="where inputs worth keeping are kept")
    parser.add_argument("--keep", action="store_true", help="put what is in the folder by then "
                        "into the kept corpus")  # fmt: skip
    parser.add_argument("--here", help=argparse.SUPPRESS)
    if "--here" in sys.argv:
        _fuzz_here(sys.argv[2], sys.argv[4:])
    from tests.fuzz.targets import TARGETS

    given = parser.parse_args()
    names = given.targets or list(TARGETS)
    with tempfile.TemporaryDirectory() as spare:
        folder = given.folder or Path(spare)
        share = given.seconds // len(names)
        rounds = -(-share // _ROUND)
        # All are run, whatever breaks; a target's rounds one after the other.
        failed = 0
        with ThreadPoolExecutor(max(1, given.jobs)) as pool:
            for _ in range(rounds):
                ran = pool.map(partial(_run, seconds=share // rounds, folder=folder), names)
                failed += list(ran).count(False)
        if given.keep:
            from tests.fuzz.corpus import keep

            for name in names:
                inputs = [path.read_bytes() for path in sorted((folder / name).iterdir())]
                print(f"{name}: {keep(name, inputs)} inputs kept", flush=True)
        return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
