"""One recording held against its truth, seen from each of its vantages and from all of them.

Every capture is scanned by itself, as somebody with just that one would, and then all of them
together. A finding that is neither planted nor tolerated is a false alarm wherever it appears.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Scan = Callable[[Sequence[Path]], Json]
NEAR = 2.0  # seconds between a client's clock and the wire
TOGETHER = "together"
# What each client's own capture has of the requests.
OWN_HOST = {"client1": "172.31.17.21", "client2": "172.31.18.34"}


@dataclass(slots=True)
class Tally:
    """Counts of planted faults and of findings, from one view or summed over several."""

    planted: int = 0  # faults whose request is to be seen there
    found: int = 0
    with_owner: int = 0  # of those found, the ones whose owner is to be seen there too
    owner_right: int = 0
    layer_right: int = 0
    mechanism_right: int = 0
    ruled_out_wrong: int = 0  # findings that exclude the cause that it was
    wrong_certain: int = 0  # findings called certain that are false alarms or name a wrong owner
    false_alarms: int = 0
    undecided: int = 0

    def add(self, other: "Tally") -> None:
        """Add another one's counts."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one view says of one planted fault: the findings that are that fault, best first."""

    fault: Json
    findings: tuple[Json, ...]
    owner_seen: bool
    owner_right: bool

    @property
    def causes(self) -> set[str]:
        """The causes that are right."""
        return {self.fault["cause"], *self.fault.get("also", ())}

    @property
    def mechanism_right(self) -> bool:
        """Whether a finding names a right cause."""
        return any(one["cause"] in self.causes for one in self.findings)

    @property
    def layer_right(self) -> bool:
        """Whether a finding names a right layer."""
        layers = {_layer(cause) for cause in self.causes}
        return any(_layer(one["cause"]) in layers for one in self.findings)

    @property
    def ruled_out(self) -> int:
        """How many findings exclude the cause that it was."""
        return sum(
            considered["verdict"] == "ruled-out" and considered["cause"] == self.fault["cause"]
            for one in self.findings
            for considered in one["causes"]
        )

    @property
    def wrong_certain(self) -> int:
        """How many findings are certain of an owner that it was not."""
        return sum(
            one["confidence"] == "certain" and one["owner"] is not None and not self.owner_right
            for one in self.findings
            if self.fault["owner"]
        )


@dataclass(frozen=True, slots=True)
class View:
    """What is made of a recording from one capture, or from all together."""

    verdicts: tuple[Verdict, ...]  # of the faults to be seen there, found or not
    alarms: tuple[Json, ...]  # findings that are neither planted nor tolerated
    undecided: int

    @property
    def tally(self) -> Tally:
        """The counts."""
        found = [one for one in self.verdicts if one.findings]
        owned = [one for one in found if one.fault["owner"] and one.owner_seen]
        return Tally(
            planted=len(self.verdicts),
            found=len(found),
            with_owner=len(owned),
            owner_right=sum(one.owner_right for one in owned),
            layer_right=sum(one.layer_right for one in found),
            mechanism_right=sum(one.mechanism_right for one in found),
            ruled_out_wrong=sum(one.ruled_out for one in found),
            wrong_certain=sum(one.wrong_certain for one in found)
            + sum(one["confidence"] == "certain" for one in self.alarms),
            false_alarms=len(self.alarms),
            undecided=self.undecided,
        )


