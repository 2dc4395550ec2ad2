"""`python -m tests.hostile [NAME...] [--small] [--write]`: measure the hostile captures.

Each is made, scanned by the command, and put into a table with its time, its peak of memory and
what is reported; `--write` puts the table into docs/hostile.md. Exit status 1 when a promise is
broken: see `measure.problems`.
"""

import argparse
import sys
from pathlib import Path

from tests.hostile import measure
from tests.hostile.cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "hostile.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
HEAD = "| capture | size | time | peak memory | what is reported |\n|---|---|---|---|---|\n"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="tests.hostile", description=__doc__)
    parser.add_argument("names", nargs="*", help="default: all")
    parser.add_argument("--small", action="store_true", help="as small as in the tests")
    parser.add_argument("--write", action="store_true", help="put the table into the page")
    given = parser.parse_args()
    rows, broken = [], 0
    for case in CASES:
        if given.names and case.name not in given.names:
            continue
        found = measure.measured(case, case.size[not given.small])
        for problem in measure.problems(case, found):
            print(f"{case.name}: {problem}", file=sys.stderr)
            broken += 1
        rows.append(
            f"| {case.name}: {case.what} | {found.size / 1e6:,.1f} MB | {found.seconds:.1f} s "
            f"| {found.peak} MB | {', '.join(found.told) or 'nothing odd'} |\n"
        )
        print(rows[-1], end="", flush=True)
    if given.write:
        text = PAGE.read_text()
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{HEAD}{''.join(rows)}{END}{after}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
