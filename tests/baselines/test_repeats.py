"""What a request is given at other times is a matter of their time, not of who read them first."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from pytest import MonkeyPatch

from analyzer.baselines.repeats import Repeats
from analyzer.correlate.view import Tables
from analyzer.pipeline import scan
from analyzer.tables import Array
from tests.builder import SECOND, START, as_json, pcap, request, response
from tests.findings.stable import talk

AGES = 30, 30, 31, 31, 31, 32, 30, 30  # as the same request was told, one after the other


def test_the_order_in_which_the_tables_have_them_does_not_matter(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    talks = [
        talk(100 + n, start=START + n * SECOND)
        .ask(request("/grooms?user=ada01"))
        .answer(response(as_json({"user": "ada01", "age": age})))
        .close()
        for n, age in enumerate(AGES)
    ]
    path = tmp_path / "all.pcap"
    path.write_bytes(pcap([frame for one in talks for frame in one.frames]))
    tables = scan([str(path)]).tables
    rows = tables.pick(lambda every: np.ones(len(every), dtype=np.bool_))
    judged = Tables.judged

    def mixed(self: Tables) -> Iterator[tuple[Array, list[bytes]]]:
        for chunk, targets in judged(self):
            order = np.argsort(np.arange(len(chunk)) % 3, kind="stable")
            yield chunk[order], [targets[at] for at in order.tolist()]

    usual = Repeats.around(tables, rows)
    monkeypatch.setattr(Tables, "judged", mixed)
    other = Repeats.around(tables, rows)
    assert (usual.again, usual.alike, usual.given) == (other.again, other.alike, other.given)
    assert sum(usual.again.values()) == len(AGES) - 1
    assert sum(usual.alike.values()) == sum(a == b for a, b in pairwise(AGES))
