"""Which tokens of its requests a route's responses repeat, learned while the capture passes by.

Law: what is learned does not depend on the order of the exchanges, so that any number of processes
learns the same; and it is small: counts, and where the few responses are that repeat nothing.

A token is a value of a request that its response may repeat: a segment of the path, a value of the
query, of a field of a form or of the JSON body, of a header that carries an id, of a cookie, a
claim of a JSON Web Token (RFC 7519), or the user of a basic authorization. Its *place* is where it
stands: `path[-1]`, `query:user`, `header:x-request-id`, `body:$.order.id`, `form:order`,
`cookie:member`, `jwt:$.sub`, `basic:user`. Where all but few of a route's responses repeat the
token of a place, one that doesn't is suspicious, whatever its shape.
"""

import binascii
import html
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt
import orjson

LAST = "path[-1]"
SHORTEST_TOKEN, LONGEST_TOKEN = 3, 128  # bytes
MOST_MISSES = 512  # of a place, beyond which its responses plainly don't repeat it
MOST_CONSTANT = 256  # requests with one and the same value: it tells none from another
MOST_PLACES = 24  # of one request
MOST_RULES = 65_536
TRIED = 512  # requests of a route, after which only the places that are repeated are looked at
_DEEPEST = 4
_MOST_VALUES = 1_000  # of one object or array that are looked at for a token
_MOST_COOKIES = 8
_KINDS = ("path", "query", "header", "body")  # that the kernel `search_tokens` knows, as it does
# Places that say who asks, not what for: nobody else may be given the answer.
_WHO = ("cookie", "jwt", "basic")
_PATH_PLACES = tuple(f"path[-{n}]" for n in range(1, 9))

_URL_SAFE = bytes.maketrans(b"-_", b"+/")  # RFC 4648 §5

Ints = npt.NDArray[np.int64]
Token = tuple[str, bytes]  # place, value
# Where an exchange is: connection, frame id (capture << 32 | frame) and seq of its request.
Position = tuple[int, int, int]

_ID_HEADER = re.compile(
    rb"(?im)^([a-z][a-z0-9-]*-id|idempotency-key|traceparent)[ \t]*:[ \t]*([!-~]{3,128})[ \t]*\r?$"
)
# What a client shows of itself: RFC 6265 §4.2, RFC 6750 §2.1.
_WHO_HEADER = re.compile(rb"(?im)^(cookie|authorization)[ \t]*:[ \t]*([^\r\n]*)")
_FORM = re.compile(rb"(?im)^content-type[ \t]*:[ \t]*application/x-www-form-urlencoded")
_JWT = re.compile(rb"(?:[Bb]earer[ \t]+)?eyJ[\w-]*\.(eyJ[\w-]+)\.[\w-]*\Z")
_DIGIT = re.compile(rb"\d")
_ENDING = re.compile(rb"\.[a-z]{2,5}\Z")
_UNRESERVED = re.compile(rb"[\w.~-]*")  # RFC 3986 section 2.3: what no format escapes
# Ids of one request, or of what it is a part of; other ids in headers say who asks.
_REQUEST_ID = re.compile(
    r"header:(?:traceparent|idempotency-key|.*(?:request|correlation|trace|span|transaction|message"
    r"|operation|attempt|call|event)-id)"
)
_LONGEST_ESCAPED = 1 << 20  # bytes of a text that is read without its escapes


@dataclass(frozen=True, slots=True)
class Places:
    """Places of a route's requests to look at, and of which kinds there are; `who`: who asks."""

    names: frozenset[str]
    header: bool
    body: bool
    who: bool

    @classmethod
    def of(cls, names: frozenset[str]) -> "Places":
        """These places."""
        kinds = {name.partition(":")[0] for name in names}
        body = not kinds.isdisjoint(("body", "form"))
        return cls(names, "header" in kinds, body, not kinds.isdisjoint(_WHO))


_NO_PLACES = Places.of(frozenset())


