"""Changes to what messages say: names, paths, ids, and the layout of JSON.

Law: what becomes of a message depends on that message, its client's address and what the whole
recording says, never on where it was captured. What a protocol gives a meaning stays.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from captures.vary import jsontext
from captures.vary.ids import Replacement, Vocabulary, root
from captures.vary.jsontext import Members, Tree
from captures.vary.messages import Message

PREFIX = "/gateway/x9"
_JSON_ROW = ("application/x-ndjson", "application/ndjson", "application/jsonl")
# Fields of a message that hold no ids of the application.
_PROTOCOL = re.compile(
    rb"(?:date|host|content-.*|etag|if-.*|keep-alive|server|user-agent|accept.*|connection|age"
    rb"|transfer-encoding|last-modified|cache-control|expires|via|sec-.*|upgrade|x-forwarded-.*"
    rb"|forwarded|retry-after|range|expect|te|trailer|vary|allow|x-cache|origin)\Z"
)
_LINKS = (b"location", b"content-location", b"referer")
# Members whose names protocols (JSON-RPC 2.0, GraphQL, RFC 9457) give a meaning, and those that
# tell a failure.
_KEPT = frozenset(
    """id method jsonrpc params result error errors data query operationName variables extensions
    message code status success ok detail details title type instance reason fault exception
    diagnostics severity issue""".split()  # noqa: SIM905
)


class Change(Protocol):
    """A change to messages."""

    def message(self, message: Message, client: bytes) -> Message:
        """What becomes of a message on a connection of that client (an IPv4 address)."""

    def target(self, target: str) -> str:
        """What becomes of a request target."""


def _as_it_is(target: str) -> str:
    return target


def mapped_json(message: Message, change: Callable[[Tree], Tree]) -> Message:
    """A message with each JSON text of its body changed: all of it, or its lines, or events."""
    body = message.body
    if not body:
        return message
    if message.media == "text/event-stream" or message.media in _JSON_ROW:
        return _mapped_rows(message, change)
    parsed = jsontext.load(body)
    if parsed is None:
        return message
    changed = jsontext.dump(change(parsed[0]), parsed[1])
    return message if changed == body else message.with_body(changed)


def _mapped_rows(message: Message, change: Callable[[Tree], Tree]) -> Message:
    def row(line: bytes) -> bytes:
        start = b"data: " if line.startswith(b"data: ") else b""
        parsed = jsontext.load(line[len(start) :])
        return start + jsontext.dump(change(parsed[0]), parsed[1]) if parsed else line

    def rows(data: bytes) -> bytes:
        return b"\n".join(row(line) for line in data.split(b"\n"))

    coded = bool(message.values(b"content-encoding"))
    if not coded and all(one.endswith(b"\n") for one in message.chunks):
        chunks = tuple(rows(one) for one in message.chunks)
        if chunks == message.chunks:
            return message
        return replace(message, chunks=chunks).relength(sum(map(len, chunks)))
    body = message.body or b""
    changed = rows(body)
    return message if changed == body else message.with_body(changed)


def mapped_text(message: Message, change: Callable[[str], str]) -> Message:
    """A message with the text of its body changed, if it is UTF-8 text and no JSON."""
    kind = message.media
    if not kind.startswith("text/") or kind == "text/event-stream":
        return message
    try:
        body = (message.body or b"").decode()
    except ValueError:
        return message
    changed = change(body)
    return message if changed == body else message.with_body(changed.encode())


def _strings(tree: Tree, change: Callable[[str], str]) -> Tree:
    if isinstance(tree, Members):
        return Members((name, _strings(value, change)) for name, value in tree)
    if isinstance(tree, list):
        return [_strings(one, change) for one in tree]
    if isinstance(tree, str) and not isinstance(tree, jsontext.Number):
        return change(tree)
    return tree


@dataclass(frozen=True, slots=True)
class Hosts:
    """Every client has a name of its own for each server."""

    known: Vocabulary
    seed: int
    target: Callable[[str], str] = _as_it_is

    def name(self, client: bytes, host: bytes) -> bytes:
        """The name, with the port that was there."""
        bare, colon, port = host.partition(b":")
        key = f"{self.seed}/".encode() + client + b"/" + bare
        digest = hashlib.sha256(key).hexdigest()
        return f"svc-{digest[:6]}.{digest[6:9]}.example".encode() + colon + port

    def message(self, message: Message, client: bytes) -> Message:
        """With that client's name in Host and in links to the same server."""

        def value(name: bytes, was: bytes) -> bytes:
            if name in (b"host", b"x-forwarded-host"):
                return self.name(client, was) if was else was
            for host in self.known.hosts if name in (*_LINKS, b"origin", b"link") else ():
                was = was.replace(b"://" + host, b"://" + self.name(client, host))
            return was

        return message.with_values(value)


