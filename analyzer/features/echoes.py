"""Which tokens of its requests a route's responses repeat, learned while the capture passes by.

Law: what is learned are sums that commute. Whatever the order of the exchanges, the shares they are
read in, the blocks and the kernels, the same comes out; where there is too much to keep, names and
fixed hashes decide what goes, never what came first.

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
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes
from zlib import crc32

import numpy as np
import numpy.typing as npt
import orjson

from analyzer import compiled
from analyzer.features.watched import Watched

LAST = "path[-1]"
SHORTEST_TOKEN, LONGEST_TOKEN = 2, 128  # bytes
MOST_MISSES = 512  # of a place that are told one by one; of more it is known that there are more
MOST_TOKENS = 24  # of one request
MOST_PLACES = 64  # of one route
MOST_RULES = 65_536
SAMPLE = 8  # of so many exchanges one is looked at for places that are given up, too
MOST_VALUES = 32  # hashes of values kept of a place; up to so many are counted, more estimated
_DEEPEST = 4
_MOST_LEAVES = 1_000  # of one object or array that are looked at for a token
_MOST_COOKIES = 8
# Numbered as the kernel `search_tokens` does.
KINDS = ("path", "query", "header", "body", "form", "cookie", "jwt", "basic")
_OF_JSON = ("body", "jwt")
_DATA_DIGITS = 4  # so many digits make a place's name data: an id or a date
# Places that say who asks, not what for: nobody else may be given the answer.
_WHO = ("cookie", "jwt", "basic")
_PATH_PLACES = tuple(f"path[-{n}]" for n in range(1, 9))

_URL_SAFE = bytes.maketrans(b"-_", b"+/")  # RFC 4648 §5

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Token = tuple[str, bytes]  # place, value
# Where an exchange is: connection, frame id (capture << 32 | frame) and seq of its request.
Position = tuple[int, int, int]

_ID_HEADER = re.compile(
    rb"(?im)^([a-z][a-z0-9-]*-id|idempotency-key|traceparent)[ \t]*:[ \t]*([!-~]{3,128})[ \t]*\r?$"
)
# What a client shows of itself: RFC 6265 §4.2, RFC 6750 §2.1.
_WHO_HEADER = re.compile(rb"(?im)^(cookie|authorization):[ \t]*([^\r\n]*)")
_FORM = re.compile(rb"(?im)^content-type[ \t]*:[ \t]*application/x-www-form-urlencoded")
_JWT = re.compile(rb"(?:[Bb]earer[ \t]+)?eyJ[\w-]*\.(eyJ[\w-]+)\.[\w-]*\Z")
_DIGIT = re.compile(rb"\d")
_ENDING = re.compile(rb"\.[a-z]{2,5}\Z")
_BETWEEN = re.compile(rb"[-_.~+ ]+|%20")  # the words of a slug
_LETTER = re.compile(rb"[G-Zg-z]")  # no UUID or hash has one
_LONG_WORD = 3  # bytes that at least one word of a slug has
_UNRESERVED = re.compile(rb"[\w.~-]*")  # RFC 3986 section 2.3: what no format escapes
# Ids of one request, or of what it is a part of; other ids in headers say who asks.
_REQUEST_ID = re.compile(
    r"header:(?:traceparent|idempotency-key|.*(?:request|correlation|trace|span|transaction|message"
    r"|operation|attempt|call|event)-id)"
)
_LONGEST_PLACE = 512  # characters
_WORD = 0xFFFFFFFFFFFFFFFF
_LONGEST_ESCAPED = 1 << 20  # bytes of a text that is read without its escapes


def tokens(target: bytes, head: bytes, body: bytes) -> Iterator[Token]:
    """The tokens of a request, from its target, its field lines and its body.

    Those of any length come; only those of SHORTEST_TOKEN to LONGEST_TOKEN bytes tell anything.
    """
    path, _, query = target.partition(b"#")[0].partition(b"?")
    for place, segment in zip(_PATH_PLACES, reversed(path.split(b"/")), strict=False):
        if segment:
            yield place, _plain(segment)
    if query:
        yield from _pairs("query", query)
    for name, value in _ID_HEADER.findall(head):
        yield f"header:{_text(name).lower()}", value
    yield from _claims(body, "body:$")
    if body[:1] not in (b"", b"{", b"[") and _FORM.search(head):
        yield from _pairs("form", body)
    yield from _who(head)


def _pairs(kind: str, text: bytes) -> Iterator[Token]:
    """The values of a query or a form (application/x-www-form-urlencoded)."""
    for pair in text.split(b"&", MOST_TOKENS)[:MOST_TOKENS]:
        name, _, value = pair.partition(b"=")
        if value:
            yield f"{kind}:{_text(name)}", _plain(value.replace(b"+", b" "))


def _who(head: bytes) -> Iterator[Token]:
    """The tokens of whoever asks: cookies, and what JSON Web Tokens claim."""
    # The search through all lines takes much longer.
    low = head.lower()
    if b"cookie:" not in low and b"authorization:" not in low:
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


@lru_cache(4_096)
def parts(place: str) -> tuple[int, int, bytes]:
    """A place as the kernel `search_tokens` knows it: kind, number and name."""
    if place in _PATH_PLACES:
        return 0, _PATH_PLACES.index(place) + 1, b""
    kind, _, name = place.partition(":")
    if kind == "basic":
        name = ""
    return KINDS.index(kind), 0, name.encode("utf-8" if kind in _OF_JSON else "latin-1")


@lru_cache(4_096)
def rank(place: str) -> int:
    """The order of a route's places: those that come first are learned.

    Keys of maps, which are data, are often many and come last: their names are long or have many
    digits. Otherwise the order is that of a hash: any that does not depend on the capture does.
    """
    kind, number, name = parts(place)
    data = len(name) > LONGEST_TOKEN or sum(name.count(b"%d" % n) for n in range(10)) >= (
        _DATA_DIGITS
    )
    return data << 32 | crc32(name, kind << 4 | number)


@lru_cache(8_192)
def value_hash(value: bytes) -> int:
    """31 bits that stand for a value: its CRC-32, mixed by the finalizer of MurmurHash3."""
    mixed = crc32(value)
    mixed = (mixed ^ mixed >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return (mixed ^ mixed >> 16) >> 1


def in_sample(frame: Any, seq: Any) -> Any:
    """Whether an exchange is of the sample, by frame id and seq of its request.

    Takes numbers, or arrays of np.uint64 with which it counts as with numbers.
    """
    mixed = (frame * 0x9E3779B97F4A7C15 + seq * 0xC2B2AE3D27D4EB4F) & _WORD
    mixed = ((mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93) & _WORD
    return (mixed >> 32) % SAMPLE == 0


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
        for key, inner in islice(value.items(), MOST_TOKENS):
            yield from scalars(inner, f"{place}.{key}", deep + 1)


class Leaves(NamedTuple):
    """What stands in the objects and arrays of a JSON value: paths with their texts, if they are.

    Items of an array are not told apart: `$.items[].id`. `texts` are all of them, a line each.
    """

    each: list[tuple[str, bytes | None]]
    texts: bytes

    @classmethod
    def of(cls, value: object) -> "Leaves":
        """Those of a value."""
        each = [
            (place, next((text for _, text in scalars(leaf)), None))
            for place, leaf in _leaves(value)
        ]
        return cls(each, b"\n".join(text for _, text in each if text is not None))


def places_of(token: bytes, leaves: Leaves) -> set[str]:
    """Where in a JSON value a token stands."""
    if token not in leaves.texts and not _is_written_out(token, leaves.texts):
        return set()  # as nearly always
    return {
        place
        for place, text in leaves.each
        if text is not None and (repeats(token, text) or _is_written_out(token, text))
    }


def lists_of_others(token: bytes, leaves: Leaves) -> set[str]:
    """The places in arrays of a JSON value that hold something else than a token, too."""
    return {
        place
        for place, text in leaves.each
        if "[]" in place and (text is None or not repeats(token, text))
    }


def _leaves(value: object, place: str = "$", deep: int = 0) -> Iterator[tuple[str, object]]:
    """What stands in the objects and arrays of a JSON value, each with its path.

    A tuple has several values, as the events of a stream are, which are no deeper for that.
    """
    if isinstance(value, tuple):
        for one in value[:_MOST_LEAVES]:
            yield from _leaves(one, f"{place}[]", deep)
    elif not isinstance(value, dict | list):
        yield place, value
    elif deep < _DEEPEST:
        named = (
            ((f"{place}.{key}", inner) for key, inner in value.items())
            if isinstance(value, dict)
            else ((f"{place}[]", inner) for inner in value)
        )
        for name, inner in islice(named, _MOST_LEAVES):
            yield from _leaves(inner, name, deep + 1)


def may_repeat(status: int) -> bool:
    """Whether a response of this status has all that was asked for: no error, and not a part."""
    return status < 400 and status != 206


def repeats(token: bytes, text: bytes) -> bool:
    """Whether `text` has `token` in it as a whole: not as a part of a longer word or number."""
    at = text.find(token)
    while at >= 0 and token:
        end = at + len(token)
        if not text[end : end + 1].isalnum() and not text[max(0, at - 1) : at].isalnum():
            return True
        at = text.find(token, end)
    return False


def echoed(token: bytes, text: bytes) -> bool:
    """Whether `text` repeats `token`, also in another spelling that names the same.

    In capitals or small letters, with other leading zeros, without the ending of a file name, with
    other signs between its words, or escaped as URLs, HTML, XML and JSON have it.
    """
    return repeats(token, text) or _Said(text).otherwise(token)


class _Said:
    """What a response says, where several tokens are looked for: in small letters only once."""

    __slots__ = ("_absent", "_low", "_text")

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._low: bytes | None = None
        self._absent: set[bytes] = set()  # in small letters: what is nowhere, in any letters

    def repeats(self, token: bytes, likely: bool) -> bool:
        """Whether the text repeats the token to the letter.

        That is so or not whether it is `likely` or not: one of two ways to find out is shorter.
        """
        if not likely and self._is_absent(token.lower()):
            return False
        return repeats(token, self._text)

    def otherwise(self, token: bytes) -> bool:
        """Whether the text, which does not repeat the token to the letter, has it spelled
        otherwise.
        """
        text = self._text
        if len(text) > _LONGEST_ESCAPED:
            return False
        if token.isdigit():
            digits = token.lstrip(b"0")
            return digits not in self._absent and _padded(digits, text)
        token = token.lower()
        if token.isalnum() and self._is_absent(token):
            return False  # it has no ending, one word, and nothing to escape
        text = self._in_small_letters()
        stem = _ENDING.sub(b"", token)
        if repeats(token, text) or (len(stem) >= SHORTEST_TOKEN and repeats(stem, text)):
            return True
        if _is_written_out(token, text):
            return True
        if _UNRESERVED.fullmatch(token):
            return False
        return any(repeats(token, reading) for reading in _readings(text))

    def _is_absent(self, token: bytes) -> bool:
        if token not in self._absent:
            if token in self._in_small_letters():
                return False
            self._absent.add(token)
        return True

    def _in_small_letters(self) -> bytes:
        if self._low is None:
            self._low = self._text.lower()
        return self._low


@lru_cache
def in_words(token: bytes) -> re.Pattern[bytes] | None:
    """What finds a slug where it is written out, in small letters: `a-field-1` in "a field #1".

    None for what has no words to be told apart: a number with its signs is no slug.
    """
    words = [word for word in _BETWEEN.split(token) if word]
    if len(words) < 2 or max(map(len, words)) < _LONG_WORD or not _LETTER.search(token):
        return None
    first, *others = (re.escape(word.lower()) for word in words)
    # The first word stands ahead of what it must not follow, so that it is what is searched for.
    begin = rb"%s(?<![0-9a-z]%s)" % (first, first)
    return re.compile(rb"[^0-9a-z]{1,4}".join([begin, *others]) + rb"(?![0-9a-z])")


def _is_written_out(token: bytes, text: bytes) -> bool:
    words = in_words(token)
    return words is not None and words.search(text.lower()) is not None


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
    """What is known of one place of one route: sums over its exchanges.

    `asked` counts the requests with a token there, `missed` the responses that don't repeat it, up
    to MOST_MISSES + 1, and `misses` says where those are. With more of them the place is given up
    (`dead`): nothing is known one by one, and how often it is repeated comes from the sample, of
    which `tried` counts the tokens and `found` those repeated to the letter. `values` are the least
    hashes of the values met, each once, in their order.
    """

    asked: int = 0
    missed: int = 0
    misses: list[Position] = field(default_factory=list)
    tried: int = 0
    found: int = 0
    values: "array[int]" = field(default_factory=lambda: array("I"))

    @property
    def dead(self) -> bool:
        """Whether more responses than MOST_MISSES don't repeat the token."""
        return self.missed > MOST_MISSES

    @property
    def hits(self) -> int:
        """How many responses repeat the token; where it is given up, as the sample has it."""
        if not self.dead:
            return self.asked - self.missed
        share = self.found / self.tried if self.tried else 0.0
        return min(round(self.asked * share), self.asked - self.missed)

    @property
    def varies(self) -> bool:
        """Whether there were different values."""
        return len(self.values) > 1

    @property
    def distinct(self) -> int:
        """How many different values there were: exact below MOST_VALUES, then within some 20 %.

        The k least of n hashes, spread evenly, reach up to k / n of their range (k minimum values:
        Bar-Yossef and others, 2002). A value picked at random is another one's in 1 of so many.
        """
        if len(self.values) < MOST_VALUES:
            return len(self.values)
        return round((MOST_VALUES - 1) * (1 << 31) / (self.values[-1] + 1))

    def value(self, value: int) -> None:
        """Note the hash of a value met at the place."""
        values = self.values
        if len(values) == MOST_VALUES and value >= values[-1]:
            return
        at = bisect_left(values, value)
        if at == len(values) or values[at] != value:
            values.insert(at, value)
            del values[MOST_VALUES:]

    def miss(self, positions: list[Position], count: int) -> None:
        """Note that many responses that don't repeat the token; `positions` if they are known."""
        self.missed = min(self.missed + count, MOST_MISSES + 1)
        self.misses = [] if self.dead else self.misses + positions

    def add(self, other: "Rule") -> None:
        """Join what was learned elsewhere of the same place."""
        self.asked += other.asked
        self.tried += other.tried
        self.found += other.found
        for value in other.values:
            self.value(value)
        self.miss(other.misses, other.missed)


