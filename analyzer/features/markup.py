"""HTML and XML bodies in, their skeletons out as shapes.

Law: a skeleton has the names in a document and nothing of its text, and does not vary with the
number of its rows: siblings of one name are merged as the items of an array are, with `?` behind
what not all of them have. Reading is one pass over the tags, in time linear in the body, and
memory is bounded (`MOST_NAMES`). Nothing is expanded: entities, document types and processing
instructions are passed over, so none can grow or reach outside (XML 1.0 §4.4). Broken markup is
read as far as it goes.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from analyzer import compiled
from analyzer.features.shapes import NULL, STRING, Object, Shape, merge_all

MOST_NAMES = 256  # distinct names of a document that are told apart
_MOST_TAGS = 65_536  # of a document that are read
_MOST_OPEN = 256  # elements open at once; deeper ones are passed over
_MOST_CHILDREN = 96  # distinct names in one element
_DEEPEST_PAGE = 8  # named elements of a page inside one another
_DEEPEST_XML = 16
_LONGEST = 64  # of a name
_MEMORY = 8_192  # start tags remembered, of at most so many bytes
_SHORT = 256
_FEWEST_IDS = 3  # ids of siblings that are otherwise alike: these are data

# Attribute values may hold `>` in quotes, which count only behind a `=`. Possessive: what was
# passed is not read again, so a tag that does not end costs one pass.
_TAG = re.compile(
    rb"<(/?)([A-Za-z_\x80-\xff][^\s/>]*+)((?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')|=)*+)(>?)"
)
_QUOTED = re.compile(rb"=\s*+(?:\"[^\"]*+\"|'[^']*+')")
_OPENS = re.compile(rb"=\s*+[\"']")
_ATTRIBUTE = re.compile(rb"([^\s=/\"']++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?")
# What is no tag, and how it ends.
_START = re.compile(rb"<[A-Za-z_/!?\x80-\xff]")
_PASSED = ((b"<!--", b"-->"), (b"<![CDATA[", b"]]>"), (b"<!", b">"), (b"<?", b">"))
_INSIDE = re.compile(rb"<[^<>]*+>|\s++")
_NAME = re.compile(rb"[A-Za-z_][A-Za-z_\-]{0,40}\Z")
_DIGITS = re.compile(r"\d+")
_MANY_DIGITS = re.compile(r"\d{4,}")


class _Node:
    """An element of that name in that place; `times`: how often it was met.

    Of the elements around it, `around` have it; `latest` is the number of the last of them.
    """

    __slots__ = ("around", "depth", "inside", "latest", "leaf", "texts", "times")

    def __init__(self, depth: int, leaf: str = "") -> None:
        self.depth = depth
        self.leaf = leaf  # the kind of what is not an element: an attribute, a form's field
        self.inside: dict[tuple[str, str, str], _Node] = {}
        self.times = 0
        self.around = 0
        self.latest = 0
        self.texts = 0


class _Tree:
    """The elements of a document, by name and place."""

    def __init__(self, deepest: int) -> None:
        self.root = _Node(0)
        self.root.times = 1
        self._names = 0
        self._deepest = deepest

    def enter(
        self, parent: _Node, tag: str, *, id_: str = "", kind: str = "", leaf: str = ""
    ) -> _Node:
        """The node of an element in `parent`; `parent` itself where there are too many."""
        key = (tag, id_, kind)
        node = parent.inside.get(key)
        if node is None:
            full = self._names >= MOST_NAMES or len(parent.inside) >= _MOST_CHILDREN
            if full or parent.depth >= self._deepest:
                return parent
            self._names += 1
            node = parent.inside[key] = _Node(parent.depth + 1, leaf)
        node.times += 1
        if node.latest != parent.times:
            node.latest = parent.times
            node.around += 1
        return node


# Tags met, to the letter: whether it ends an element, its name and attributes, and of a start tag
# the name in small letters.
_KNOWN_TAGS: dict[bytes, tuple[bool, bytes, bytes, bytes]] = {}


def _tags(text: bytes, raw: frozenset[bytes]) -> Iterator[tuple[bool, bytes, bytes, int, int]]:
    """The tags: whether it ends an element, its name, its attributes, where it begins and ends.

    What elements named in `raw` hold is passed over.
    """
    lower = text.lower() if raw else text
    at, read = 0, 0
    while read < _MOST_TAGS:
        begin = text.find(b"<", at)
        if begin < 0:
            return
        until = text.find(b">", begin) + 1
        known = _KNOWN_TAGS.get(text[begin:until]) if until <= begin + _SHORT else None
        if known is not None and not (raw and known[3] in raw):
            read += 1
            at = until
            yield known[0], known[1], known[2], begin, at
            continue
        start = _START.search(text, begin)
        if start is None:
            return
        read += 1
        begin = start.start()
        match = _TAG.match(text, begin)
        if match is None:
            at = begin + 1
            for mark, end in _PASSED:
                if text.startswith(mark, begin):
                    at = text.find(end, begin + len(mark))
                    break
            if at < 0:
                return
            continue
        if not match[4]:
            return  # the end of the document within a tag
        at = match.end()
        ends, name = bool(match[1]), match[2].lower()
        yield ends, match[2], match[3], begin, at
        if raw and not ends and name in raw:
            at = lower.find(b"</" + name, at)
            if at < 0:
                return
        elif at == until <= begin + _SHORT and not _OPENS.search(_QUOTED.sub(b".", match[0])):
            # The first `>` ends it, and no quotation mark is left that one behind it might close:
            # so it is read the same wherever it stands.
            if len(_KNOWN_TAGS) >= _MEMORY:
                _KNOWN_TAGS.clear()
            _KNOWN_TAGS[match[0]] = ends, match[2], match[3], b"" if ends else name


class _Open:
    """The elements that are open, the innermost last, each with the node that it is."""

    def __init__(self, root: _Node) -> None:
        self.tag = ""  # of the innermost
        self.node = root
        self._around: list[tuple[str, _Node]] = []
        self._count: Counter[str] = Counter()

    def begin(self, tag: str, node: _Node) -> None:
        """An element begins; where too many are open it is passed over."""
        if len(self._around) < _MOST_OPEN:
            self._around.append((self.tag, self.node))
            self._count[tag] += 1
            self.tag, self.node = tag, node

    def pop(self) -> None:
        """The innermost ends."""
        self._count[self.tag] -= 1
        self.tag, self.node = self._around.pop()

    def end(self, tag: str) -> None:
        """The innermost of that name ends, and all inside; without one nothing does."""
        if self._count[tag]:
            while self.tag != tag:
                self.pop()
            self.pop()


def plain(body: bytes) -> bytes:
    """A text in UTF-8: one in UTF-16 that says so is decoded."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "replace").encode("utf-8", "replace")
    return body[3:] if body[:3] == b"\xef\xbb\xbf" else body


