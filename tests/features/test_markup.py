"""Tags that are remembered are read as they would be without."""

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from analyzer.features import markup

PIECES = st.sampled_from(
    [b"<a", b"</a", b"<p", b">", b"<!--", b"-->", b"<script", b"</script>", b' b="', b" c='", b'"',
     b"'", b"=", b" ", b"x", b"/>", b'<a title="x>', b"<br>", b"<", b"<a href='y'>"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=14).map(b"".join)


class Forgetful(dict[bytes, tuple[bool, bytes, bytes, bytes]]):
    """Remembers nothing."""

    def __setitem__(self, key: bytes, value: object) -> None:
        pass


@given(st.lists(TEXTS, min_size=1, max_size=4), st.booleans())
def test_tags_that_were_met_are_read_the_same(texts: list[bytes], pages: bool) -> None:
    raw = markup._RAW if pages else frozenset[bytes]()
    with mock.patch.object(markup, "_KNOWN_TAGS", Forgetful()):
        plain = [list(markup._tags(text, raw)) for text in texts]
    with mock.patch.object(markup, "_KNOWN_TAGS", {}):
        assert [list(markup._tags(text, raw)) for text in texts] == plain


def test_a_quotation_mark_may_be_closed_behind_what_was_met() -> None:
    short, long = b'<a title="x>', b'<a title="x>y" id="z">'
    with mock.patch.object(markup, "_KNOWN_TAGS", {}):
        assert len(list(markup._tags(short, frozenset()))) == 1
        (tag,) = markup._tags(long, frozenset())
    assert tag[2] == b' title="x>y" id="z"'