@dataclass
class Truth:
    """truth.json, and what it takes to find a reported request in it."""

    told: Json

    @cached_property
    def asked(self) -> list[Json]:
        """Every request that truth names."""
        rows = list(self.told.get("log", ()))
        for one in (*self.told["planted"], *self.told["tolerated"]):
            rows += [request for request in (one["request"], one.get("owner")) if request]
        return rows

    @cached_property
    def addresses(self) -> set[str]:
        """The clients' own addresses; whoever else asks is a proxy."""
        return {row["client"] for row in self.asked}

    @property
    def own_hosts(self) -> Mapping[str, str]:
        """The address of each client that a capture was taken at; a variant may have others."""
        hosts: Mapping[str, str] = self.told.get("varied", {}).get("hosts", OWN_HOST)
        return hosts

    def same(self, request: Json | None, wanted: Json | None, shifts: Sequence[float]) -> bool:
        """Whether a reported request is that one; `shifts` are what clocks may be ahead, in s."""
        if request is None or wanted is None or _name(request) != _name(wanted):
            return False
        return any(self._same_at(request, wanted, shift) for shift in shifts)

    def _same_at(self, request: Json, wanted: Json, shift: float) -> bool:
        time = seconds(request["time"]) - shift
        if abs(time - seconds(wanted["time"])) >= NEAR:
            return False
        if request["client"] in self.addresses:
            return bool(request["client"] == wanted["client"])
        # Behind a proxy the address is the proxy's: the nearest in time of those alike.
        alike = [row for row in self.asked if _name(row) == _name(wanted)]
        nearest = min(alike, key=lambda row: abs(seconds(row["time"]) - time))
        return bool(nearest["client"] == wanted["client"] and nearest["time"] == wanted["time"])

    def is_fault(self, finding: Json, fault: Json, shifts: Sequence[float]) -> bool:
        """Whether a finding is that planted (or tolerated) fault."""
        if finding["kind"] != fault["kind"]:
            return False
        if finding["kind"] == "unsolicited":
            # The wire has no request for it; the truth has the last one of its connection.
            apart = seconds(finding["response"]["time"]) - seconds(fault["request"]["time"])
            return abs(apart) < 60
        return self.same(finding["request"], fault["request"], shifts)


def judge(truth: Truth, vantage: str, report: Json) -> View:
    """What a report makes of a recording, seen from a vantage or `TOGETHER`."""
    ahead = {one["vantage"]: _ahead(one) for one in truth.told["captures"]}
    shifts = sorted({0.0, *ahead.values()}) if vantage == TOGETHER else [ahead[vantage]]
    faults = [one for one in truth.told["planted"] if _seen(one, vantage, truth.own_hosts)]
    found: list[list[Json]] = [[] for _ in faults]
    alarms = []
    for finding in report["findings"]:
        matching = [n for n, one in enumerate(faults) if truth.is_fault(finding, one, shifts)]
        for number in matching:
            found[number].append(finding)
        excused = (*truth.told["planted"], *truth.told["tolerated"])
        if not matching and not any(truth.is_fault(finding, one, shifts) for one in excused):
            alarms.append(finding)
    verdicts = tuple(
        Verdict(
            fault,
            tuple(findings),
            _owner_seen(fault["owner"], vantage, truth.own_hosts),
            any(
                truth.same(one["owner"], owner, shifts)
                for one in findings
                for owner in (fault["owner"], *fault.get("owner_also", ()))
            ),
        )
        for fault, findings in zip(faults, found, strict=True)
    )
    return View(verdicts, tuple(alarms), report["totals"]["undecided"])


def best(truth: Truth, views: Mapping[str, View]) -> View:
    """For each fault the findings of all single captures: what any of them could tell."""
    single = [view for vantage, view in views.items() if vantage != TOGETHER]
    verdicts = []
    for fault in truth.told["planted"]:
        seen = [one for view in single for one in view.verdicts if one.fault is fault]
        findings = tuple(finding for one in seen for finding in one.findings)
        right = any(one.owner_right for one in seen)
        verdicts.append(Verdict(fault, findings, True, right))
    alarms = tuple(alarm for view in single for alarm in view.alarms)
    return View(tuple(verdicts), alarms, min((view.undecided for view in single), default=0))


@dataclass
class Score:
    """What became of one recording."""

    recording: str
    mechanism: str
    best: Tally = field(default_factory=Tally)
    views: dict[str, Tally] = field(default_factory=dict)


