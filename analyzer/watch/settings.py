"""The options of a watch as somebody typed them, checked; and how a watch is, in words.

Law: what does not go together, or makes no sense, is one clear line before anything is done.
"""

import re
from pathlib import Path
from typing import Any

from analyzer.errors import InputError
from analyzer.report.escape import visible
from analyzer.watch.asking import Scope
from analyzer.watch.ring import LEAST_IN_FILE, Bounds
from analyzer.watch.store import Store
from analyzer.watch.watching import Settings

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIMES = {"": 1, "S": 1, "M": 60, "H": 3_600, "D": 86_400, "W": 604_800}
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,3})?)([A-Z]?)", re.IGNORECASE)
LEAST = 4 * LEAST_IN_FILE  # bytes of a ring
MOST_LISTED = 10  # incidents in the words of a status
STANDARD_INPUT = "-"


def settings(
    *,
    source: str | None,
    folder: str,
    interface: str | None,
    ring: str | None,
    expression: str,
    recorder: str | None,
    keep_size: str,
    keep_time: str,
    pid: int | None,
    container: str | None,
    sockets: bool,
    on_alarm: str | None,
    metrics: str | None,
) -> Settings:
    """The settings that options mean. Raises InputError where they mean none."""
    if source not in (None, STANDARD_INPUT):
        raise InputError(f"watch takes no CAPTURE but '-' ({source}): scan reads files")
    sources = [
        name
        for name, given in (("-", source), ("--interface", interface), ("--ring", ring))
        if given is not None
    ]
    if len(sources) > 1:
        raise InputError(f"{' and '.join(sources)}: packets come from one place alone")
    captures = not (source or ring)
    for name, given in (("--filter", expression), ("--recorder", recorder)):
        if given and not captures:
            raise InputError(f"{name} is for capturing; {sources[0]} has been captured already")
    if pid is not None and container is not None:
        raise InputError("--pid and --container: one of them is enough")
    if not sockets and (pid is not None or container is not None):
        raise InputError("--no-sockets asks nobody, so --pid and --container mean nothing")
    if container is not None and not re.fullmatch("[0-9a-f]{6,64}", container):
        raise InputError(f"--container {container}: it takes an id, 6 to 64 hexadecimal digits")
    if ring is not None and _is_same(ring, folder):
        raise InputError("--ring and --keep are one folder: what is read is never written to")
    if not folder:
        raise InputError("--keep takes a folder")
    size = int(amount("--keep-size", keep_size, _SIZES))
    if size < LEAST:
        raise InputError(f"--keep-size {keep_size}: at least {LEAST >> 20}M")
    return Settings(
        folder=folder,
        interface=interface or "any",
        expression=expression,
        ring=ring,
        standard_input=source is not None,
        recorder=recorder,
        bounds=Bounds(size, amount("--keep-time", keep_time, _TIMES)),
        scope=Scope(pid or 0, container or ""),
        sockets=sockets,
        on_alarm=on_alarm,
        metrics=place(metrics) if metrics is not None else None,
    )


def _is_same(ring: str, folder: str) -> bool:
    """Whether the packets of the watch would go where those of the ring are."""
    read = Path(ring).resolve()
    return read in (Path(folder).resolve(), Store(folder).ring.resolve())


def amount(option: str, text: str, units: dict[str, int]) -> float:
    """A number with its unit: `2G`, `36h`. Raises InputError for anything else."""
    found = _NUMBER.fullmatch(text.strip())
    unit = units.get(found[2].upper()) if found else None
    if found is None or unit is None or not float(found[1]):
        known = ", ".join(f"1{name.lower() if units is _TIMES else name}" for name in units if name)
        raise InputError(f"{option} {text}: not a number above 0 with a unit ({known})")
    return float(found[1]) * unit


def place(text: str) -> tuple[str, int]:
    """`[HOST:]PORT`. Raises InputError for anything else."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 1 <= int(port) <= 65_535:
        raise InputError(f"--metrics {text}: not a port, or HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


def status(folder: str) -> str:
    """How the watch is that keeps a folder, in lines. Raises InputError where there is none."""
    store = Store(folder)
    told = store.status()
    lines = [*_lines(told), *_incidents(store)]
    return "".join(f"{visible(line)}\n" for line in lines)


def kept(folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The evidence that a watch has kept in a folder, and what it learned, for a scan of all of it.

    Raises InputError where there is no such folder, or no evidence in it.
    """
    store = Store(folder)
    if not store.incidents.is_dir():
        raise InputError(
            f"{visible(folder)}: no folder of a watch: it has no {store.incidents.name}/"
        )
    evidence = sorted(str(path) for path in store.incidents.glob("*.pcapng"))
    if not evidence:
        raise InputError(f"{visible(folder)}: the watch has kept no incident there")
    return tuple(evidence), (str(store.baseline),) if store.baseline.is_file() else ()


def _lines(told: dict[str, Any]) -> list[str]:
    runs = "ended" if told.get("pid") is None else f"pid {told['pid']}"
    lines = [f"watch ({runs}) of {told.get('source')}, as of {told.get('time')}"]
    dropped = told.get("packets_dropped_by_kernel")
    lines.append(
        f"ring: {int(told.get('ring_bytes') or 0) / 1e6:,.1f} MB, "
        f"{float(told.get('ring_seconds') or 0) / 3600:.1f} h back; dropped by the kernel: "
        f"{'unknown' if dropped is None else f'{dropped:,}'}; last frame {told.get('last_frame')}"
    )
    lines.append(
        f"since {told.get('since')}: {told.get('alarms')} alarms, {told.get('withdrawn')} "
        f"withdrawn, {told.get('incidents')} incidents, {told.get('undecided')} undecided"
    )
    if told.get("not_judged"):
        lines.append(f"nothing can be judged: {told['not_judged']}")
    lines += [f"alarm: {text}" for text in told.get("open_alarms") or ()]
    return lines


def _incidents(store: Store) -> list[str]:
    told = store.told()
    lines = [f"incidents ever: {len(told)}" + (", the latest first" if told else "")]
    for one in reversed(told[-MOST_LISTED:]):
        evidence = one.get("evidence") or {}
        where = evidence.get("packets") if isinstance(evidence, dict) else None
        lines.append(
            f"  {one.get('since')}  {one.get('incident')}  {one.get('verdict')}  "
            f"{one.get('cause')}  {one.get('title')}  {where or 'no evidence'}"
        )
    return lines