class Rules(dict[tuple[int, str], Rule]):
    """Rules by route and place; `end`: no route from there on, in their order, could be learned."""

    end = 1 << 64


@dataclass(slots=True)
class Echoes:
    """Learns the rules of all routes; `routes` says what each is: method, host and path.

    The rules are all there only after `finish`: the kernel counts by itself until then.
    """

    rules: Rules
    routes: Sequence[tuple[str, ...]]
    _known: dict[int, "_Known"] = field(default_factory=dict)
    _last: list[tuple[int, int]] = field(default_factory=list)  # routes learned, the last one first
    _count: int = 0
    _watched: Watched = field(default_factory=lambda: Watched(MOST_VALUES))

    def see(
        self, route: int, found: Iterable[Token], head: bytes, body: bytes, position: Position
    ) -> None:
        """Learn from one exchange: the request's tokens, the response's field lines and body."""
        known = self._known.get(route) or self._new_route(route)
        if known.closed:
            return
        sampled = in_sample(position[1], position[2])
        said = _Said(body)
        for place, value in islice(found, MOST_TOKENS):
            if not SHORTEST_TOKEN <= len(value) <= LONGEST_TOKEN:
                continue
            rule = known.rules.get(place) or self._new_place(route, known, place)
            if rule is None:
                continue
            rule.asked += 1
            rule.value(value_hash(value))
            if rule.missed > MOST_MISSES and not sampled:
                continue
            likely = 2 * rule.missed < rule.asked
            repeated = said.repeats(value, likely) or repeats(value, head)
            if sampled:
                rule.tried += 1
                rule.found += repeated
            if not repeated and not rule.dead and not said.otherwise(value):
                rule.miss([position], 1)
                if rule.dead:
                    self._watched.give_up(known.rows[place])

    def search(self, data: bytes, spans: Ints, routes: Ints, sampled: Mask, headers: Mask) -> Mask:
        """Learn from exchanges as they lie in `data`; returns which are left to be seen.

        `spans` is what the kernel takes, `headers` marks requests whose field lines may have
        tokens. The kernel learns where all tokens are at known places and plainly repeated.
        """
        watched = self._watched
        flags = sampled.astype(np.int64) | headers.astype(np.int64) << 1
        wanted = np.column_stack([watched.of(routes), flags])
        declined = np.ones(len(spans), dtype=np.uint8)
        compiled.kernels.search_tokens(
            data, spans, wanted, watched.places, watched.names, watched.counts, watched.values,
            declined,
        )  # fmt: skip
        left: Mask = declined != 0
        return left

    def finish(self) -> None:
        """Add what the kernel has counted to the rules."""
        watched = self._watched
        for known in self._known.values():
            for place, row in known.rows.items():
                asked, tried, found = watched.counts[row].tolist()
                values = watched.values[row]
                values = array("I", values[values != Watched.EMPTY].tolist())
                known.rules[place].add(Rule(asked, tried=tried, found=found, values=values))
        self._known.clear()

    def _new_route(self, route: int) -> "_Known":
        known = self._known[route] = _Known()
        order = _order(self.routes[route])
        if order >= self.rules.end:
            self._close(route)
        else:
            heappush(self._last, (-order, route))
        return known

    def _new_place(self, route: int, known: "_Known", place: str) -> Rule | None:
        """The rule of a place that is not known; None where others come first."""
        if known.closed or len(place) > _LONGEST_PLACE:
            return None
        if known.last:
            if _in_order(place) > known.last:
                return None
            self._drop(route, known, known.last[1])
        rule = known.rules[place] = self.rules[(route, place)] = Rule()
        known.rows[place] = self._watched.add(route, parts(place))
        self._count += 1
        if len(known.rules) == MOST_PLACES:
            known.last = max(map(_in_order, known.rules))
            self._watched.most(route, known.last[0])
        while self._count > MOST_RULES:
            order, last_route = heappop(self._last)
            self.rules.end = -order
            self._close(last_route)
        return None if known.closed else rule

    def _drop(self, route: int, known: "_Known", place: str) -> None:
        del known.rules[place], self.rules[(route, place)]
        self._watched.drop(route, known.rows.pop(place))
        self._count -= 1

    def _close(self, route: int) -> None:
        """Learn no more of a route, and forget what is known."""
        known = self._known[route]
        for place in list(known.rules):
            self._drop(route, known, place)
        known.closed = True
        self._watched.most(route, -1)