@dataclass(frozen=True, slots=True)
class Prefix:
    """Another prefix in front of all paths, also of those that answers name as a whole."""

    known: Vocabulary

    def target(self, target: str) -> str:
        """With the prefix in front of the path."""
        if target.startswith("/"):
            return PREFIX + target
        scheme = re.match(r"(https?://[^/?#]*)(/.*)\Z", target)
        return scheme[1] + PREFIX + scheme[2] if scheme else target

    def link(self, text: str) -> str:
        """A string that is a path of this service, with the prefix."""
        own = text.startswith("/") and not re.search(r"\s", text) and root(text) in self.known.roots
        return PREFIX + text if own else text

    def message(self, message: Message, client: bytes) -> Message:
        """With the prefix in the target, in links and in bodies."""

        def value(name: bytes, was: bytes) -> bytes:
            text = was.decode("latin-1")
            if name in _LINKS:
                text = PREFIX + text if text.startswith("/") else text
            elif name == b"link":
                text = re.sub(r"<(/[^>]*)>", lambda at: f"<{PREFIX}{at[1]}>", text)
            return text.encode("latin-1")

        if message.target:
            changed = self.target(message.target.decode("latin-1"))
            message = message.with_target(changed.encode("latin-1"))
        message = mapped_json(message.with_values(value), lambda tree: _strings(tree, self.link))
        return mapped_text(message, self._html)

    def _html(self, text: str) -> str:
        pattern = r'((?:href|src|action)=")(/[^"]*)'
        return re.sub(pattern, lambda at: at[1] + self.link(at[2]), text)


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of another kind."""

    ids: Replacement

    def target(self, target: str) -> str:
        """With other ids in path and query."""
        return self.ids.target(target)

    def message(self, message: Message, client: bytes) -> Message:
        """With other ids in target, fields and body."""

        def value(name: bytes, was: bytes) -> bytes:
            if _PROTOCOL.match(name) and name not in _LINKS:
                return was
            text = was.decode("latin-1")
            if name in _LINKS:
                return self.ids.target(text).encode("latin-1")
            if name == b"link":
                text = re.sub(r"<([^>]*)>", lambda at: f"<{self.ids.target(at[1])}>", text)
                return text.encode("latin-1")
            return self.ids.text(text).encode("latin-1")

        if message.target:
            changed = self.target(message.target.decode("latin-1"))
            message = message.with_target(changed.encode("latin-1"))
        message = mapped_json(message.with_values(value), self.ids.tree)
        html = message.media == "text/html"
        return mapped_text(message, self.ids.html if html else self.ids.text)


@dataclass(frozen=True, slots=True)
class Fields:
    """Members of JSON objects under other names and in another order, the same everywhere."""

    known: Vocabulary
    seed: int
    target: Callable[[str], str] = _as_it_is

    def name(self, name: str) -> str:
        """Another name in the same style, if it is a name and has no meaning of its own."""
        if name in _KEPT or name in self.known.queried or not re.fullmatch(r"[A-Za-z_-]+", name):
            return name
        words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[_-]", name)
        return "".join(self._word(one) for one in words)

    def _word(self, word: str) -> str:
        if word in "_-":
            return word
        digest = hashlib.sha256(f"{self.seed}/{word.lower()}".encode()).digest()
        made = "".join("bdfgklmnprstvz"[a % 14] + "aeiou"[a // 14 % 5] for a in digest[:3])
        return made.title() if word[0].isupper() else made

    def tree(self, tree: Tree) -> Tree:
        """A JSON value with other names, in another order."""
        if isinstance(tree, Members):
            members = [(self.name(name), self.tree(value)) for name, value in tree]
            return Members(sorted(members, key=lambda one: self._rank(one[0])))
        return [self.tree(one) for one in tree] if isinstance(tree, list) else tree

    def _rank(self, name: str) -> bytes:
        return hashlib.sha256(f"{self.seed}/rank/{name}".encode()).digest()

    def message(self, message: Message, client: bytes) -> Message:
        """With other names in its body."""
        return mapped_json(message, self.tree)


@dataclass(frozen=True, slots=True)
class Pretty:
    """JSON answers indented, and those that were so on one line."""

    target: Callable[[str], str] = _as_it_is

    def message(self, message: Message, client: bytes) -> Message:
        """A response laid out the other way."""
        body = message.body
        parsed = jsontext.load(body) if message.status and body else None
        if parsed is None or message.media in _JSON_ROW:
            return message
        tree, layout = parsed
        other = jsontext.pretty if layout.indent is None else jsontext.compact
        return message.with_body(jsontext.dump(tree, other(layout)))


@dataclass(frozen=True, slots=True)
class Envelope:
    """Every JSON answer inside one envelope; those of JSON-RPC and GraphQL have their own."""

    target: Callable[[str], str] = _as_it_is

    def message(self, message: Message, client: bytes) -> Message:
        """A response with its body as `data`."""
        body = message.body
        parsed = jsontext.load(body) if message.status and body else None
        if parsed is None or not body or message.media in _JSON_ROW or _protocol(parsed[0]):
            return message
        tree, layout = parsed
        request = hashlib.sha256(body).hexdigest()[:16]
        meta = Members([("requestId", request), ("version", jsontext.Number("3"))])
        return message.with_body(jsontext.dump(Members([("data", tree), ("meta", meta)]), layout))


def _protocol(tree: Tree) -> bool:
    first = tree if isinstance(tree, Members) or not isinstance(tree, list) else (*tree, None)[0]
    names = {name for name, _ in first} if isinstance(first, Members) else set()
    return "jsonrpc" in names or (bool(names) and names <= {"data", "errors", "extensions"})


def told(value: object, change: Callable[[str], str]) -> object:
    """What truth.json says of targets, changed along: every member that is called so."""
    if isinstance(value, dict):
        return {
            name: change(each) if name == "target" and isinstance(each, str) else told(each, change)
            for name, each in value.items()
        }
    return [told(one, change) for one in value] if isinstance(value, list) else value