def views_of(directory: Path, scan: Scan) -> tuple[Truth, dict[str, View]]:
    """The truth of a recording, and what is made of it from each view."""
    truth = Truth(json.loads((directory / "truth.json").read_text()))
    files = {one["vantage"]: directory / one["file"] for one in truth.told["captures"]}
    views = {vantage: judge(truth, vantage, scan([path])) for vantage, path in files.items()}
    if len(files) > 1:
        views[TOGETHER] = judge(truth, TOGETHER, scan(list(files.values())))
    return truth, views


def score(directory: Path, scan: Scan) -> Score:
    """Scan the captures of one recording, each alone and all together, and count."""
    truth, views = views_of(directory, scan)
    return Score(
        directory.name,
        truth.told["mechanism"] or "",
        best(truth, views).tally,
        {vantage: view.tally for vantage, view in views.items()},
    )


def sums(scores: Sequence[Score]) -> dict[str, Tally]:
    """The sums that targets are set for."""
    totals = {name: Tally() for name in ("best", *GROUPS)}
    for one in scores:
        totals["best"].add(one.best)
        for vantage, tally in one.views.items():
            for name, belongs in GROUPS.items():
                if belongs(vantage):
                    totals[name].add(tally)
    return totals


# What is summed: name -> whether a view belongs to it. `best` is any capture of a recording.
GROUPS: dict[str, Callable[[str], bool]] = {
    "host or container": lambda vantage: vantage.startswith(("host", "bridge", "container")),
    "client": lambda vantage: vantage.startswith("client"),
    "proxy": lambda vantage: vantage.startswith("proxy"),
    "every file": lambda vantage: vantage != TOGETHER,
    TOGETHER: lambda vantage: vantage == TOGETHER,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One planted fault from one view, or a false alarm, and what is not right about it."""

    view: str
    fault: Json  # or the finding that nobody planted
    said: str  # the causes, each with its confidence
    wrong: tuple[str, ...]


def lines(directory: Path, scan: Scan) -> Iterator[Line]:
    """Everything that a recording's views make of its faults."""
    _, views = views_of(directory, scan)
    for vantage, view in views.items():
        for alarm in view.alarms:
            yield Line(vantage, alarm, _said([alarm]), ("false alarm",))
        for one in view.verdicts:
            yield Line(vantage, one.fault, _said(one.findings), tuple(_wrong(one)))


def _said(findings: Sequence[Json]) -> str:
    return ", ".join(sorted({f"{one['cause']} ({one['confidence']})" for one in findings}))


def _wrong(one: Verdict) -> Iterator[str]:
    if not one.findings:
        yield "not found"
        return
    if one.fault["owner"] and not one.owner_right:
        yield "owner" if one.owner_seen else "owner (not to be seen there)"
    if not one.layer_right:
        yield "layer"
    elif not one.mechanism_right:
        yield "mechanism"
    if one.ruled_out:
        yield "ruled out"
    if one.wrong_certain:
        yield "wrong and certain"


def seconds(rfc3339: str) -> float:
    """Seconds since 1970 of a time with up to nine digits."""
    return datetime.fromisoformat(rfc3339[:26].rstrip("Z") + "+00:00").timestamp()


def _seen(fault: Json, vantage: str, hosts: Mapping[str, str]) -> bool:
    """Whether a fault's request is to be seen there; one without a request, at its client's."""
    if vantage == TOGETHER or vantage in fault["seen_at"]:
        return True
    return fault["request"]["method"] == "-" and _owner_seen(fault["request"], vantage, hosts)


def _owner_seen(owner: Json | None, vantage: str, hosts: Mapping[str, str]) -> bool:
    if owner is None:
        return False
    own = hosts.get(vantage)
    return own is None or owner["client"].startswith(f"{own}:")


def _ahead(capture: Json) -> float:
    """How far a capture's clock is ahead, in s; what it drifts by is less than `NEAR` leaves."""
    return float(capture.get("clock", {}).get("ahead", 0.0))


def _name(request: Json) -> tuple[str, str]:
    return request["method"], request["target"]


def _layer(cause: str) -> str:
    return cause.partition("/")[0]
