"""Scenario files: what is planted, by which server, seen by which clients, captured where."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captures.lab.errors import LabError

DIRECTORY = Path(__file__).parents[1] / "scenarios"
KINDS = ("misdelivered", "unanswered", "incomplete", "unsolicited")


@dataclass(frozen=True)
class Server:
    """One server process; a Node program by its path, a Python one by its module."""

    program: str
    config: Mapping[str, Any] = field(default_factory=dict)
    host: str = "ctr"
    port: int = 3000
    python: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    tree: tuple[str, ...] = ()  # npm packages that come with all that they depend on
    node: str | None = None
    name: str = "server"


@dataclass(frozen=True)
class Client:
    """One client process: workers that each send their steps one after the other."""

    host: str
    program: str
    workers: tuple[Mapping[str, Any], ...]
    python: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    node: str = "20"
    to: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Something done at a time: a command on a host, or a server started anew."""

    at: float
    host: str = "host"
    run: str | None = None
    background: bool = False
    restart: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Capture:
    """One tcpdump."""

    vantage: str
    start: float | None = None
    stop: float | None = None
    flags: tuple[str, ...] = ()
    filter: str = ""
    ahead: float = 0.0  # seconds that this host's clock is ahead of the others'
    drift: float = 0.0  # what it gains, in millionths


@dataclass(frozen=True)
class Expect:
    """One observed fault that must be there (or may be, when it is only accepted)."""

    kind: str
    request: str
    cause: str | None = None
    also: tuple[str, ...] = ()
    owner: str | None = None
    at_least: int | None = None
    accept: str | None = None

    @property
    def needed(self) -> int:
        """How often it must be there: once, unless told otherwise or only accepted."""
        return self.at_least if self.at_least is not None else int(self.accept is None)


@dataclass(frozen=True)
class Scenario:
    """A whole scenario file."""

    name: str
    title: str
    description: str
    mechanism: str | None
    servers: tuple[Server, ...]
    clients: tuple[Client, ...]
    captures: tuple[Capture, ...]
    node: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    expects: tuple[Expect, ...] = ()
    seed: int = 1
    settle: float = 1.0
    compact: bool = False
    patience: float = 900
    foreign: tuple[int, ...] = ()
    stray: tuple[int, ...] = ()
    plain: tuple[str, ...] = ()

    @property
    def needs_proxy(self) -> bool:
        """Whether any server lives on the proxy host."""
        return any(server.host == "proxy" for server in self.servers)

    @property
    def needs_back(self) -> bool:
        """Whether the proxy has an interface of its own towards the service."""
        return any(capture.vantage == "proxy-back" for capture in self.captures)

    @property
    def needs_twin(self) -> bool:
        """Whether a second container comes up with the first one's address."""
        return any(event.host == "twin" for event in self.events)

    @property
    def needs_router(self) -> bool:
        """Whether something is to happen between the first client and the Docker host."""
        return any(event.host == "router" for event in self.events)


@dataclass(frozen=True)
class Variant:
    """A scenario with one version of Node: what one recording is made of."""

    scenario: Scenario
    node: str | None

    @property
    def name(self) -> str:
        """The recording's name, such as `story-node12`."""
        return f"{self.scenario.name}-node{self.node}" if self.node else self.scenario.name


def load(path: Path) -> Scenario:
    """Read one scenario file; an unknown key is an error, not a silent typo."""
    with path.open("rb") as file:
        raw = tomllib.load(file)
    try:
        lists = {
            "servers": tuple(Server(**_tuples(one)) for one in raw.pop("server")),
            "clients": tuple(_client(one) for one in raw.pop("client")),
            "captures": tuple(_capture(one) for one in raw.pop("captures")),
            "events": tuple(Event(**one) for one in raw.pop("event", ())),
            "expects": tuple(_expect(one) for one in raw.pop("expect", ())),
        }
        return Scenario(**{"name": path.stem, "mechanism": None, **_tuples(raw), **lists})
    except (TypeError, KeyError) as wrong:
        raise LabError(f"scenario file {path.name}: {wrong}") from wrong


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}


def _client(table: dict[str, Any]) -> Client:
    workers = tuple(table.pop("worker"))
    return Client(workers=workers, **_tuples(table))


def _capture(entry: str | dict[str, Any]) -> Capture:
    return Capture(entry) if isinstance(entry, str) else Capture(**_tuples(entry))


def _expect(table: dict[str, Any]) -> Expect:
    expect = Expect(**_tuples(table))
    if expect.kind not in KINDS or (expect.cause is None) == (expect.accept is None):
        raise KeyError(f"expect {table}: a kind, and either a cause or a reason to accept it")
    return expect


def load_all(directory: Path = DIRECTORY) -> dict[str, Scenario]:
    """Every scenario, by name."""
    return {path.stem: load(path) for path in sorted(directory.glob("*.toml"))}


def variants(scenario: Scenario, node: str | None = None) -> list[Variant]:
    """The recordings that a scenario gives, or only the one with this version of Node."""
    if not scenario.node:
        return [Variant(scenario, None)]
    return [Variant(scenario, version) for version in ((node,) if node else scenario.node)]


def choose(
    names: tuple[str, ...], scenarios: Mapping[str, Scenario], node: str | None = None
) -> list[Variant]:
    """What names stand for: a scenario (`story`) or one recording of it (`story-node12`)."""
    by_name = {variant.name: variant for one in scenarios.values() for variant in variants(one)}
    chosen: list[Variant] = []
    for name in names:
        if name in scenarios:
            chosen += variants(scenarios[name], node)
        elif name in by_name:
            chosen.append(by_name[name])
        else:
            raise LabError(f"no scenario called {name}; there are: {', '.join(sorted(scenarios))}")
    return chosen