def tokens(
    target: bytes, head: bytes, body: bytes, wanted: Places | None = None
) -> Iterator[Token]:
    """The tokens of a request, from its target, its field lines and its body.

    `wanted` are the places to look at; all if None.
    """
    path, _, query = target.partition(b"#")[0].partition(b"?")
    for place, segment in zip(_PATH_PLACES, reversed(path.split(b"/")), strict=False):
        if segment and (wanted is None or place in wanted.names):
            yield place, _plain(segment)
    if query:
        yield from _pairs("query", query, wanted)
    if wanted is None or wanted.header:
        for name, value in _ID_HEADER.findall(head):
            yield f"header:{_text(name).lower()}", value
    if wanted is None or wanted.body:
        for place, value in _claims(body, "body:$"):
            if wanted is None or place in wanted.names:
                yield place, value
        if body[:1] not in (b"", b"{", b"[") and _FORM.search(head):
            yield from _pairs("form", body, wanted)
    if wanted is None or wanted.who:
        for place, value in _who(head):
            if wanted is None or place in wanted.names:
                yield place, value


def _pairs(kind: str, text: bytes, wanted: Places | None) -> Iterator[Token]:
    """The values of a query or a form (application/x-www-form-urlencoded)."""
    for pair in text.split(b"&", MOST_PLACES)[:MOST_PLACES]:
        name, _, value = pair.partition(b"=")
        place = f"{kind}:{_text(name)}"
        if value and (wanted is None or place in wanted.names):
            yield place, _plain(value.replace(b"+", b" "))


def _who(head: bytes) -> Iterator[Token]:
    """The tokens of whoever asks: cookies, and what JSON Web Tokens claim."""
    # As nearly all clients write it; the search through all lines takes much longer.
    if b"ookie:" not in head and b"uthorization:" not in head:
        return
    for header, line in _WHO_HEADER.findall(head):
        if header.lower() == b"authorization":
            yield from _authorized(line.strip())
            continue
        for pair in line.split(b";", _MOST_COOKIES)[:_MOST_COOKIES]:
            name, _, value = pair.strip().partition(b"=")
            value = value.strip(b'"')
            if value and len(value) <= LONGEST_TOKEN:
                yield f"cookie:{_text(name)}", _plain(value)
            else:
                yield from _jwt(value)


def _authorized(line: bytes) -> Iterator[Token]:
    """Whom credentials name: RFC 7617 §2, RFC 6750 §2.1."""
    scheme, _, credentials = line.partition(b" ")
    if scheme.lower() == b"basic":
        with suppress(binascii.Error):
            user = binascii.a2b_base64(credentials).partition(b":")[0]
            if user:
                yield "basic:user", user
    else:
        yield from _jwt(line)


def _jwt(text: bytes) -> Iterator[Token]:
    found = _JWT.match(text)
    if found:
        payload = found[1]
        with suppress(binascii.Error):
            decoded = binascii.a2b_base64(payload.translate(_URL_SAFE) + b"=" * (-len(payload) % 4))
            yield from _claims(decoded, "jwt:$")


def _claims(text: bytes, place: str) -> Iterator[Token]:
    """The tokens of a JSON object."""
    if text.lstrip()[:1] != b"{":
        return
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    yield from scalars(value, place)


def parts(place: str) -> tuple[int, int, bytes] | None:
    """A place as the kernel `search_tokens` takes it: kind, number and name; None if it cannot."""
    if place in _PATH_PLACES:
        return 0, _PATH_PLACES.index(place) + 1, b""
    kind, _, name = place.partition(":")
    if kind not in _KINDS:
        return None
    return _KINDS.index(kind), 0, name.encode("utf-8" if kind == "body" else "latin-1")


def says_who(place: str) -> bool:
    """Whether the tokens of a place say who asks, and not what is asked for."""
    kind = place.partition(":")[0]
    return kind in _WHO or (kind == "header" and not _REQUEST_ID.fullmatch(place))


def scalars(value: object, place: str = "$", deep: int = 0) -> Iterator[Token]:
    """The strings and whole numbers in the objects of a JSON value, each with its path."""
    if isinstance(value, str):
        yield place, value.encode("utf-8", "replace")
    elif isinstance(value, int) and not isinstance(value, bool):
        yield place, b"%d" % value
    elif isinstance(value, dict) and deep < _DEEPEST:
        for key, inner in islice(value.items(), MOST_PLACES):
            yield from scalars(inner, f"{place}.{key}", deep + 1)


def places_of(token: bytes, value: object) -> set[str]:
    """Where in a JSON value a token stands, items of an array not told apart: `$.items[].id`."""
    return {
        name
        for place, leaf in _leaves(value)
        for name, text in scalars(leaf, place)
        if repeats(token, text)
    }


