"""The variants by name: what each changes, how, and which recordings it can't be asked of.

Law: a variant is a function of the recording and the seed. One that would change what a fault
itself consists of is not made (`NotApplicable` says why), so that every difference that is left
is the detector's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from captures.vary import single
from captures.vary.content import Change, Envelope, Fields, Hosts, Ids, Prefix, Pretty
from captures.vary.ids import Replacement
from captures.vary.recording import NotApplicable, Recording, ahead, rfc3339, seconds
from captures.vary.wire import Addresses, Pace, changed_text, fitted, segmented

Make = Callable[[Recording, int], None]
# Causes that are told by how long something took: a retransmission, or somebody's patience.
TIMED = frozenset({"network/lost", "network/reset", "client/gave-up", "server/silent"})
# A loss may be one of large segments alone (a path MTU that nobody knows).
SIZED = frozenset({"network/lost"})


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant: what it says of itself, how it is made, and the causes it leaves alone."""

    about: str
    make: Make
    spares: frozenset[str] = frozenset()


def vary(recording: Recording, names: Iterable[str], seed: int) -> None:
    """Make a recording its variant, in place; NotApplicable if it can't have one of them."""
    for name in names:
        variant = VARIANTS[name]
        spared = {one["cause"] for one in recording.truth["planted"]} & variant.spares
        if spared:
            raise NotApplicable(f"{name} would change what {', '.join(sorted(spared))} consists of")
        variant.make(recording, seed)
    for capture in recording.captures:
        fitted(capture)


def _content(change: Callable[[Recording, int], Change], bodies: bool = True) -> Make:
    return lambda recording, seed: recording.rewrite([change(recording, seed)], bodies)


def _ids(kind: str) -> Variant:
    def made(recording: Recording, seed: int) -> Change:
        return Ids(Replacement(kind, recording.vocabulary, seed))

    return Variant(f"ids of another kind: {_KINDS[kind]}", _content(made))


def _segmented(mss: int) -> Variant:
    def make(recording: Recording, seed: int) -> None:
        for capture in recording.captures:
            segmented(capture, mss)
        recording.forget()

    return Variant(f"segments of no more than {mss} octets", make, SIZED)


def _paced(factor: float, about: str) -> Variant:
    def make(recording: Recording, seed: int) -> None:
        pace = Pace(factor, recording.start)
        for capture, told in zip(recording.captures, recording.truth["captures"], strict=True):
            pace.capture(capture, ahead(told))
        recording.requests(lambda one: {**one, "time": rfc3339(pace.time(seconds(one["time"])))})
        recording.forget()

    return Variant(about, make, TIMED)


def _addressed(recording: Recording, seed: int) -> None:
    addresses = Addresses(seed)
    recording.rewrite([_Named(addresses)])
    for capture in recording.captures:
        addresses.capture(capture)
    hosts: Mapping[str, str] = recording.hosts
    recording.hosts = {name: addresses.text(host) for name, host in hosts.items()}
    truth: Any = changed_text(recording.truth, ("client", "peer"), addresses.text)
    recording.truth = truth
    recording.forget()


@dataclass(frozen=True, slots=True)
class _Named:
    """Addresses in the fields of messages changed along."""

    addresses: Addresses

    def target(self, target: str) -> str:
        return target

    def message(self, message: Any, client: bytes) -> Any:
        def value(name: bytes, was: bytes) -> bytes:
            if name not in (b"host", b"x-forwarded-for", b"x-real-ip", b"x-forwarded-host"):
                return was
            parts = was.decode("latin-1").split(", ")
            return ", ".join(self.addresses.text(one) for one in parts).encode("latin-1")

        return message.with_values(value)


_KINDS = {
    "uuid": "UUIDs",
    "number": "numbers of ten digits",
    "slug": "words and a number",
    "base64": "base64url",
}

VARIANTS: dict[str, Variant] = {
    "none": Variant(
        "nothing: every packet taken apart and put together", lambda one, seed: one.rewrite([])
    ),
    "hosts": Variant(
        "a name of its own for the server for every client",
        _content(lambda one, seed: Hosts(one.vocabulary, seed), bodies=False),
    ),
    "prefix": Variant(
        "another prefix in front of all paths",
        _content(lambda one, seed: Prefix(one.vocabulary), bodies=False),
    ),
    **{f"ids-{kind}": _ids(kind) for kind in _KINDS},
    "fields": Variant(
        "members of JSON under other names, in another order",
        _content(lambda one, seed: Fields(one.vocabulary, seed)),
    ),
    "pretty": Variant("JSON answers indented, or no longer", _content(lambda one, seed: Pretty())),
    "envelope": Variant(
        "every JSON answer inside one envelope", _content(lambda one, seed: Envelope())
    ),
    "mtu-1448": _segmented(1448),
    "mtu-8948": _segmented(8948),
    "single": Variant(
        "kept connections split: one for each exchange", lambda one, seed: single.split(one)
    ),
    "addresses": Variant("other addresses and ports", _addressed),
    "slow-10": _paced(10, "everything ten times as slow"),
    "fast-10": _paced(0.1, "everything ten times as fast"),
}


def unknown(names: Sequence[str]) -> list[str]:
    """Those that are no variant's name."""
    return [one for one in names if one not in VARIANTS]
