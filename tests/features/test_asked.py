"""What requests ask for, as numbers: the kernel and the reference agree, and equal means equal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer import bulk, compiled
from analyzer.features.asked import asked_sum, behalf_sum

NAMES = ["Cookie", "COOKIE", "authorization", "X-Api-Key", "Host", "Cookie2", "X-Cookie", "accept"]
VALUES = st.text(st.sampled_from('ab1=; ,"\t'), max_size=9)
LINES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["", " ", "  "]), VALUES))


def test_credentials_and_bodies_count_and_other_fields_do_not() -> None:
    plain = asked_sum(b"/me", b"Host: a\r\n", b"")
    assert plain == asked_sum(b"/me", b"Host: b\r\nX-Request-Id: 7\r\n", b"")
    others = {
        plain,
        asked_sum(b"/you", b"Host: a\r\n", b""),
        asked_sum(b"/me", b"Host: a\r\nCookie: s=1\r\n", b""),
        asked_sum(b"/me", b"Host: a\r\nCookie: s=2\r\n", b""),
        asked_sum(b"/me", b"Host: a\r\nAuthorization: s=2\r\n", b""),
        asked_sum(b"/me", b"Host: a\r\n", b"{}"),
    }
    assert len(others) == 6
    assert asked_sum(b"/me", b"cookie:s=1\r\n", b"") == asked_sum(b"/me", b"Cookie:  s=1 \r\n", b"")


@pytest.mark.skipif(compiled.kernels is None, reason="the kernels are not compiled here")
@given(st.binary(max_size=20), LINES, st.binary(max_size=20))
def test_the_kernel_agrees(target: bytes, lines: list[tuple[str, str, str]], body: bytes) -> None:
    fields = "".join(f"{name}:{blank}{value}\r\n" for name, blank, value in lines).encode()
    start = b"GET " + target + b" HTTP/1.1\r\n"
    data = start + fields + b"\r\n" + body
    at = len(b"GET ")
    spans = np.array([[at, at + len(target), len(data) - len(body), len(data)]] * 2, dtype=np.int64)
    found = np.zeros((2, 2), dtype=np.uint32)
    compiled.kernels.asked_sums(data, spans, bulk.CREDENTIAL_NAMES, bulk.CREDENTIAL_TABLE, *found)
    assert set(found[0].tolist()) == {asked_sum(target, fields, body)}
    assert set(found[1].tolist()) == {behalf_sum(fields)}
