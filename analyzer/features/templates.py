"""Path templates that are known beforehand, from a document or a baseline, and which a path fits.

Law: rules before all guesses. A path fits the template that has most segments literally like it; an
exact path beats a template. What a document calls a parameter may be anything; what was guessed to
be a variable from other captures has to look like one here, too.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from analyzer.features.endpoints import Endpoint, Route, is_like_value, typed

_VARIABLE = re.compile(r"\{[^{}/]*\}")
_NAMED = "{name}"  # an operation, or a segment that was found to vary, whatever it is made of


@dataclass(slots=True)
class _Known:
    """Templates by method: those without variables by path, as it is and as routes have it."""

    exact: dict[tuple[str, str], str] = field(default_factory=dict)
    as_typed: dict[tuple[str, str], str] = field(default_factory=dict)
    # Those with variables, by method and number of segments.
    variable: dict[tuple[str, int], dict[str, None]] = field(default_factory=dict)

    def add(self, one: Endpoint) -> None:
        """Add the template of an endpoint."""
        if _VARIABLE.search(one.template):
            key = one.method, one.template.count("/")
            self.variable.setdefault(key, {})[one.template] = None
        else:
            self.exact[one.method, one.template] = one.template
            path = "/".join(map(typed, one.template.split("/")))
            self.as_typed.setdefault((one.method, path), one.template)

    def template(self, route: Route, *, free: bool) -> str | None:
        """The template that a route fits best."""
        method, path = route.method, route.path
        if (method, path) in self.exact:
            return path
        every = self.variable.get((method, path.count("/")), ())
        fitting = [t for t in every if _fits(t, path, free=free)]
        if fitting:
            return max(fitting, key=lambda t: (_literal(t, path), t))
        return self.as_typed.get((method, path))


@dataclass(slots=True)
class Templates:
    """Known templates; `guessed` are those of baselines."""

    _stated: _Known = field(default_factory=_Known)
    _guessed: _Known = field(default_factory=_Known)
    _operations: set[tuple[str, str, str]] = field(default_factory=set)

    @classmethod
    def of(cls, stated: Iterable[Endpoint], guessed: Iterable[Endpoint]) -> "Templates":
        """Of the endpoints of documents, and of those that were learned."""
        out = cls()
        for known, endpoints in ((out._stated, stated), (out._guessed, guessed)):
            for one in endpoints:
                known.add(one)
                if one.operation.endswith(_NAMED):
                    out._operations.add((one.method, one.template, one.operation))
        return out

    def endpoint(self, route: Route) -> Endpoint | None:
        """The endpoint of a route that fits a known template; None where none is."""
        for known, free in ((self._stated, True), (self._guessed, False)):
            template = known.template(route, free=free)
            if template is not None:
                operation = self._operation(route, template)
                return Endpoint(route.method, route.host, template, operation)
        return None

    def _operation(self, route: Route, template: str) -> str:
        parameter, equals, _ = route.operation.partition("=")
        merged = (parameter + equals if parameter.startswith("?") else "") + _NAMED
        known = (route.method, template, merged) in self._operations
        return merged if route.operation and known else route.operation


def _fits(template: str, path: str, *, free: bool) -> bool:
    pairs = zip(template.split("/"), path.split("/"), strict=True)
    return all(_segment_fits(one, other, free) for one, other in pairs)


@lru_cache(16_384)
def _segment_fits(known: str, segment: str, free: bool) -> bool:
    if known == segment:
        return True
    if not _VARIABLE.search(known):
        return segment.startswith("{") and typed(known) == segment
    if not segment or not _pattern(known).fullmatch(segment):
        return False
    return free or known.startswith(_NAMED) or is_like_value(segment)


@lru_cache(16_384)
def _pattern(known: str) -> re.Pattern[str]:
    """What a segment like `{id}.json` stands for."""
    parts = [re.escape(part) for part in _VARIABLE.split(known)]
    return re.compile(".+".join(parts), re.DOTALL)


def _literal(template: str, path: str) -> int:
    """How many segments of a path are literally those of a template."""
    return sum(
        one == other for one, other in zip(template.split("/"), path.split("/"), strict=True)
    )
