"""Did this HTTP response go to the request that asked for it? If not, whose was it, and why?

import analyzer
report = analyzer.scan("capture.pcap")
report.findings, report.exchanges, report.endpoints    # pandas frames
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import InputError

if TYPE_CHECKING:
    from analyzer.report.result import Report

__all__ = ["InputError", "scan"]

_NAME = "wrangler-forensics"  # of the distribution


def __getattr__(name: str) -> str:
    """`__version__`, as pyproject.toml has it and the installation remembers it."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Not at the top: it is slow to import, and --help needs no version.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_NAME)
    except PackageNotFoundError:
        return "0+unknown"  # run from a tree that is not installed


def scan(
    captures: str | Path | Sequence[str | Path],
    *,
    progress: Callable[[int], None] | None = None,
    jobs: int = 1,
) -> "Report":
    """Read captures, rebuild their HTTP exchanges and judge them.

    `captures` is one path or several: pcap or pcapng files, plain or compressed, folders of them,
    or "-" for standard input. `progress` is called with the number of bytes read since the last
    call. `jobs` is the most processes to read large captures with (they are spawned: the calling
    program needs its `if __name__ == "__main__"`). Raises `InputError` for what cannot be read.
    """
    from analyzer import pipeline

    single = isinstance(captures, str | Path)
    paths = [captures] if single else list(captures)  # type: ignore[arg-type]
    return pipeline.scan([str(path) for path in paths], progress=progress, jobs=jobs)