@dataclass(slots=True)
class _Known:
    """The places of a route: their rules, their rows for the kernel, and if it is full the last."""

    rules: dict[str, Rule] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    last: tuple[int, str] | None = None
    closed: bool = False


def _in_order(place: str) -> tuple[int, str]:
    return rank(place), place


def _order(route: tuple[str, ...]) -> int:
    """The order in which routes are learned, where there are too many."""
    name = "\0".join(route).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big")


def bounded(rules: Rules, routes: Sequence[tuple[str, ...]]) -> Rules:
    """The rules that are kept of these: of each route the first places, and as many routes, in
    their order, as have no more than MOST_RULES in all.

    What shares of the exchanges have kept is enough for that: among more exchanges a place or a
    route comes no sooner than among a part of them.
    """
    places: dict[int, list[str]] = defaultdict(list)
    for route, place in rules:
        places[route].append(place)
    found = Rules()
    for order, route in sorted((_order(routes[number]), number) for number in places):
        kept = sorted(places[route], key=_in_order)[:MOST_PLACES]
        if order >= rules.end or len(found) + len(kept) > MOST_RULES:
            break
        found.update({(route, place): rules[(route, place)] for place in kept})
    return found


def renumbered(rules: Rules, connections: Ints, routes: Ints) -> Rules:
    """The rules by new numbers of connections and routes by the old ones, misses in their order."""
    found = Rules()
    for (route, place), rule in rules.items():
        key = int(routes[route]), place
        misses = sorted(
            (int(connections[number]), frame, seq) for number, frame, seq in rule.misses
        )
        found[key] = replace(rule, misses=misses) if misses else rule
    return found


def join(first: Rules, others: Rules, route: Ints, offset: int) -> None:
    """Add the rules of another process to `first`: its routes and connections renumbered.

    There may be too many of them: `bounded` then says which are kept.
    """
    first.end = min(first.end, others.end)
    for (number, place), rule in others.items():
        rule.misses = [(connection + offset, frame, seq) for connection, frame, seq in rule.misses]
        first.setdefault((int(route[number]), place), Rule()).add(rule)
