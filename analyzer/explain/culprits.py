"""Software that an incident's messages name, and that is known for what happened: hints, no proof.

Law: what is known is data (`culprits.toml`); here it is only looked up. A hint is given where the
cause is not ruled out, a head names the software, and does not tell a version that is not affected.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from analyzer.explain.model import Hint
from analyzer.findings.model import Cause, Verdict
from analyzer.second_pass.model import Message

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Culprit:
    """One entry of the data; the file says what its parts mean."""

    named: re.Pattern[str]
    fields: frozenset[str]
    causes: frozenset[str]
    text: str
    source: str
    version: re.Pattern[str] | None
    affected: tuple[tuple[Version, Version], ...]

    def speaks_of(self, name: str, value: str) -> bool:
        """Whether a field names it, in a version that is affected, as far as that is told."""
        if name not in self.fields or self.named.search(value) is None:
            return False
        found = self.version.search(value) if self.version is not None else None
        if found is None:
            return True
        told = _version(found[1])
        return any(first <= told and told[: len(last)] <= last for first, last in self.affected)


@cache
def known() -> tuple[Culprit, ...]:
    """All culprits, in the order of the file."""
    text = files("analyzer.explain").joinpath("culprits.toml").read_text("utf-8")
    return tuple(
        Culprit(
            re.compile(one["named"], re.IGNORECASE),
            frozenset(one["fields"]),
            frozenset(one["causes"]),
            one["text"],
            one["source"],
            re.compile(one["version"], re.IGNORECASE) if "version" in one else None,
            tuple(_range(part) for part in one.get("affected", ())),
        )
        for one in tomllib.loads(text)["culprit"]
    )


def hints(causes: Iterable[Cause], messages: Iterable[Message]) -> tuple[Hint, ...]:
    """What is known of software that the messages name, as far as it may be the cause."""
    open_ = {cause.cause for cause in causes if cause.verdict is not Verdict.RULED_OUT}
    told = {(name.lower(), value) for message in messages for name, value in message.headers}
    return tuple(_found(open_, told))


def _found(causes: set[str], told: set[tuple[str, str]]) -> Iterator[Hint]:
    for one in known():
        if one.causes & causes and any(one.speaks_of(name, value) for name, value in told):
            yield Hint(one.text, one.source)


def _range(text: str) -> tuple[Version, Version]:
    first, _, last = text.partition("-")
    return _version(first), _version(last or first)


def _version(text: str) -> Version:
    return tuple(int(part) for part in text.split("."))
