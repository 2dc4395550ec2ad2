"""A 304 has no content: it tells nothing of what its endpoint's responses look like."""

from pathlib import Path

import pytest

from analyzer.baselines.prior import Prior
from analyzer.judging import _counted
from tests.builder import SECOND, START, as_json, in_time, request, response
from tests.findings.stable import epilogue, ordinary, talk
from tests.tools import scanned

TAG = 'ETag: "v7"\r\n'
ASKED = 'If-None-Match: "v7"\r\n'


@pytest.mark.parametrize("at", [0, 13, 59])
def test_the_one_that_is_sent_whole_is_nothing_odd(tmp_path: Path, at: int) -> None:
    parts = []
    for n in range(60):
        one = talk(20 + n, start=START + n * SECOND)
        if n == at:
            whole = response(as_json({"stalls": [4, 7], "free": True}), fields=TAG)
            one.ask(request("/stalls")).answer(whole)
        else:
            one.ask(request("/stalls", fields=ASKED))
            one.answer(f"HTTP/1.1 304 Not Modified\r\n{TAG}\r\n".encode())
        parts.append(one.close().frames)
    report = scanned(tmp_path, in_time(*parts, ordinary(18), epilogue()))
    judgement = report.judgement
    counted = _counted(report.tables, report.tables.counts(), Prior())
    assert set(counted.status.tolist()) == {200}
    assert judgement.requests == 97
    assert judgement.findings == []
    assert judgement.notices == []
