"""Request targets in, endpoints out: `GET /v1/things/{id}`.

Law: an endpoint is never inferred from its responses; that would be circular and hide the bug.
In order: reserved words stay as they are; typed segments (numbers, UUIDs, long hexadecimal, dates,
base64url) are variables at once; and when all requests are known, segments with many distinct
values under one parent are variables too. An exact path beats a template. Requests for several
operations of one path (`features/operations.py`) are of several endpoints.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from analyzer import limits
from analyzer.anomalies import Anomalies
from analyzer.features.operations import of_target

MANY_VALUES = 10  # distinct values of a segment that make it a variable
MANY_AT_TOP = 30  # the same for the first segment, where an API's own names are
MANY_LIKE = 3  # of names with a digit in them: two may be versions, and more are values
RARE = 0.5  # distinct values per request, at least, for names to be values
_MEMORY = 4_096  # segments and paths remembered

_ID, _DATE = "{id}", "{date}"
_RESERVED = frozenset(
    {
        *("api", "v1", "v2", "v3", "v4", "rpc", "graphql"),
        *("me", "self", "current", "new", "search"),
        *("health", "status", "login", "logout"),
    }
)
_NUMBER = re.compile(rb"/\d+(?=/|\Z)")
_SUFFIX = re.compile(r"(.+?)(\.[A-Za-z]{2,5})\Z")
_TYPED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\d{4}-\d\d(?:-\d\d)?\Z"), _DATE),
    (re.compile(r"-?\d+(?:\.\d+)?\Z"), _ID),
    (re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z"), _ID),
    (re.compile(r"(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{16,64}\Z"), _ID),
    # Names, separators and a number: `order-1042`, `P_77`, `red-shoes-12`; or four digits in all.
    (re.compile(r"(?:[A-Za-z]{1,16}[-_.:]){1,8}\d{2,}\Z"), _ID),
    (re.compile(r"(?:\D*\d){4}"), _ID),
    # A code: capitals and a number, `SLC4`.
    (re.compile(r"[A-Z]{2,8}\d+\Z"), _ID),
    # Digits on both sides of a separator: `DEN1-A33`.
    (re.compile(r"(?=.*\d.*[-_.:].*\d)[\w.:\-]+\Z"), _ID),
    # base64url, only with both cases and a digit: `subscription-plans` is a name.
    (re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])(?=\D*\d)[A-Za-z0-9_\-]{16,}=*\Z"), _ID),
)
# base64url that happens to have no digit; only where others in its place are ids.
_MIXED = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[A-Za-z_\-]{16,}=*\Z")
_HUMP = re.compile(r"[A-Z]?[a-z]+")  # of `getUserById`: get, User, By, Id
_VOWEL = re.compile(r"[aeiouyAEIOUY]")
UNSAYABLE = 2  # humps without a vowel, from which on it is no name


# Method, operation, and the segments before and behind the one that differs.
Family = tuple[str, str, tuple[str, ...], tuple[str, ...]]


class Route(NamedTuple):
    """A request's method, host, path with typed segments replaced, and operation, if it has one."""

    method: str
    host: str
    path: str
    operation: str = ""