def _attributes(text: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(text):
        found.setdefault(name.lower(), double or single or bare)
    return found


def _text(name: bytes) -> str:
    return name[: 4 * _LONGEST].decode("utf-8", "replace")[:_LONGEST]


# --- pages ---------------------------------------------------------------------------------------

_RAW = frozenset({b"script", b"style", b"textarea", b"title", b"noscript", b"xmp", b"iframe"})
_VOID = frozenset(
    [
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param",
        "source", "track", "wbr",
    ]
)  # fmt: skip
# Elements that are part of a page's plan even without an id or a class.
_LANDMARKS = frozenset(
    [
        "main", "nav", "header", "footer", "aside", "section", "article", "form", "table",
        "fieldset", "dialog", "search", "template", "canvas",
    ]
)  # fmt: skip
# Elements that are known by their id: others stand in rows, where ids are data.
_KNOWN_BY_ID = frozenset(
    [
        "body", "div", "main", "nav", "header", "footer", "aside", "section", "form", "table", "ul",
        "ol", "script", "template", "dialog",
    ]
)  # fmt: skip
_FIELDS = frozenset(["input", "select", "textarea", "button"])
_TELLING = re.compile(rb"(?i:class|id|data-|name|property)")  # attributes that matter
# Classes that tell a state, not a kind.
_STATES = frozenset(
    b"active selected current open closed hidden disabled odd even first last show collapsed"
    b" expanded checked".split()
)
# An element that begins may end one of these that is open (HTML §13.1.2.4).
_CLOSES: dict[str, frozenset[str]] = {
    "li": frozenset({"li"}),
    "option": frozenset({"option"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "p": frozenset({"p"}),
    "td": frozenset({"td", "th"}),
    "th": frozenset({"td", "th"}),
    "tr": frozenset({"td", "th", "tr"}),
    "tbody": frozenset({"td", "th", "tr", "thead", "tbody"}),
}
_ROW_ENDS = frozenset({"tr", "thead", "table"})
_HEADING_ENDS = re.compile(rb"(?i)</?t[hrd]\b|</t(?:head|able)\b")
_LONGEST_COLUMN, _MOST_WORDS = 32, 4  # of a column's name


class _Told(NamedTuple):
    """What a start tag says by itself."""

    tag: str
    id: str
    kind: str  # its class
    data: tuple[str, ...]  # attributes `data-`
    leaf: str  # the kind of a leaf that it is, and its name
    name: str
    named: bool  # whether it is more than a part of a text
    void: bool


@lru_cache(_MEMORY)
def _told(name: bytes, text: bytes) -> _Told:
    tag = _text(name).lower()
    found = _attributes(text) if _TELLING.search(text) else {}
    own = found.get(b"id", b"")
    id_ = _text(own) if tag in _KNOWN_BY_ID and _NAME.match(own) else ""
    kind = ""
    for one in found.get(b"class", b"").split(None, 8)[:8]:
        if _NAME.match(one) and one.lower() not in _STATES:
            kind = _text(one)
            break
    leaf = named = ""
    if tag in ("title", "h1"):
        leaf, named = "text", tag
    elif tag == "meta":
        said = _text(found.get(b"name") or found.get(b"property") or b"")
        if said and not _DIGITS.search(said):
            leaf, named = "meta", f"meta={said}"
    elif tag in _FIELDS and found.get(b"name"):
        leaf, named = "field", f"name={_DIGITS.sub('*', _text(found[b'name']))}"
    return _Told(
        tag,
        id_,
        kind,
        tuple("@" + _text(n) for n in found if n.startswith(b"data-") and _NAME.match(n)),
        leaf,
        named,
        bool(id_ or kind or tag in _LANDMARKS or "-" in tag),
        tag in _VOID or text.endswith(b"/"),
    )


@lru_cache(_MEMORY)
def _ended(name: bytes) -> str:
    return _text(name).lower()


def html_shape(body: bytes) -> Shape:
    """The skeleton of a page: `{html: {title: text, "main#orders": {"th=Total": column}}}`.

    It has the elements that have an id or a class that is a name (without digits), landmarks, the
    title and main heading, the names of form fields, `meta` and `data-` attributes, and what heads
    a table's columns. All other elements are passed through to what they hold, so text with its
    markup does not matter.
    """
    body = plain(body)
    page = _Page(body)
    for ends, name, attributes, _, end in _tags(body, _RAW):
        if ends:
            page.end(_ended(name))
        else:
            # What repeats is short.
            read = _told if len(attributes) <= _SHORT else _told.__wrapped__
            page.begin(read(name, attributes), end)
    page.row()
    return Object((("html", _page_shape(page.tree.root), False),))


class _Page:
    """A page being read: the elements that are open, and the row of a table."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.tree = _Tree(_DEEPEST_PAGE)
        self.open = _Open(self.tree.root)
        self._columns: list[str] = []
        self._has_cells = False

    def begin(self, told: _Told, end: int) -> None:
        """A start tag that ends at `end`."""
        tag = told.tag
        closes = _CLOSES.get(tag)
        if closes is not None:
            while self.open.tag in closes:
                self.open.pop()
            if tag == "tr":
                self.row()
            elif tag == "td":
                self._has_cells = True
            elif tag == "th":
                self._columns.append(_column(self.body, end))
        node = self.open.node
        if told.leaf:
            self.tree.enter(node, told.name, leaf=told.leaf)
        if told.named:
            parent, node = node, self.tree.enter(node, tag, id_=told.id, kind=told.kind)
            if node is not parent:
                for name in told.data:
                    self.tree.enter(node, name, leaf="attribute")
        if not told.void:
            self.open.begin(tag, node)

    def end(self, tag: str) -> None:
        """An end tag."""
        if tag in _ROW_ENDS:
            self.row()
        self.open.end(tag)

    def row(self) -> None:
        """A row of a table is over: of one without data, its headings name columns."""
        if not self._has_cells:
            node = self.open.node
            for name in filter(None, self._columns):
                self.tree.enter(node, f"th={name}", leaf="column")
        self._columns, self._has_cells = [], False


def _column(text: bytes, begin: int) -> str:
    """The text of a heading that begins there, where it is short enough for a name."""
    ends = _HEADING_ENDS.search(text, begin, begin + 512)
    words = _text(_INSIDE.sub(b" ", text[begin : ends.start()] if ends else b"")).split()
    name = " ".join(words)
    fits = len(name) <= _LONGEST_COLUMN and len(words) <= _MOST_WORDS
    return name if fits and not _DIGITS.search(name) else ""


def _page_shape(node: _Node) -> Shape:
    if node.leaf:
        return node.leaf
    ids: dict[tuple[str, str], int] = {}
    for tag, id_, kind in node.inside:
        if id_:
            ids[tag, kind] = ids.get((tag, kind), 0) + 1
    found: dict[str, tuple[set[Shape], bool]] = {}
    for (tag, id_, kind), inner in node.inside.items():
        if id_ and ids[tag, kind] < _FEWEST_IDS:
            name = f"{tag}#{id_}"
        else:
            name = f"{tag}.{kind}" if kind else tag
        shapes, optional = found.setdefault(name, (set(), True))
        shapes.add(_page_shape(inner))
        found[name] = shapes, optional and inner.around < node.times
    return _object(found)


def _object(found: dict[str, tuple[set[Shape], bool]]) -> Shape:
    fields = []
    for name, (shapes, optional) in sorted(found.items()):
        shape = merge_all(shapes)
        assert shape is not None
        fields.append((name, shape, optional))
    return Object(tuple(fields))


# --- XML -----------------------------------------------------------------------------------------


def xml_shape(body: bytes) -> Shape | None:
    """The names of elements and attributes (`@name`) by place, without their prefixes.

    Elements that hold text alone are `string`, empty ones `null`; an element is written the same
    whether there is one of it or many. Of a SOAP message it is what its Body holds (SOAP 1.2 §5.3).
    None where there is no element.
    """
    body = plain(body)
    tree = _Tree(_DEEPEST_XML)
    open_ = _Open(tree.root)
    last = 0
    for ends, name, attributes, at, end in _tags(body, frozenset()):
        if body[last:at].strip():
            open_.node.texts += 1
        last = end
        tag = _text(name)
        if ends:
            open_.end(tag)
            continue
        node = tree.enter(open_.node, _local(name))
        if attributes and node is not open_.node:
            for leaf in _leaves(attributes):
                tree.enter(node, leaf, leaf=STRING)
        if not attributes.endswith(b"/"):
            open_.begin(tag, node)
    if not tree.root.inside:
        return None
    return _inside_envelope(_xml_shape(tree.root))


def _leaves(attributes: bytes) -> Iterator[str]:
    for attribute in _attributes(attributes):
        if attribute != b"xmlns" and not attribute.startswith(b"xmlns:"):
            yield "@" + _local(attribute)


def _local(name: bytes) -> str:
    return _MANY_DIGITS.sub("*", _text(name.rpartition(b":")[2]))


def _xml_shape(node: _Node) -> Shape:
    if node.leaf:
        return node.leaf
    if not node.inside:
        return STRING if node.texts else NULL
    return _object(
        {
            tag: ({_xml_shape(inner)}, inner.around < node.times)
            for (tag, _, _), inner in node.inside.items()
        }
    )


def _inside_envelope(shape: Shape) -> Shape:
    body = _field(_field(shape, "Envelope"), "Body")
    return shape if body is None else body


def _field(shape: Shape | None, name: str) -> Shape | None:
    """The field of that name, where there is one."""
    fields = shape.fields if isinstance(shape, Object) else ()
    return next((inner for known, inner, _ in fields if known == name), None)


# --- for the kernel ------------------------------------------------------------------------------

# The kernel reads a tag to the letter as far as it tells; what that means it asks here, once for
# each. So names, classes and the rules for them are known in this module alone.
_BEGINS, _ENDS, _HEADING = range(3)  # pieces that it asks about
_IS_VOID, _IS_RAW, _ENDS_ROW, _IS_CELL, _IS_HEADING = (1 << bit for bit in range(5))
_BIT = {tag: 1 << bit for bit, tag in enumerate(sorted(frozenset().union(*_CLOSES.values())))}
_MASK = {tag: sum(_BIT[one] for one in closed) for tag, closed in _CLOSES.items()}
_DOES = {"tr": _ENDS_ROW, "td": _IS_CELL, "th": _IS_HEADING}


class Said(NamedTuple):
    """What a piece says: codes of what it is (0: nothing), and how it is read, in bits.

    `leaf`, `named` and `inside` are children of a node in a tree; `own` is the tag's bit, `closes`
    has those of the tags that it ends where they are open.
    """

    tag: int = 0
    leaf: int = 0
    named: int = 0
    inside: tuple[int, ...] = ()
    own: int = 0
    closes: int = 0
    does: int = 0


def _code(*parts: str) -> int:
    return compiled.kernels.text_code("\0".join(parts).encode("utf-8", "surrogatepass"))


def _said_of_page(piece: int, name: bytes, rest: bytes) -> Said:
    """What a piece of a page says: a start tag, an end tag or the text of a heading."""
    if piece == _HEADING:
        column = _column(name + b"</th>", 0)
        return Said(leaf=_code("column", f"th={column}") if column else 0)
    if piece == _ENDS:
        tag = _text(name).lower()
        return Said(_code(tag), does=_ENDS_ROW if tag in _ROW_ENDS else 0)
    told = _told.__wrapped__(name, rest)
    return Said(
        _code(told.tag),
        _code(told.leaf, told.name) if told.leaf else 0,
        _code("", told.tag, told.id, told.kind) if told.named else 0,
        tuple(_code("attribute", one) for one in told.data),
        _BIT.get(told.tag, 0),
        _MASK.get(told.tag, 0),
        _DOES.get(told.tag, 0)
        | (_IS_VOID if told.void else 0)
        | (_IS_RAW if name.lower() in _RAW else 0),
    )


def _said_of_document(piece: int, name: bytes, rest: bytes) -> Said:
    """What a tag of an XML document says."""
    if piece == _ENDS:
        return Said(_code(_text(name)))
    return Said(
        _code(_text(name)),
        named=_code("", _local(name)),
        inside=tuple(_code(STRING, leaf) for leaf in _leaves(rest)),
        does=_IS_VOID if rest.endswith(b"/") else 0,
    )


class Skeletons:
    """The kernel's readers of pages and of documents, with what they have learned."""

    def __init__(self) -> None:
        self.pages = compiled.kernels.Markup(_said_of_page, False, _DEEPEST_PAGE)
        self.documents = compiled.kernels.Markup(_said_of_document, True, _DEEPEST_XML)
