"""Sketches: equal values at one place have equal numbers; the kernel and the reference agree."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer import compiled
from analyzer.features.sketch import LONGEST, WIDTH, places, sketch, words


def buckets(text: bytes) -> dict[str, int]:
    """By name of the place its number."""
    found = sketch(text)
    return {name: found[bucket] for bucket, name in places(text).items()}


def test_a_value_has_the_same_number_wherever_else_the_text_differs() -> None:
    one = buckets(b'{"id": 7, "user": {"name": "Dee", "admin": true}, "at": "10:31"}')
    two = buckets(b'{"at":"11:02","user":{"role":"x","name":"Dee"},"id":8}')
    assert one["$.user.name"] == two["$.user.name"]
    assert one["$.id"] != two["$.id"]
    assert "$.user.admin" not in one  # true says little


def test_of_a_list_the_first_item_counts() -> None:
    one = buckets(b'{"seen": [{"by": "Dee"}, {"by": "Ann"}]}')
    two = buckets(b'{"seen": [{"by": "Dee"}]}')
    assert one == two != buckets(b'{"seen": [{"by": "Ann"}, {"by": "Dee"}]}')


def test_pages_and_lines_have_places_too() -> None:
    page = b"<html><title>Me</title><p class=x>Hello Dee</p><p>%s</p></html>"
    one, two = buckets(page % b"3 new"), buckets(page % b"4 new")
    assert one["<p> 1"] == two["<p> 1"] and one["<p> 2"] != two["<p> 2"]
    one, two = buckets(b"user;dee\nsum;5\n"), buckets(b"user;dee\nsum;6\n")
    assert one["line 1"] == two["line 1"] and one["line 2"] != two["line 2"]


def test_what_is_behind_the_bound_is_not_looked_at() -> None:
    text = b'{"a": "' + b"x" * LONGEST + b'"'
    assert sketch(text + b', "b": 1}') == sketch(text + b', "c": 2}') != bytes(WIDTH)


KEYS = st.text('ab:"\\', max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\:,{[é ', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
)
PIECES = st.sampled_from(
    [b"<", b">", b"</", b"<p", b"<P a=1>", b"<b>", b"x", b" ", b"\n", b"\x0b", b"\x1c", b"\xff",
     b'"', b"\\", b":", b"{", b"}", b"[", b"]", b",", b"true", b"null", b"12"]
)  # fmt: skip
TEXTS = (
    JSON.map(lambda value: json.dumps(value, ensure_ascii=False).encode())
    | st.lists(PIECES, max_size=40).map(b"".join)
    | st.binary(max_size=60)
)


@pytest.mark.skipif(compiled.kernels is None, reason="the kernels are not compiled here")
@given(TEXTS, st.binary(max_size=3), st.integers(0, 3))
@example(b'{"a\\', b"", 0)
@example(b'{"a\\"', b'"', 0)
@example(b"[" * 40 + b"1", b"", 0)
@example(b"<p>x" * 300, b"", 0)
@example(b"a\n" * 70 + b"b", b"\n", 1)
def test_the_kernel_agrees(text: bytes, behind: bytes, before: int) -> None:
    data = b'"' * before + text + behind
    out = np.zeros((2, WIDTH), dtype=np.uint8)
    start = np.array([before, len(data)], dtype=np.int64)
    end = np.array([before + len(text), len(data)], dtype=np.int64)
    compiled.kernels.sketches(data, start, end, out)
    assert out[0].tobytes() == sketch(text)
    assert not out[1].any()
    assert out.view("<u8")[0].tolist() == list(words(text))
