"""The kept corpus, and every input that once broke something, pass through their targets."""

import re
from pathlib import Path

import pytest

from analyzer.http import grammar
from tests.fuzz import corpus
from tests.fuzz.corpus import kept
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
REGRESSIONS = sorted((HERE / "regressions").iterdir())
# Where each input is a whole report, which takes 50 ms, the corpus is dealt out to several tests.
PARTS = {"streams": 4}


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.name)
def test_what_once_broke(path: Path) -> None:
    TARGETS[path.name.partition("-")[0]](path.read_bytes())


@pytest.mark.parametrize(
    ("name", "part"), [(name, part) for name in TARGETS for part in range(PARTS.get(name, 1))]
)
def test_seeds_and_corpus(name: str, part: int) -> None:
    known = kept(name)
    assert known
    for data in [b"", *seeds(name), *known.values()][part :: PARTS.get(name, 1)]:
        TARGETS[name](data)


def test_a_corpus_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    assert kept("heads") == {}
    assert corpus.keep("heads", [b"b", b"", b"a", b"b"]) == 3
    assert sorted(kept("heads").values()) == [b"", b"a", b"b"]
    first = (tmp_path / "heads.tar.xz").read_bytes()
    corpus.keep("heads", [b"a", b"b", b""])
    assert (tmp_path / "heads.tar.xz").read_bytes() == first


def test_a_target_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def end_of_head(data: bytes) -> int:
        """The mistake that `http-bare-empty-line` found: CRLF CRLF is looked for first."""
        end = data.find(b"\r\n\r\n")
        if end >= 0 and data.find(b"\n\n", 0, end) < 0:
            return end + 4
        loose = re.search(rb"\n\r?\n", data)
        return loose.end() if loose else -1

    data = (HERE / "regressions" / "http-bare-empty-line").read_bytes()
    monkeypatch.setattr(grammar, "end_of_head", end_of_head)
    with pytest.raises(AssertionError):
        TARGETS["http"](data)
