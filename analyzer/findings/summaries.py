"""What each endpoint answers, for a reader: forms that are much alike are shown as one.

Law: shown, not judged by. The time is bounded, however many forms an endpoint answers in.
"""

from collections import Counter

from analyzer.findings.model import EndpointSummary, ShapeCount
from analyzer.findings.view import Counts, Tables, form_text
from analyzer.shapes import NULL, Form, Items, Object, Shape, Union, merge, text

ALIKE = 0.6  # share of paths and types in common from which on two forms are shown as one
MOST_FAMILIES = 24  # of an endpoint that gather the forms like them
MOST_MERGED = 512  # forms of an endpoint that are looked at; rarer ones are counted with the first

Counted = tuple[int, Form, int]  # status, form, how many


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


def families(counted: list[tuple[int, int, int]], forms: list[Form]) -> list[Counted]:
    """(status, form, count) with forms that are much alike merged, from (status, number, count).

    The most frequent come first and gather those like them (the first few do); ties go by their
    texts, so that the result does not depend on the order in which forms were met.
    """
    ordered = sorted(
        counted, key=lambda c: (-c[2], c[0], forms[c[1]].media_type, text(forms[c[1]].shape))
    )
    found: list[Counted] = []
    parts: list[set[str]] = []  # of the families that gather others
    for rank, (status, number, count) in enumerate(ordered):
        form = forms[number]
        exact = rank < MOST_MERGED
        mine = _parts(form.shape) if exact and form.shape is not None else set()
        place = _family(found, parts, status, form, mine, exact=exact)
        if place < 0:
            found.append((status, form, count))
            parts.append(mine)
            continue
        _, known, known_count = found[place]
        merged = known
        if exact and form.shape is not None and known.shape is not None:
            merged = Form(form.media_type, merge(known.shape, form.shape))
            parts[place] |= mine  # what is merged has the parts of both
        found[place] = (status, merged, known_count + count)
    return found


def _family(
    found: list[Counted],
    parts: list[set[str]],
    status: int,
    form: Form,
    mine: set[str],
    *,
    exact: bool,
) -> int:
    """The place of the family that a form, with the parts `mine`, belongs to; -1 for none."""
    for place, (its_status, its_form, _) in enumerate(found[:MOST_FAMILIES]):
        if its_status == status and its_form.media_type == form.media_type:
            if not exact or form == its_form:
                return place
            if form.shape is not None and its_form.shape is not None:
                theirs = parts[place]
                if len(mine & theirs) >= ALIKE * min(len(mine), len(theirs)):
                    return place
    return -1


def _parts(shape: Shape) -> set[str]:
    """The paths of a shape with their types, as one text each; what is null says nothing."""
    found: set[str] = set()
    level: list[tuple[str, Shape]] = [("", shape)]
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
