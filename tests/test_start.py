"""A small scan answers at once: what it does not need is not imported."""

import subprocess
import sys
from pathlib import Path

from tests.recordings import recordings

# What takes longer to import than a small scan takes, or belongs to what was not asked for.
SLOW = {
    "pandas", "pyarrow", "scapy", "networkx", "jinja2", "textual", "dpkt", "multiprocessing",
    "importlib.metadata", "rich.table", "rich.progress", "asyncio", "sqlite3",
    "analyzer.dossier", "analyzer.explain.tell", "analyzer.explain.model", "analyzer.openapi.model",
    "analyzer.second_pass.look", "analyzer.second_pass.every", "analyzer.second_pass.copying",
    "analyzer.logs", "analyzer.sockets", "analyzer.watch", "analyzer.review",
    "analyzer.verification",
}  # fmt: skip
SCAN = """
import sys
from analyzer.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def test_an_ordinary_scan_imports_nothing_slow() -> None:
    path: Path = next(one.path for one in recordings() if one.scenario == "clean-node14")
    done = subprocess.run(
        [sys.executable, "-c", SCAN, "scan", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "analyzer.pipeline" in done.stderr.split()
    assert SLOW & set(done.stderr.split()) == set()
