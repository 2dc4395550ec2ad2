"""The command line: the only place that prints or sets an exit status.

`group.py` has the command itself; `scanning.py`, `learning.py`, `watching.py` and `reviewing.py`
have those below it; `running.py` what each does around its work; `showing.py` and `printing.py`
what is seen of it.
"""

import os

# numpy's linear algebra starts a thread for each processor, which takes a tenth of a small scan,
# and nothing here uses it. It looks at this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from analyzer.cli.group import main
from analyzer.cli.learning import learn
from analyzer.cli.reviewing import review
from analyzer.cli.scanning import explain, scan
from analyzer.cli.watching import watch

__all__ = ["explain", "learn", "main", "review", "scan", "watch"]
