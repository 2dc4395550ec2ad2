"""What is an id in a recording, and ids of other kinds in their place.

Law: the same id, however often and wherever it stands, has the same replacement, and no two ids
have one in common. An id is learned from where it is asked by (segments of paths, values of
queries, request ids), from names that say so, and from members of answers that keep repeating what
was asked; a number that merely looks like one stays.
"""

import base64
import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from captures.vary import jsontext
from captures.vary.jsontext import Members, Number, Tree
from captures.vary.messages import Message

_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*\Z")
_NEVER = re.compile(r"v\d+|\d{4}-(?:\d\d|W\d\d)(?:-.*)?|.*\D{16}.*|[a-z]{1,2}[1-9]", re.IGNORECASE)
_ID_NAME = re.compile(r"(?:.*[_-])?(?:id|ids|uuid|guid)|.*[a-z](?:Id|Ids|ID)")
_COUNT = re.compile(
    r".*(?:page|size|limit|offset|count|total|amount|quantity|qty|seq|version|year|month|week|day"
    r"|hour|minute|second|events?|base|status|code|rate|price|sum|number|level|score|weight"
    r"|width|height)s?",
    re.IGNORECASE,
)
_REQUEST_ID = re.compile(rb"(?:x-)?(?:request|correlation|trace)-id\Z")
_SESSION = re.compile(r"=([0-9A-Za-z]{8,64})(?:;|$)")
LONG = 4  # characters of an id that is told from a number or a word by chance
_WORDS = """amber birch cedar delta ember fjord grove heron iris juniper kestrel larch maple
north otter pearl quartz raven slate thistle umber violet willow yarrow
zephyr arrow brook coral dune elm flint glade""".split()  # noqa: SIM905


def is_id(text: str) -> bool:
    """Whether a segment or value has the form of an id: digits, a UUID, hex, or with a prefix."""
    return (
        len(text) <= 64
        and any(one.isdigit() for one in text)
        and _TOKEN.match(text) is not None
        and _NEVER.fullmatch(text) is None
    )


def says_count(name: str) -> bool:
    """Whether the name of a parameter or member says that its value is no id."""
    return _COUNT.fullmatch(name) is not None


def canonical(text: str) -> str:
    """One spelling of an id: a number without leading zeros."""
    return text.lstrip("0") or "0" if text.isdigit() else text


@dataclass(slots=True)
class Vocabulary:
    """What a recording's exchanges tell about its words.

    `ids` are the ids asked by, `names` the members that hold ids, `queried` the identifiers of
    GraphQL documents, `roots` the first segments of paths, `hosts` the values of Host.
    """

    ids: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    queried: set[str] = field(default_factory=set)
    roots: set[str] = field(default_factory=set)
    hosts: set[bytes] = field(default_factory=set)


def learn(exchanges: Iterable[tuple[Message, Message | None]]) -> Vocabulary:
    """The vocabulary of a recording's exchanges."""
    told = Vocabulary()
    # By what is asked, and a member's name: it may repeat that here and tell of others there.
    seen: Counter[tuple[str, str]] = Counter()
    echoed: Counter[tuple[str, str]] = Counter()
    named: set[str] = set()
    for request, response in exchanges:
        target = request.target.decode("latin-1")
        path = _map_target(target.partition("?")[0], lambda _: "*")
        asked = set(ids_of_target(target))
        for header, _, content, _ in request.fields:
            text = content.decode("latin-1")
            if _REQUEST_ID.match(header.lower()) and is_id(text):
                asked.add(canonical(text))
            if header.lower() == b"cookie":
                asked |= {canonical(one) for one in _SESSION.findall(text) if is_id(one)}
        told.ids |= asked
        told.hosts |= set(request.values(b"host"))
        told.roots.add(root(target))
        sent = scalars(request)
        told.queried |= {
            word
            for name, value in sent
            if name == "query"
            for word in re.findall(r"[A-Za-z_]\w*", value)
        }
        made = response.values(b"location") if response else []
        created = {one for link in made for one in ids_of_target(link.decode("latin-1"))}
        told.ids |= created
        wanted = asked | created | {canonical(value) for _, value in sent if is_id(value)}
        got = scalars(response) if response else []
        given = {canonical(value) for _, value in got}
        for name, value in sent:
            seen[path, name] += 1
            echoed[path, name] += canonical(value) in given
        for name, value in got:
            seen[path, name] += 1
            echoed[path, name] += canonical(value) in wanted
        named |= {
            canonical(value)
            for name, value in (*sent, *got)
            if _ID_NAME.fullmatch(name) and is_id(value)
        }
    told.roots.discard("")
    told.names = {
        name
        for (path, name), times in seen.items()
        if _ID_NAME.fullmatch(name) or (2 * echoed[path, name] >= times and not says_count(name))
    }
    told.ids |= named
    return told


def scalars(message: Message) -> list[tuple[str, str]]:
    """The names and values of all numbers and strings in a JSON body."""
    parsed = jsontext.load(message.body or b"")
    return list(_scalars(parsed[0], "")) if parsed else []


