"""Lines as programs write them → rows: the shapes are those of each program's documentation."""

import pytest

from analyzer.logs import times
from analyzer.logs.formats import COMBINED, compiled, of_alb, of_json, of_table, told_by
from analyzer.logs.model import Moment

AT = 1_795_410_135_512_000_000  # 2026-11-23T05:02:15.512Z
PINO = (
    '{"level":30,"time":1795410135512,"pid":7,"req":{"id":3,"method":"GET","url":"/a?b=1",'
    '"remoteAddress":"::ffff:10.0.0.9","remotePort":49440},"res":{"statusCode":200,'
    '"headers":{"content-length":"382"}},"responseTime":12,"msg":"request completed"}'
)
ECS = (
    '{"@timestamp":"2026-11-23T05:02:15.512Z","http.request.method":"GET",'
    '"url":{"path":"/a","query":"b=1"},"http":{"response":{"status_code":200,"body":{"bytes":382}}},'
    '"client":{"ip":"10.0.0.9","port":49440},"event":{"duration":12000000}}'
)
OTEL = (
    '{"Timestamp":"1795410135512000000","attributes":{"http.request.method":"GET",'
    '"url.full":"https://api.example/a?b=1","http.response.status_code":200,'
    '"http.response.body.size":382,"client.address":"10.0.0.9","client.port":49440}}'
)
NGINX_JSON = (
    '{"msec":"1795410135.512","request":"GET /a?b=1 HTTP/1.1","status":"200",'
    '"body_bytes_sent":"382","remote_addr":"10.0.0.9","remote_port":"49440","request_time":"0.012"}'
)
PYTHON = (
    '{"asctime":"2026-11-23 05:02:15,512","method":"GET","path":"/a?b=1","status_code":200,'
    '"client":"10.0.0.9:49440","length":382}'
)


@pytest.mark.parametrize("line", [PINO, ECS, OTEL, NGINX_JSON, PYTHON])
def test_names_of_json(line: str) -> None:
    row = of_json(line, 7)
    assert row is not None
    assert (row.line, row.method, row.target) == (7, "GET", "/a?b=1")
    assert (row.status, row.length, row.peer, row.time) == (200, 382, "10.0.0.9:49440", AT)


def test_who_knows_how_long_it_took_writes_at_the_end() -> None:
    row = of_json(PINO, 1)
    assert row is not None and row.moment is Moment.END
    assert row.start == AT - 12_000_000 and row.resolution == row.slack == 1_000_000


def test_a_time_without_a_zone_says_so() -> None:
    row = of_json(PYTHON, 1)
    assert row is not None and not row.zoned and row.moment is Moment.UNKNOWN


def test_combined() -> None:
    line = (
        '10.0.0.9 - - [23/Nov/2026:06:02:15 +0100] "GET /a?b=1 HTTP/1.1" 200 382 "-" "curl \\"8\\""'
    )
    name, parse = told_by([line]) or ("", of_json)
    row = parse(line, 1)
    assert name == "combined" and row is not None
    assert (row.target, row.status, row.length, row.address) == ("/a?b=1", 200, 382, "10.0.0.9")
    assert row.time == AT - 512_000_000 and row.zoned and row.resolution == 1_000_000_000
    assert row.peer == ""  # an address alone is no connection


@pytest.mark.parametrize(
    ("pattern", "line", "moment"),
    [
        (
            '$remote_addr:$remote_port [$time_local] "$request" $status $body_bytes_sent "$http_x"',
            '10.0.0.9:49440 [23/Nov/2026:05:02:15 +0000] "GET /a?b=1 HTTP/1.1" 200 382 "a b"',
            Moment.END,
        ),
        (
            '%h:%{remote}p %l %u %t \\"%r\\" %>s %B',
            '10.0.0.9:49440 - - [23/Nov/2026:05:02:15 +0000] "GET /a?b=1 HTTP/1.1" 200 382',
            Moment.START,
        ),
    ],
    ids=["nginx", "apache"],
)
def test_patterns(pattern: str, line: str, moment: Moment) -> None:
    row = compiled(pattern)(line, 1)
    assert row is not None and row.moment is moment
    assert (row.peer, row.target, row.status, row.length) == ("10.0.0.9:49440", "/a?b=1", 200, 382)


def test_a_pattern_without_a_request_is_refused() -> None:
    with pytest.raises(ValueError, match="request"):
        compiled("$remote_addr $status")


def test_a_line_of_another_format_is_no_row() -> None:
    assert compiled(COMBINED)("GET /a HTTP/1.1", 1) is None
    assert of_json("[1]", 1) is None and of_json('{"method": {}, "url": 3}', 1) is None


def test_alb() -> None:
    line = (
        "http 2026-11-23T05:02:15.512000Z app/lb/5 10.0.0.9:49440 10.0.1.2:80 0.001 0.012 0.000 "
        '200 200 34 366 "GET http://api.example:80/a?b=1 HTTP/1.1" "curl/7" - - arn Root=1-5 "-"'
    )
    row = of_alb(line, 1)
    assert row is not None
    assert (row.peer, row.target, row.time, row.status) == ("10.0.0.9:49440", "/a?b=1", AT, 200)
    assert row.length is None  # what it counts are bytes with heads


def test_csv_is_told_by_its_first_line() -> None:
    lines = ["time,method,url,status,bytes", "1795410135.512,GET,/a,200,382"]
    name, parse = told_by(lines) or ("", of_json)
    row = parse(lines[1], 2)
    assert name == "csv" and row is not None and (row.time, row.length) == (AT, 382)
    assert of_table("a,b") is None


@pytest.mark.parametrize(
    ("text", "time", "resolution"),
    [
        ("1795410135", AT - 512_000_000, 1_000_000_000),
        ("1795410135.512", AT, 1_000_000),
        (1795410135.512, AT, 1_000_000),
        ("1795410135512", AT, 1_000_000),
        ("1795410135512000", AT, 1_000),
        ("2026-11-23T07:02:15.512+02:00", AT, 1_000_000),
    ],
)
def test_times(text: object, time: int, resolution: int) -> None:
    assert times.parse(text) == (time, True, resolution)


@pytest.mark.parametrize(
    "text",
    ["", "-", True, None, "99", "2026-13-40T99:00:00Z", "9" * 19, float("nan"), [], "٣" * 10],
)
def test_what_is_no_time(text: object) -> None:
    assert times.parse(text) is None