def lists_of_others(token: bytes, value: object) -> set[str]:
    """The places in arrays of a JSON value that hold something else than a token, too."""
    return {
        place
        for place, leaf in _leaves(value)
        if "[]" in place and not any(repeats(token, text) for _, text in scalars(leaf, place))
    }


def _leaves(value: object, place: str = "$", deep: int = 0) -> Iterator[tuple[str, object]]:
    """What stands in the objects and arrays of a JSON value, each with its path."""
    if not isinstance(value, dict | list):
        yield place, value
    elif deep < _DEEPEST:
        named = (
            ((f"{place}.{key}", inner) for key, inner in value.items())
            if isinstance(value, dict)
            else ((f"{place}[]", inner) for inner in value)
        )
        for name, inner in islice(named, _MOST_VALUES):
            yield from _leaves(inner, name, deep + 1)


def may_repeat(status: int) -> bool:
    """Whether a response of this status has all that was asked for: no error, and not a part."""
    return status < 400 and status != 206


def repeats(token: bytes, text: bytes) -> bool:
    """Whether `text` has `token` in it as a whole: not as a part of a longer word or number."""
    at = text.find(token)
    while at >= 0:
        end = at + len(token)
        if not text[end : end + 1].isalnum() and not text[max(0, at - 1) : at].isalnum():
            return True
        at = text.find(token, end)
    return False


def echoed(token: bytes, text: bytes) -> bool:
    """Whether `text` repeats `token`, also in another spelling that names the same.

    In capitals or small letters, with other leading zeros, without the ending of a file name, or
    escaped as URLs, HTML, XML and JSON have it.
    """
    if repeats(token, text):
        return True
    if len(text) > _LONGEST_ESCAPED:
        return False
    if token.isdigit():
        return _padded(token.lstrip(b"0"), text)
    token, text = token.lower(), text.lower()
    stem = _ENDING.sub(b"", token)
    if repeats(token, text) or (len(stem) >= SHORTEST_TOKEN and repeats(stem, text)):
        return True
    if _UNRESERVED.fullmatch(token):
        return False
    return any(repeats(token, reading) for reading in _readings(text))


def _padded(digits: bytes, text: bytes) -> bool:
    """Whether `text` has a number, with any zeros before it."""
    at = text.find(digits)
    while at >= 0 and digits:
        end, begin = at + len(digits), at
        while begin and text[begin - 1] == 0x30:
            begin -= 1
        if not text[end : end + 1].isalnum() and not text[max(0, begin - 1) : begin].isalnum():
            return True
        at = text.find(digits, end)
    return False


def _readings(text: bytes) -> Iterator[bytes]:
    """A text without the escapes that it may have."""
    if b"&" in text:
        yield html.unescape(text.decode("utf-8", "replace")).encode("utf-8", "replace")
    if b"%" in text or b"+" in text:
        yield unquote_to_bytes(text.replace(b"+", b" "))
    if b"\\" in text:
        # Every escape of JSON (RFC 8259 section 7) but those that a URL's token does not have.
        with suppress(orjson.JSONDecodeError):
            yield orjson.dumps(orjson.loads(text)).decode().lower().encode()


def token_of(target: bytes) -> bytes:
    """What of a target the response most likely repeats: its last path segment with a digit."""
    path = target.partition(b"?")[0]
    segment = path[path.rfind(b"/") + 1 :]
    if segment.isdigit() and len(segment) >= SHORTEST_TOKEN:
        return segment
    while path:
        path, _, segment = path.rpartition(b"/")
        if len(segment) >= SHORTEST_TOKEN and _DIGIT.search(segment):
            return segment
    return b""


def _plain(value: bytes) -> bytes:
    return unquote_to_bytes(value) if b"%" in value else value


def _text(name: bytes) -> str:
    return name[:LONGEST_TOKEN].decode("latin-1")


