"""The soak's load under `wrangler-forensics watch`, with its processes measured and killed.

What comes of it is a score: which faults were kept with their evidence, what else was, whether the
ring's bound held, what the processes cost.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captures.lab import soak, watching
from captures.lab.scenario import Variant
from captures.lab.soak import Soak

EVERY = 5.0  # seconds between two measurements
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Cost:
    """What a kind of process took: seconds of a core, and bytes of memory at most."""

    seconds: float = 0.0
    most: int = 0
    first: int = 0  # bytes, a minute after the start
    last: int = 0


@dataclass(slots=True)
class Measured:
    """The cost by process, the size of the ring, and who was killed when."""

    kills: list[tuple[float, str]]
    began: float = field(default_factory=time.monotonic)
    costs: dict[str, Cost] = field(default_factory=dict)
    ring: int = 0
    _due: float = 0.0
    _seen: dict[int, tuple[str, float]] = field(default_factory=dict)

    def __call__(self, pid: int, folder: Path) -> None:
        """Look at a watch, its children and its ring; kill what is due."""
        now = time.monotonic() - self.began
        self.ring = max(self.ring, sum(_size(path) for path in (folder / "ring").glob("*")))
        while self.kills and self.kills[0][0] <= now:
            _, name = self.kills.pop(0)
            for child in _children(pid):
                if _name(child) == name:
                    os.kill(child, signal.SIGKILL)
        if now < self._due:
            return
        self._due = now + EVERY
        for one in (pid, *_children(pid)):
            name = "watch" if one == pid else _name(one)
            used = _used(one)
            if used is None:
                continue
            seconds, memory = used
            cost = self.costs.setdefault(name, Cost())
            before = self._seen.get(one, (name, 0.0))[1]
            self._seen[one] = name, seconds
            cost.seconds += seconds - before
            cost.most = max(cost.most, memory)
            cost.last = memory
            if now > 60 and not cost.first:
                cost.first = memory


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(one) for one in text.split()]


def _name(pid: int) -> str:
    """`tcpdump`, or `judge` for the process that judges."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    if not name.startswith("python"):
        return name
    # Beside it is a small one of Python's own.
    return "tracker" if b"resource_tracker" in command else "judge"


def _used(pid: int) -> tuple[float, int] | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * _PAGE


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def run(
    wanted: Soak,
    say: Callable[[str], None],
    *,
    keep: Path,
    kills: list[tuple[float, str]],
    keep_size: str,
) -> Iterator[str]:
    """Run it; the score, in lines."""
    measured = Measured(kills)
    began = time.monotonic()
    told = watching.show(
        Variant(soak.scenario(wanted), wanted.node),
        say,
        keep=keep,
        more=("--keep-size", keep_size),
        meanwhile=measured,
    )
    lasted = time.monotonic() - began
    yield from score(told, wanted, keep)
    yield f"ring: {measured.ring / 1e6:.1f} MB at most, of {keep_size}"
    for name, cost in sorted(measured.costs.items()):
        yield (
            f"{name}: {cost.seconds:.1f} s of a core in {lasted:.0f} s "
            f"({100 * cost.seconds / lasted:.1f} %), memory {cost.first / 1e6:.0f} MB after a "
            f"minute, {cost.last / 1e6:.0f} MB at the end, {cost.most / 1e6:.0f} MB at most"
        )


def score(told: watching.Watched, wanted: Soak, keep: Path) -> Iterator[str]:
    """What became of each fault, and what was told beside them."""
    answered = sum(row["outcome"] == "answered" for row in told.clients)
    yield f"{len(told.clients)} exchanges, {answered} answered; {wanted.faults} faults"
    about = [(one, {r["request"] for r in one["requests"]}) for one in told.incidents]
    faults = {f"GET /api/v1/horses/{8100 + n}/vet-report" for n in range(wanted.faults)}
    verdicts: dict[str, list[dict[str, Any]]] = {fault: [] for fault in faults}
    beside = 0
    for incident, requests in about:
        for fault in requests & faults:
            verdicts[fault].append(incident)
        beside += not requests & faults and incident["verdict"] == "finding"
    yield f"not told of: {sorted(f for f, its in verdicts.items() if not its)}"
    firsts = [its[0] for its in verdicts.values() if its]
    for verdict in ("finding", "undecided"):
        chosen = [one for one in firsts if one["verdict"] == verdict]
        kept = [
            one
            for one in chosen
            if one["evidence"] and (keep / one["evidence"]["packets"]).is_file()
        ]
        again = sum(one["evidence"]["found_again"] for one in kept)
        right = sum(one["cause"] == "server/descriptor" for one in chosen)
        yield (
            f"{verdict}: {len(chosen)}, with evidence {len(kept)}, found again in it {again}, "
            f"cause server/descriptor {right}"
        )
    yield f"findings beside the faults: {beside}"
    yield f"alarms withdrawn: {sum(' is withdrawn' in line for line in told.said)}"
