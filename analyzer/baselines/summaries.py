"""What each endpoint answers, for a reader: forms that are much alike are shown as one.

Law: shown, not judged by. The time is bounded, however many forms an endpoint answers in.
"""

from collections import Counter
from dataclasses import dataclass, field

from analyzer.correlate.view import Counts, Tables, form_text
from analyzer.features.shapes import NULL, Form, Items, Object, Shape, Union, merge_many

ALIKE = 0.6  # share of paths and types in common from which on two forms are shown as one
MOST_FAMILIES = 24  # of an endpoint that gather the forms like them
MOST_MERGED = 512  # forms of an endpoint that are looked at; rarer ones are counted with the first

Counted = tuple[int, Form, int]  # status, form, how many


@dataclass(frozen=True, slots=True)
class ShapeCount:
    """How often an endpoint answered in one form."""

    status: int
    media_type: str
    shape: str
    count: int


@dataclass(frozen=True, slots=True)
class EndpointSummary:
    """An endpoint, how often it was asked, and what it answered."""

    endpoint: str
    host: str
    requests: int
    shapes: tuple[ShapeCount, ...]


def summaries(tables: Tables, counts: Counts) -> list[EndpointSummary]:
    """Every endpoint with the forms of its responses, those asked most first."""
    forms: dict[int, Counter[tuple[int, int]]] = {}
    for (variant, status, form), count in counts.keys.items():
        endpoint = int(tables.variants.endpoint[variant])
        forms.setdefault(endpoint, Counter())[status, form] += count
    found = []
    for endpoint, count in counts.asked.items():
        name = tables.names[endpoint]
        some = [(status, form, n) for (status, form), n in forms.get(endpoint, Counter()).items()]
        shapes = [
            ShapeCount(status, form.media_type, form_text(form), number)
            for status, form, number in families(some, tables.forms)
        ]
        shapes.sort(key=lambda s: (-s.count, s.status, s.media_type, s.shape))
        found.append(EndpointSummary(name.name, name.host, count, tuple(shapes)))
    return sorted(found, key=lambda e: (-e.requests, e.endpoint, e.host))


@dataclass(slots=True)
class _Family:
    """Forms that are shown as one; `parts` are those of all of them (see `_parts`)."""

    status: int
    first: Form
    parts: set[str]
    count: int = 0
    shapes: list[Shape] = field(default_factory=list)

    def has(self, status: int, form: Form, parts: set[str] | None) -> bool:
        """Whether a form belongs to it; of one without `parts` no more is asked than its type."""
        if (status, form.media_type) != (self.status, self.first.media_type):
            return False
        if parts is None or form == self.first:
            return True
        if form.shape is None or self.first.shape is None:
            return False
        return len(parts & self.parts) >= ALIKE * min(len(parts), len(self.parts))


def families(counted: list[tuple[int, int, int]], forms: list[Form]) -> list[Counted]:
    """(status, form, count) with forms that are much alike merged, from (status, number, count).

    The most frequent come first and gather those like them (the first few do); ties go by their
    numbers, which are those of a sorted list.
    """
    ordered = sorted(counted, key=lambda c: (-c[2], c[0], forms[c[1]].media_type, c[1]))
    found: list[_Family] = []
    for rank, (status, number, count) in enumerate(ordered):
        form = forms[number]
        parts = _parts(form.shape) if rank < MOST_MERGED else None
        family = next((f for f in found[:MOST_FAMILIES] if f.has(status, form, parts)), None)
        if family is None:
            family = _Family(status, form, set(parts or ()))
            found.append(family)
        elif parts is not None:
            family.parts |= parts  # what is merged has the parts of both
        family.count += count
        if form.shape is not None and (parts is not None or not family.shapes):
            family.shapes.append(form.shape)
    return [(f.status, Form(f.first.media_type, merge_many(f.shapes)), f.count) for f in found]


def _parts(shape: Shape | None) -> set[str]:
    """The paths of a shape with their types, as one text each; what is null says nothing."""
    found: set[str] = set()
    level: list[tuple[str, Shape]] = [] if shape is None else [("", shape)]
    while level:
        deeper: list[tuple[str, Shape]] = []
        for path, one in level:
            if isinstance(one, str):
                if one != NULL:
                    found.add(f"{path}:{one}")
            elif isinstance(one, Object):
                found.add(f"{path}:object")
                deeper += [(f"{path}.{name}", value) for name, value, _ in one.fields]
            elif isinstance(one, Union):
                deeper += [(path, kind) for kind in one.shapes]
            else:
                found.add(f"{path}:{one.kind}")
                inside = one.item if isinstance(one, Items) else one.values
                if inside is not None:
                    deeper.append((f"{path}[]" if one.kind == "array" else f"{path}{{}}", inside))
        level = deeper
    return found