def _scalars(tree: Tree, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, Members):
        for each, value in tree:
            yield from _scalars(value, each)
    elif isinstance(tree, list):
        for value in tree:
            yield from _scalars(value, name)
    elif isinstance(tree, str):
        yield name, str(tree)


def root(target: str) -> str:
    """The first segment of a target's path."""
    return re.split(r"[/?#]", target[1:], maxsplit=1)[0] if target.startswith("/") else ""


def ids_of_target(target: str) -> list[str]:
    """The ids in a target's path and query."""
    found: list[str] = []
    _map_target(target, lambda text: (found.append(canonical(text)), text)[1])  # type: ignore[func-returns-value]
    return found


class Replacement:
    """Ids of one kind for all ids of a recording."""

    def __init__(self, kind: str, vocabulary: Vocabulary, seed: int) -> None:
        self.kind, self.seed, self.known = kind, seed, vocabulary
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()
        for one in sorted(vocabulary.ids):
            self.of(one)

    def of(self, text: str) -> str:
        """The replacement of an id."""
        one = canonical(text)
        tries = 0
        while one not in self._given:
            made = _made(self.kind, f"{self.seed}/{one}/{tries}")
            if made not in self._taken:
                self._given[one] = made
                self._taken.add(made)
            tries += 1
        return self._given[one]

    def knows(self, text: str) -> bool:
        """Whether it is an id that somebody asked by."""
        return canonical(text) in self.known.ids

    def target(self, target: str) -> str:
        """A request target, or a link to one."""
        return _map_target(target, self.of)

    def tree(self, tree: Tree, name: str = "") -> Tree:
        """A JSON value; `name` is that of the member which holds it."""
        if isinstance(tree, Members):
            return Members((self._member(each), self.tree(value, each)) for each, value in tree)
        if isinstance(tree, list):
            return [self.tree(one, name) for one in tree]
        if isinstance(tree, Number):
            if name not in self.known.names or not tree.isdigit():
                return tree
            made = self.of(tree)
            return Number(made) if made.isdigit() else made
        return self._string(tree, name) if isinstance(tree, str) else tree

    def text(self, text: str, shortest: int = LONG) -> str:
        """Free text: whole words that are known ids, not those in numbers, dates and names."""
        return re.sub(
            r"(?<![\w:.\-/])[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*(?![\w:\-]|\.\w)",
            lambda word: (
                self.of(word[0])
                if len(word[0]) >= shortest and is_id(word[0]) and self.knows(word[0])
                else word[0]
            ),
            text,
        )

    def html(self, text: str) -> str:
        """HTML: links as targets, the rest as text."""
        linked = re.sub(
            r'((?:href|src|action)=")(/[^"]*)', lambda at: at[1] + self.target(at[2]), text
        )
        return self.text(linked, 2)

    def _member(self, name: str) -> str:
        return self.of(name) if len(name) >= LONG and is_id(name) and self.knows(name) else name

    def _string(self, text: str, name: str) -> str:
        if is_id(text):
            known = self.knows(text) and len(text) >= LONG and not says_count(name)
            return self.of(text) if known or name in self.known.names else text
        if text.startswith("/") and root(text) in self.known.roots and " " not in text:
            return self.target(text)
        if "/" in text and re.fullmatch(r"[\w./~%-]+", text):
            parts = text.split("/")
            return "/".join(self.of(p) if is_id(p) and self.knows(p) else p for p in parts)
        return self.text(text)


def _map_target(target: str, change: object) -> str:
    assert callable(change)
    if not target.startswith("/"):
        scheme = re.match(r"(https?://[^/?#]*)(/.*)\Z", target)
        return scheme[1] + _map_target(scheme[2], change) if scheme else target
    path, mark, query = target.partition("?")
    segments = []
    for segment in path.split("/"):
        stem, dot, extension = segment.partition(".")
        plain = is_id(stem) and (not dot or extension.isalnum())
        segments.append(f"{change(stem)}{dot}{extension}" if plain else segment)
    return "/".join(segments) + mark + "&".join(_map_pair(one, change) for one in query.split("&"))


def _map_pair(pair: str, change: object) -> str:
    assert callable(change)
    name, equals, value = pair.partition("=")
    bare = re.sub(r"\[(\w+)\]\Z", r"_\1", name)
    if not equals or bare == "q" or says_count(bare) or not is_id(value):
        return pair
    return f"{name}={change(value)}"


def _made(kind: str, seed: str) -> str:
    data = hashlib.sha256(f"{kind}/{seed}".encode()).digest()
    number = int.from_bytes(data[:8], "big")
    if kind == "uuid":
        return str(uuid.UUID(bytes=data[:16], version=4))
    if kind == "number":
        return str(10**9 + number % (9 * 10**9))
    if kind == "slug":
        words = [_WORDS[byte % len(_WORDS)] for byte in data[8:11]]
        return "-".join(words) + f"-{number % 1000}"
    return base64.urlsafe_b64encode(data[:12]).decode()