class Endpoint(NamedTuple):
    """What requests of one kind have in common; `name` is what a person reads."""

    method: str
    host: str
    template: str
    operation: str = ""

    @property
    def name(self) -> str:
        """Method, path template and operation: `GET /v1/things/{id}`, `POST /rpc (user.get)`."""
        name = f"{self.method} {self.template}"
        if not self.operation:
            return name
        return name + (self.operation if self.operation[0] == "?" else f" ({self.operation})")

    @property
    def neighbours(self) -> str:
        """What it has in common with those beside it.

        That is its path with those segments left open that have a digit, as values have and names
        seldom; where there are none, with the last one left open. Or all of it, where operations
        tell endpoints of one path apart.
        """
        if self.operation:
            return f"{self.method} {self.template}"
        segments = self.template.split("/")
        values = [at for at, segment in enumerate(segments) if _is_value(segment)]
        for at in values or [len(segments) - 1]:
            segments[at] = "*"
        return f"{self.method} {'/'.join(segments)}"

    def siblings(self, place: str) -> str | None:
        """What those have in common that differ from it in one name of the path only.

        `path[-1]` is the last segment. None where that is no name, but a variable, reserved, or
        not there: `red-shoes` in `/products/red-shoes` may be a name or a value, `{id}` is none.
        """
        if not place.startswith("path["):
            return None
        segments = self.template.split("/")
        back = int(place[len("path[") : -1])
        if -back > len(segments) or not segments[back] or _is_fixed(segments[back]):
            return None
        segments[back] = "*"
        return f"{self.method} {'/'.join(segments)} {self.operation}"

    @property
    def families(self) -> frozenset[str]:
        """What it has in common with its `siblings`, at each place where it may have some."""
        places = (f"path[-{n}]" for n in range(1, self.template.count("/") + 1))
        return frozenset(family for place in places if (family := self.siblings(place)))

    def is_beside(self, other: "Endpoint") -> bool:
        """Whether it is the other one, or differs from it in one name of the path only."""
        return self == other or not self.families.isdisjoint(other.families)


def path_of(target: bytes) -> str:
    """The path of a request target in any of its forms (RFC 9112 §3.2), without the query."""
    text = target.partition(b"?")[0].partition(b"#")[0].decode("latin-1")
    if not text.startswith("/"):
        match = re.match(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/]*", text)
        if match:
            return text[match.end() :] or "/"
    return text


class Routes:
    """All routes met so far, numbered."""

    def __init__(self, anomalies: Anomalies) -> None:
        self.routes: list[Route] = [Route("?", "", "?")]
        self._numbers: dict[Route, int] = {}
        self._segments: dict[str, str] = {}
        self._known: dict[tuple[bytes, str, bytes, str], int] = {}
        self._coded: dict[tuple[bytes, str, int, str], int] = {}
        self._anomalies = anomalies

    def number(self, method: bytes, host: str, target: bytes, operation: str = "") -> int:
        """The number of the route of a request; 0 where there are too many.

        The operation is the one that its head or body names; else what its target says counts.
        """
        # Most variables are plain numbers; with those replaced, what was found before is known.
        path, query, _ = target.partition(b"?")
        path = _NUMBER.sub(b"/{id}", path)
        key = (method, host, path, operation or (of_target(target) if query else ""))
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MEMORY:
                self._known.clear()
            found = self._known[key] = self._number(*key)
        return found

    def number_of_code(
        self, method: bytes, host: str, code: int, target: bytes, operation: str = ""
    ) -> int:
        """The number of the route of a request whose target has this `kernels.path_codes`."""
        key = (method, host, code, operation)
        found = self._coded.get(key)
        if found is None:
            if len(self._coded) >= _MEMORY:
                self._coded.clear()
            found = self._coded[key] = self.number(method, host, target, operation)
        return found

    def _number(self, method: bytes, host: str, target: bytes, operation: str) -> int:
        verb = method.decode("latin-1")
        # A CONNECT names an authority, not a path (RFC 9112 §3.2.3).
        path = target.decode("latin-1") if verb == "CONNECT" else self._typed(path_of(target))
        route = Route(verb, host, path, operation)
        number = self._numbers.get(route)
        if number is None:
            if len(self.routes) >= limits.ROUTES:
                self._anomalies.count("routes-limit")
                return 0
            number = self._numbers[route] = len(self.routes)
            self.routes.append(route)
        return number

    def _typed(self, path: str) -> str:
        segments = self._segments
        parts = path.split("/")
        for place, part in enumerate(parts):
            if not part:
                continue
            known = segments.get(part)
            if known is None:
                if len(segments) >= _MEMORY:
                    segments.clear()
                known = segments[part] = typed(part)
            parts[place] = known
        return "/".join(parts)


def typed(segment: str) -> str:
    """The segment, or the variable that its form alone says it is."""
    if segment in _RESERVED:
        return segment
    for pattern, variable in _TYPED:
        if pattern.match(segment):
            # `18f3a9c05d21.json`: the file's kind is part of the endpoint.
            kind = _SUFFIX.match(segment)
            return variable + kind[2] if kind else variable
    return segment


