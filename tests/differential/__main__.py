"""`python -m tests.differential DIR [--jobs N]`: every capture below DIR beside tshark and h11.

Exit status: 0 when every difference is explained, 1 when one is left, or a scan broke a promise: a
traceback, more than 10 s a megabyte, a `misdelivered` where there is no fault, an odd exit status.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from analyzer.capture.files import is_capture
from tests.differential import verdict
from tests.differential.theirs import TSHARK


def captures(places: list[Path]) -> Iterator[Path]:
    """Every capture in the places, folders being searched."""
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and is_capture(path):
                yield path


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="tests.differential", description=__doc__)
    parser.add_argument("places", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--faults", action="store_true", help="there are faults in the traffic")
    parser.add_argument("--reasons", action="store_true", help="show what was explained, by reason")
    given = parser.parse_args()
    if TSHARK is None:
        parser.error("tshark is not installed")
    begun = time.perf_counter()
    count = requests = responses = streams = 0
    explained: Counter[str] = Counter()
    left = 0
    judge = partial(verdict.of, faults=given.faults)
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        for one in pool.map(judge, captures(given.places), chunksize=4):
            count += 1
            requests += one.requests
            responses += one.responses
            streams += one.streams
            explained += one.explained
            left += len(one.left)
            for text in one.left:
                print(f"{one.path}: {text}", flush=True)
    print(
        f"{count:,} captures, {streams:,} TCP streams, {requests:,} requests, {responses:,} "
        f"responses compared in {time.perf_counter() - begun:.0f} s: {explained.total():,} "
        f"differences explained, {left:,} left"
    )
    if given.reasons:
        for text, times in explained.most_common():
            print(f"{times:7,} × {text}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
