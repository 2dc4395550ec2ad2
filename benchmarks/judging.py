"""How much of a scan is judging, where answers are never alike (see `flux`).

\b
python -m benchmarks.judging               50,000 and 200,000 exchanges
python -m benchmarks.judging CAPTURE...    captures that are there already
"""

from __future__ import annotations

import gc
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
from rich.console import Console
from rich.table import Table

from benchmarks import flux

AT_MOST = 0.1  # of a scan's processor time


@dataclass(frozen=True)
class Judged:
    """What a scan took: processor seconds of all of it, and of judging."""

    exchanges: int
    findings: int
    scan: float
    judging: float

    @property
    def share(self) -> float:
        """Of judging."""
        return self.judging / self.scan


def measure(path: str) -> Judged:
    """Scan a capture in this process, as the command does with `--jobs 1`."""
    from analyzer import judging, pipeline

    gc.disable()  # as the command does
    judge, took = judging.judge, [0.0]

    def timed(*given: Any) -> Any:
        begun = time.process_time()
        try:
            return judge(*given)
        finally:
            took[0] += time.process_time() - begun

    with patch.object(pipeline, "judge", timed):
        begun = time.process_time()
        judgement = pipeline.scan([path]).judgement
        scan = time.process_time() - begun
    return Judged(judgement.answered, len(judgement.findings), scan, took[0])


@click.command(help=__doc__)
@click.argument("captures", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@click.option("--exchanges", multiple=True, type=click.IntRange(1), help="Make so many.")
@click.option("--endpoints", default=60, show_default=True, type=click.IntRange(1, 600))
@click.option("--optional", default=24, show_default=True, help="Optional fields of an endpoint.")
@click.option("--seed", default=1, show_default=True)
@click.option("--require", is_flag=True, help="Fail where judging takes more than a tenth.")
def main(
    captures: tuple[str, ...],
    exchanges: tuple[int, ...],
    endpoints: int,
    optional: int,
    seed: int,
    require: bool,
) -> None:
    """Print what judging takes of the scan of each capture."""
    table = Table("capture", "exchanges", "scan s", "judging s", "share", "µs an exchange", "told")
    shares = []
    with tempfile.TemporaryDirectory(prefix="wfbench-") as folder:
        paths = [Path(capture) for capture in captures]
        for many in exchanges or (() if captures else (50_000, 200_000)):
            paths.append(Path(folder) / f"flux-{many}.pcap")
            with paths[-1].open("wb") as file:
                flux.write(file, exchanges=many, endpoints=endpoints, optional=optional, seed=seed)
        for path in paths:
            # A process for each, so that none finds the memory of the one before.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
                found = apart.submit(measure, str(path)).result()
            shares.append(found.share)
            table.add_row(
                path.name,
                f"{found.exchanges:,}",
                f"{found.scan:.2f}",
                f"{found.judging:.2f}",
                f"{found.share:.1%}",
                f"{found.judging / max(1, found.exchanges) * 1e6:.0f}",
                str(found.findings),
            )
    Console().print(table)
    if require and max(shares) > AT_MOST:
        raise click.ClickException(f"judging takes {max(shares):.1%}, over {AT_MOST:.0%}")


if __name__ == "__main__":
    main()
