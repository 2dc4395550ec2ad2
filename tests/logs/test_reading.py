"""Log files, hostile ones too: what cannot be read is counted, and ends nothing."""

import gzip
import json
from pathlib import Path

import pytest

from analyzer.errors import InputError
from analyzer.logs.model import Side
from analyzer.logs.reading import LONGEST_LINE, read

GOOD = b'{"method":"GET","url":"/a","status":200,"time":1795410135512}\n'


def written(folder: Path, data: bytes) -> str:
    path = folder / "x.log"
    path.write_bytes(data)
    return str(path)


def test_bad_lines_are_counted_and_named(tmp_path: Path) -> None:
    bad = [
        b"x" * (3 * LONGEST_LINE),  # a giant
        b"\x00\xff\xfe\x1b]0;title\x07",
        b'{"method":"GET","url":',
        b"[" * 100_000,
        b'{"method":["GET"],"url":{"a":1},"status":"' + b"9" * 5_000 + b'"}',
    ]
    data = GOOD + b"\n" + b"\n".join(bad) + b"\n" + GOOD
    log = read(written(tmp_path, data), Side.SERVER)
    assert (log.lines, len(log.rows), log.blank, log.unread) == (8, 2, 1, 5)
    assert log.first_unread == (3, 4, 5, 6, 7) and log.rows[1].line == 8


def test_numbers_that_lie_are_left_out(tmp_path: Path) -> None:
    lies = {"status": -1, "bytes": 1e300, "time": 1e300, "remotePort": 99_999, "responseTime": "x"}
    data = json.dumps({"method": "GET", "url": "/a", **lies}).encode()
    [row] = read(written(tmp_path, data), Side.SERVER).rows
    assert (row.status, row.length, row.time, row.port, row.duration) == (None,) * 5


def test_gzip_and_where_it_breaks_off(tmp_path: Path) -> None:
    whole = gzip.compress(GOOD * 5_000)
    assert len(read(written(tmp_path, whole), Side.CLIENT).rows) == 5_000
    log = read(written(tmp_path, whole[: len(whole) // 2]), Side.CLIENT)
    assert log.damaged and log.rows


def test_har(tmp_path: Path) -> None:
    entry = {
        "startedDateTime": "2026-11-23T05:02:15.512Z",
        "time": 12.5,
        "request": {"method": "GET", "url": "http://api.example/a?b=1"},
        "response": {"status": 200, "content": {"size": 382}},
    }
    silent = {**entry, "response": {"status": 0, "content": {}}}
    data = json.dumps({"log": {"entries": [entry, silent, 7]}}, indent=1).encode()
    log = read(written(tmp_path, data), Side.CLIENT)
    first, second = log.rows
    assert log.format == "har" and log.unread == 1
    assert (first.target, first.length, first.duration) == ("/a?b=1", 382, 12_500_000)
    assert second.status is None and second.error


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "no lines"), (b"hello\n", "no known format"), (b'{"log":{}}', "HAR")]
)
def test_what_is_no_log_is_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(written(tmp_path, data), Side.SERVER)


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such format"):
        read(written(tmp_path, GOOD), Side.SERVER, "jason")