def endpoints(
    routes: list[Route],
    requests: list[int],
    known: Callable[[Route], "Endpoint | None"] | None = None,
) -> list[Endpoint]:
    """The endpoint of every route; `requests` counts the requests of each.

    Those that are `known` beforehand come first, and are no others' family.

    Under one parent (method and the segments before, whatever the host is called), ten or more
    distinct names of which most were asked for only now and then, and which are followed by the
    same segments, are values of a variable rather than names (sibling cardinality). Of names with a
    digit in them, as values have and names seldom, a few are enough; one that is seldom asked for,
    and has a digit or may be base64url, is an id where others beside it are, and one that mixes
    its letters as base64url does is however often it is asked for. The same holds for the
    operations of one path, of which an API has as many as names at the top.
    """
    settled: dict[int, Endpoint] = {}
    for n, route in enumerate(routes if known is not None else ()):
        found_already = known(route) if known is not None else None
        if found_already is not None:
            settled[n] = found_already
    templates = [route.path.split("/") for route in routes]
    deepest = max((len(t) for t in templates), default=0)
    for depth in range(1, deepest):
        families: dict[Family, list[int]] = defaultdict(list)
        of_ids: set[Family] = set()
        for number, (route, parts) in enumerate(zip(routes, templates, strict=True)):
            if depth >= len(parts) or not parts[depth] or number in settled:
                continue
            before, after = tuple(parts[:depth]), tuple(parts[depth + 1 :])
            family = route.method, route.operation, before, after
            if parts[depth] == _ID:
                of_ids.add(family)
            elif not _is_fixed(parts[depth]):
                families[family].append(number)
        for family, numbers in families.items():
            for n in numbers if family in of_ids else ():
                one = templates[n][depth]
                seldom = requests[n] * RARE <= 1
                if ((_is_value(one) or _MIXED.match(one)) and seldom) or _is_random(one):
                    templates[n][depth] = _ID
            numbers = [n for n in numbers if templates[n][depth] != _ID]
            # Names of an API are few and asked for often; values are many and each is rare.
            many = MANY_AT_TOP if depth == 1 else MANY_VALUES
            like_values = [n for n in numbers if _is_value(templates[n][depth])]
            for some, least in ((numbers, many), (like_values, many if depth == 1 else MANY_LIKE)):
                names = {templates[n][depth] for n in some}
                asked = sum(requests[n] for n in some)
                if len(names) >= least and len(names) >= RARE * asked:
                    for n in some:
                        # One variable, whether its values are names or numbers.
                        templates[n][depth] = _ID if family in of_ids else "{name}"
                    break
    found = [
        settled.get(n) or Endpoint(route.method, route.host, "/".join(parts), route.operation)
        for n, (route, parts) in enumerate(zip(routes, templates, strict=True))
    ]
    by_path: dict[Endpoint, list[int]] = defaultdict(list)
    for number, endpoint in enumerate(found):
        if endpoint.operation and number not in settled:
            by_path[endpoint._replace(operation="")].append(number)
    for numbers in by_path.values():
        operations = {found[n].operation for n in numbers}
        asked = sum(requests[n] for n in numbers)
        if len(operations) >= MANY_AT_TOP and len(operations) >= RARE * asked:
            for n in numbers:
                parameter, equals, _ = found[n].operation.partition("=")
                kept = parameter + equals if parameter.startswith("?") else ""
                found[n] = found[n]._replace(operation=kept + "{name}")
    return found


def is_like_value(segment: str) -> bool:
    """Whether a segment may be the value of a variable, by what it is made of."""
    if segment.startswith("{"):
        return True
    return _is_value(segment) or _MIXED.match(segment) is not None


def _is_random(segment: str) -> bool:
    """Whether it mixes capitals and small letters as base64url does, and no name."""
    humps = _HUMP.findall(segment)
    unsayable = sum(_VOWEL.search(hump) is None for hump in humps)
    return unsayable >= UNSAYABLE and _MIXED.match(segment) is not None


def _is_value(segment: str) -> bool:
    return not _is_fixed(segment) and any(map(str.isdigit, segment))


def _is_fixed(segment: str) -> bool:
    return segment.startswith("{") or segment in _RESERVED
