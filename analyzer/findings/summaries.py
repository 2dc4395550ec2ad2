"""What each endpoint answers, for a reader: forms that are much alike are shown as one.

Law: shown, not judged by. The time is bounded, however many forms an endpoint answers in.
"""

from collections import Counter
from functools import lru_cache

from analyzer.findings.model import EndpointSummary, ShapeCount
from analyzer.findings.view import Counts, Tables, form_text
from analyzer.shapes import Form, Shape, merge, paths, text

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
    for rank, (status, number, count) in enumerate(ordered):
        form = forms[number]
        place = _family(found, status, form, exact=rank < MOST_MERGED)
        if place < 0:
            found.append((status, form, count))
            continue
        _, known, known_count = found[place]
        merged = known
        if rank < MOST_MERGED and form.shape is not None and known.shape is not None:
            merged = Form(form.media_type, merge(known.shape, form.shape))
        found[place] = (status, merged, known_count + count)
    return found


def _family(found: list[Counted], status: int, form: Form, *, exact: bool) -> int:
    """The place of the family that a form belongs to; -1 for none."""
    for place, (its_status, its_form, _) in enumerate(found[:MOST_FAMILIES]):
        if its_status == status and its_form.media_type == form.media_type:
            if not exact or form == its_form:
                return place
            if form.shape is not None and its_form.shape is not None:
                one, two = _parts(form.shape), _parts(its_form.shape)
                if len(one & two) >= ALIKE * min(len(one), len(two)):
                    return place
    return -1


@lru_cache(4_096)
def _parts(shape: Shape) -> frozenset[tuple[str, str]]:
    return frozenset((path, kind) for path, kind, _ in paths(shape) if kind != "null")