@dataclass(slots=True)
class Rule:
    """What is known of one place of one route.

    `asked` counts the requests with a token there, `misses` has those whose response doesn't repeat
    it; `first` is the value met there as long as there is but one, and `varies` whether there were
    others. A rule that tells nothing is `dead`.
    """

    asked: int = 0
    misses: list[Position] = field(default_factory=list)
    first: bytes = b""
    varies: bool = False
    dead: bool = False

    def value(self, token: bytes) -> None:
        """Note a value met at the place."""
        if self.varies:
            return
        if not self.first:
            self.first = token
        elif token != self.first:
            self.varies, self.first = True, b""

    def miss(self, positions: list[Position]) -> None:
        """Note responses that don't repeat the token."""
        self.misses += positions
        if len(self.misses) > MOST_MISSES:
            self.kill()

    def kill(self) -> None:
        """Learn no more here."""
        self.dead = True
        self.misses = []

    def add(self, other: "Rule") -> None:
        """Join what another process has learned of the same place."""
        self.asked += other.asked
        if other.varies:
            self.varies, self.first = True, b""
        elif other.first:
            self.value(other.first)
        if other.dead:
            self.kill()
        if not self.dead:
            self.miss(other.misses)
        if self.is_constant:
            self.kill()

    @property
    def is_constant(self) -> bool:
        """Whether many requests had one and the same value."""
        return self.asked >= MOST_CONSTANT and not self.varies


Rules = dict[tuple[int, str], Rule]  # by route and place


@dataclass(slots=True)
class Echoes:
    """Learns the rules of all routes."""

    rules: Rules = field(default_factory=dict)
    _seen: dict[int, int] = field(default_factory=dict)
    # The places of each route that may still turn out to be repeated.
    _alive: dict[int, Places] = field(default_factory=dict)

    def wants(self, route: int) -> bool:
        """Whether a route's exchanges still have to be looked at."""
        return self.tries(route) or bool(self.alive(route))

    def tries(self, route: int) -> bool:
        """Whether a route is so new that any place may turn out to be repeated."""
        return self._seen.get(route, 0) < TRIED

    def alive(self, route: int) -> dict[str, Rule]:
        """The places that may be repeated, in a fixed order, with what is known of each."""
        known = self._alive.get(route)
        return {place: self.rules[(route, place)] for place in sorted(known.names)} if known else {}

    def places(self, route: int) -> Places | None:
        """The places of a route's requests that matter; None: all."""
        return None if self.tries(route) else self._alive.get(route, _NO_PLACES)

    def see(
        self,
        route: int,
        found: Iterable[Token],
        head: bytes,
        body: bytes,
        position: Callable[[], Position],
    ) -> None:
        """Learn from one exchange: the request's tokens, the response's field lines and body."""
        seen = self._seen[route] = self._seen.get(route, 0) + 1
        for place, value in islice(found, MOST_PLACES):
            if not SHORTEST_TOKEN <= len(value) <= LONGEST_TOKEN:
                continue
            rule = self.rules.get((route, place))
            if rule is None:
                if seen > TRIED or len(self.rules) >= MOST_RULES:
                    continue
                rule = self.rules[(route, place)] = Rule()
                self._revive(route, place)
            if rule.dead:
                continue
            rule.asked += 1
            rule.value(value)
            if not echoed(value, body) and not repeats(value, head):
                rule.miss([position()])
            if rule.dead or rule.is_constant:
                rule.kill()
                self._give_up(route, place)

    def _revive(self, route: int, place: str) -> None:
        known = self._alive.get(route)
        self._alive[route] = Places.of((known.names if known else frozenset()) | {place})

    def _give_up(self, route: int, place: str) -> None:
        self._alive[route] = Places.of(self._alive[route].names - {place})

    def count(self, route: int, place: str, asked: int) -> None:
        """Learn from responses that repeat the token of a place whose values are known to vary."""
        self.rules[(route, place)].asked += asked


def renumbered(rules: Rules, connections: Ints) -> Rules:
    """The rules, with new numbers of connections by the old ones."""
    found = {}
    for key, rule in rules.items():
        misses = [(int(connections[number]), frame, seq) for number, frame, seq in rule.misses]
        found[key] = replace(rule, misses=misses) if misses else rule
    return found


def join(first: Rules, others: Rules, route: Ints, offset: int) -> None:
    """Add the rules of another process to `first`: its routes and connections renumbered."""
    for (number, place), rule in others.items():
        rule.misses = [(connection + offset, frame, seq) for connection, frame, seq in rule.misses]
        first.setdefault((int(route[number]), place), Rule()).add(rule)
