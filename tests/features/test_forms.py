"""Forms of bodies that are not JSON: skeletons without data, whatever the number of rows."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import limits
from analyzer.anomalies import Anomalies
from analyzer.features.bodies import Bodies
from analyzer.features.forms import Forms, is_read, may_repeat, reading, shape_as, value
from analyzer.features.shapes import NO_FORM, UNKNOWN_FORM, Form, paths, text
from analyzer.http import grammar

PAGE = """<!DOCTYPE html><html><head><meta name="description" content="{title}">
<title>{title}</title><style>a > b {{}}</style><script>if (a < b) x("<main>")</script></head>
<body class="orders"><!-- <nav> --><nav><ul>{links}</ul></nav>
<main id="content" data-page="x"><h1>{title}</h1><p>{text}</p>
<form action="/x"><input name="csrf" value="{title}"><input name="items[{rows}][q]"></form>
<table class="mt-4 active grid"><thead><tr><th>Order<th><a href="?s">Total due</a></tr></thead>
{table}</table></main></body></html>"""


def page(rows: int, title: str = "T", words: str = "") -> bytes:
    row = '<tr id="row-{0}" class="even"><td class="who"><b>{0}</b></td><td>{0}<td></tr>'
    return PAGE.format(
        title=title,
        links="".join(f"<li class=item><a href=/{n}>{n}</a></li>" for n in range(rows)),
        text=words,
        rows=rows,
        table="".join(row.format(n) for n in range(rows)),
    ).encode()


def shown(media_type: str, body: bytes) -> str:
    return text(shape_as(media_type, body))


def test_a_page() -> None:
    assert shown("text/html", page(2)) == (
        '{html: {body.orders: {"main#content": {"@data-page": attribute, form: {"name=csrf": field,'
        ' "name=items[*][q]": field}, h1: text, table.grid: {td.who: {}, "th=Order": column,'
        ' "th=Total due": column}}, nav: {li.item: {}}}, "meta=description": meta, title: text}}'
    )


@given(st.integers(1, 40), st.text("abc <&;é", max_size=30), st.text("xy \n.", max_size=60))
def test_rows_and_texts_of_a_page_do_not_matter(rows: int, title: str, words: str) -> None:
    title = title.replace("<", "&lt;")
    body = page(rows, title, f"{words} <em>x</em> <ul><li>{words}</ul>")
    assert shape_as("text/html", body) == shape_as("text/html", page(1))


def test_pages_of_two_plans_differ() -> None:
    other = page(2).replace(b'id="content"', b'id="basket"').replace(b"csrf", b"coupon")
    one, two = shape_as("text/html", page(2)), shape_as("text/html", other)
    assert len(set(paths(one)) ^ set(paths(two))) > 6


def test_ids_that_are_data() -> None:
    def people(*names: str) -> str:
        cards = "".join(f'<div class="card" id="{name}"><h2>{name}</h2></div>' for name in names)
        return shown("text/html", f"<main>{cards}</main>".encode())

    assert people("ann", "bob", "cyd") == "{html: {main: {div.card: {}}}}"
    assert people("ann", "bob", "cyd") == people("dan", "eve", "flo", "gus")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "{html: {}}"),
        (b"<main><nav></main></b></main><h1", "{html: {main: {nav: {}}}}"),
        (b"<MAIN ID=a><table><tr><th>A<tr><td>1", '{html: {"main#a": {table: {"th=A": column}}}}'),
        (b"<table><tr><th>Ann<td>1<tr><th>2026<th>x1", "{html: {table: {}}}"),
        (b'<main title="a > b" class=x1><nav>', "{html: {main: {nav: {}}}}"),
        (b'<main class="<b>\x1b[31m"><x-y>', "{html: {main: {x-y: {}}}}"),
        (b"<main><script>'</main>'</script><h1>x", "{html: {main: {h1: text}}}"),
    ],
)
def test_broken_pages(body: bytes, expected: str) -> None:
    assert shown("text/html", body) == expected


FEED = "<rss xmlns:a='u'><channel><title>{0}</title>{1}</channel></rss>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<a><b>1</b><b>2</b><c/></a>", "{a: {b: string, c: null}}"),
        (b'<?xml version="1.0"?><a:x i="1" xmlns:a="u">t</a:x>', '{x: {"@i": string}}'),
        (b"<a><b><c/><d/></b><b><c/></b></a>", "{a: {b: {c: null, d?: null}}}"),
        (
            b"<s:Envelope xmlns:s='u'><s:Header/><s:Body><m:GetQuoteResponse>"
            b"<m:Price>34.5</m:Price>"
            b"</m:GetQuoteResponse></s:Body></s:Envelope>",
            "{GetQuoteResponse: {Price: string}}",
        ),
        (b"<a><![CDATA[<b>]]><!-- <c> --></a>", "{a: string}"),
        (b"<a><b></a><c>", "{a: {b: null}, c: null}"),
        (b"no markup", ""),
        ("\ufeff<a>é</a>".encode("utf-16"), "{a: string}"),
    ],
)
def test_xml(body: bytes, expected: str) -> None:
    for media_type in ("application/xml", "text/xml", "application/soap+xml"):
        assert shown(media_type, body) == expected


@given(st.integers(1, 30), st.text("abc1 ", max_size=9))
def test_the_number_of_entries_of_a_feed_does_not_matter(count: int, title: str) -> None:
    item = f"<item guid='{count}'><title>{title}x</title></item>"
    body = FEED.format("T", item * count).encode()
    one = FEED.format("U", "<item guid=''><title>y</title></item>").encode()
    assert shape_as("application/rss+xml", body) == shape_as("application/rss+xml", one)


def test_entities_are_not_expanded() -> None:
    lol = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    body = b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY l0 'lol'>" + lol + b"]><a>&l9;</a>"
    assert shown("application/xml", body) == "{a: string}"


HOSTILE = {
    "open": b"<a ",
    "quote": b'<a b="',
    "quotes": b"<a b='\"'=\"",
    "equals": b"<a =",
    "comment": b"<!--",
    "cdata": b"<![CDATA[",
    "less": b"<",
    "elements": b"<div class=a>",
    "ends": b"<b><i></p>",
    "heads": b"<th>x",
    "script": b"<script>",
    "attributes": b"<a b=c d=e f g ",
    "instructions": b"<?",
}


@pytest.mark.parametrize("media_type", ["text/html", "text/xml"])
@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_hostile_markup_takes_bounded_time(media_type: str, piece: bytes) -> None:
    body = piece * (limits.BODY // len(piece))
    began = time.process_time()
    assert len(text(shape_as(media_type, body))) < 100_000
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    ("media_type", "body", "expected"),
    [
        ("text/csv", b"id,name\n1,Ann\n", "{csv: {id: cell, name: cell}}"),
        ("text/csv", b'id,"full, name"\r\n', '{csv: {"full, name": cell, id: cell}}'),
        ("text/csv", b"id;name\n1;2", '{"csv;": {id: cell, name: cell}}'),
        ("text/tab-separated-values", b"a\tb", "{tsv: {a: cell, b: cell}}"),
        ("text/csv", b"1,Ann\n2,Bob", "{csv: 2 columns}"),
        ("text/csv", b"Ann,a@b.c\n", "{csv: 2 columns}"),
        ("text/csv", b"", "{csv: 0 columns}"),
        ("text/csv", b'"unclosed', "{csv: {unclosed: cell}}"),
        ("application/x-www-form-urlencoded", b"b=1&a%5B7%5D=x&b=", '{"a[*]": string, b: string}'),
        ("text/plain", b" 12.5e3\n", "number"),
        ("text/plain", b"OK", "word"),
        ("text/plain", b"null", "null"),
        ("text/plain", b"hello there", "text"),
        ("text/plain", b"name: x\nstate = y\n", "{name: text, state: text}"),
        ("text/plain", b"INFO: x\nINFO: y\n", "text"),
        ("text/plain", b"<!doctype html><main>", "{html: {main: {}}}"),
        ("image/png", b"\x89PNG\r\n\x1a\nxx", "png"),
        ("image/png", b"\xff\xd8\xff\xe0", "jpeg"),
        ("image/png", b"x", "binary"),
        ("image/svg+xml", b"<svg><g/></svg>", "svg"),
        ("application/pdf", b"%PDF-1.7", "pdf"),
        ("application/octet-stream", b"PK\x03\x04", "zip"),
        ("application/octet-stream", b"\x00\x01\xff", "binary"),
        ("application/octet-stream", b"some text", "text"),
        ("text/css", b"a{}", ""),
        ("application/javascript", b"alert(1);", "script"),
        ("text/javascript", b'/**/ on.data({"n": 1});', "{callback: string, data: {n: number}}"),
        ("application/x-protobuf", b"\x08\x96\x01\x12\x03abc", '{"1": varint, "2": string}'),
        ("application/x-protobuf", b"\x1a\x03\x08\x96\x01", '{"3": {"1": varint}}'),
        ("application/x-protobuf", b"\x0a\x02\xff\xff", '{"1": bytes}'),
        ("application/x-protobuf", b"\x0a\x09\xff\xff", "binary"),
        ("application/octet-stream", b"\x08\x96\x01\x12\x03abc", '{"1": varint, "2": string}'),
        ("application/octet-stream", b"\x08\x01", "binary"),
        ("application/octet-stream", b"\x12\x03abc\x08\x96\x01", "binary"),
        (
            "application/grpc-web+proto",
            b"\0\0\0\0\x02\x08\x01\x80\0\0\0\x0egrpc-status:0\n",
            '{message: {"1": varint}, trailers: text}',
        ),
        (
            "text/event-stream",
            b'event: ping\ndata: {"t":1}\n\n: note\ndata: {"x":\ndata: "y"}\n\n'
            b"data: [DONE]\n\ndata: ",
            "[{message?: text | {x: string}, ping?: {t: number}}]",
        ),
        ("text/event-stream", b"retry: 5\r\n\r\n", "[]"),
        ("application/x-ndjson", b'{"a":1}\n{"a":2,"b":""}\n{"a', "[{a: number, b?: string}]"),
        ("application/json-seq", b'\x1e{"a":1}\n\x1e{"a":2}\n', "[{a: number}]"),
        (
            "multipart/form-data",
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n'
            b'Content-Type: application/json\r\n\r\n{"a":1}\r\n--x\r\n\r\nhello\r\n--x--\r\n',
            '[{f?: {a: number}, "text/plain"?: word}]',
        ),
        ("multipart/mixed", b"nothing", ""),
    ],
)
def test_other_bodies(media_type: str, body: bytes, expected: str) -> None:
    assert shown(media_type, body) == expected


@given(st.integers(1, 30), st.text("ab1 ", max_size=9))
def test_rows_of_csv_and_events_do_not_matter(count: int, value: str) -> None:
    rows = f"{count},{value}\n".encode() * count
    assert shape_as("text/csv", b"id,name\n" + rows) == shape_as("text/csv", b"id,name\n")
    event = b'data: {"v":"%s"}\n\n' % value.encode()
    one = shape_as("text/event-stream", event)
    assert shape_as("text/event-stream", event * count) == one
    line = b'{"v":"%s"}\n' % value.encode()
    assert shape_as("application/x-ndjson", line * count) == shape_as("application/jsonl", line)


TYPES = [
    "text/html", "text/xml", "text/csv", "application/x-www-form-urlencoded", "text/plain", "",
    "image/png", "application/octet-stream", "application/protobuf", "application/grpc",
    "text/event-stream", "application/x-ndjson", "multipart/mixed", "application/json",
]  # fmt: skip
PIECES = [
    b"<main", b' class="a', b'"', b">", b"</", b"<th>", b"<!--", b"<![CDATA[", b"]]>", b"=", b",",
    b"data: ", b"\n", b"\r\n", b"event:", b'{"a":1}', b"--", b"--x", b"\x1e", b"\x08\x01", b"\x0a",
    b"\xff", b"key: v", b"&", b"\x00\x00\x00\x00\x02", b"x", b"9" * 5,
]  # fmt: skip


@settings(max_examples=400)
@given(
    st.sampled_from(TYPES),
    st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join) | st.binary(max_size=60),
)
def test_any_body_has_a_form_that_can_be_shown(media_type: str, body: bytes) -> None:
    forms = Forms(Anomalies())
    form = forms.forms[forms.of(media_type, body)]
    again = Forms(Anomalies())
    assert again.forms[again.of(media_type, body)] == form
    written = text(form.shape)
    assert written.isprintable()
    assert len(written) <= 100_000
    assert all(isinstance(path, str) for path, _, _ in paths(form.shape))


# --- what could not be looked into -----------------------------------------------------------


def look(head: bytes, body: bytes) -> tuple[Form, dict[str, int]]:
    anomalies = Anomalies()
    bodies = Bodies(anomalies)
    number = bodies.look(grammar.fields(head), body).form
    return bodies.forms.forms[number], anomalies


def test_bodies_without_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY", 20)
    unknown, nothing = Form("?", None), Form("", None)
    long = {"body-too-long": 1}
    assert look(b"Content-Type: text/html", b"<main>" * 9) == (unknown, long)
    assert look(b"Content-Type: application/json", b"1" * 21) == (unknown, long)
    # What a look would say, the media type says too.
    assert look(b"Content-Type: image/png", b"\x89PNG" * 9) == (Form("image/png", "png"), {})
    assert look(b"Content-Type: text/css", b"a" * 21) == (Form("text/css", None), {})
    coded = look(b"Content-Type: text/html\r\nContent-Encoding: gzip", b"<main>")
    assert coded == (unknown, {"body-undecodable": 1})
    assert look(b"Content-Type: text/html", b"") == (nothing, {})
    assert (NO_FORM, UNKNOWN_FORM) == (0, 1)


def test_every_media_type_has_one_reader() -> None:
    assert not is_read("text/css")
    assert not is_read("video/mp4")
    assert is_read("anything/else")
    assert reading("application/atom+xml") == reading("text/xml")
    assert reading("text/markdown") == reading("text/plain")


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/json", True),
        ("text/html", True),
        ("application/soap+xml", True),
        ("text/csv", True),
        ("application/x-www-form-urlencoded", True),
        ("application/x-ndjson", True),
        ("text/event-stream", True),
        ("multipart/mixed", True),
        ("text/markdown", True),
        ("application/x-protobuf", True),
        ("image/svg+xml", True),
        ("application/javascript", True),
        # files, and programs
        ("image/png", False),
        ("text/css", False),
        ("application/octet-stream", False),
    ],
)
def test_bodies_that_may_say_whose_they_are(media_type: str, expected: bool) -> None:
    assert may_repeat(media_type) is expected


EVENTS = b'id: 3\nevent: a\ndata: {"n":\ndata: 1}\n\n: ping\n\ndata: [DONE]\n\n'
PARTS = b'--b\r\n\r\n{"n":1}\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("media_type", "body", "values"),
    [
        ("application/json", b'{"n":1}', {"n": 1}),
        ("application/json", b'{"n":1', None),
        ("text/html", b"<p>", None),
        ("text/event-stream", EVENTS, {"n": 1}),
        ("text/event-stream", EVENTS + EVENTS, ({"n": 1}, {"n": 1})),
        ("text/event-stream", b'data: {"n":1}\n', None),  # it has not ended
        ("application/x-ndjson", b'{"n":1}\n\n{"n":2}\n{"n":', ({"n": 1}, {"n": 2})),
        ("application/json-seq", b'\x1e{"n":1}\n\x1e{"n":2}\n', ({"n": 1}, {"n": 2})),
        ("application/stream+json", b'{"n":1}', {"n": 1}),
        ("application/stream+json", b'{"n":1}\n{"n":2}\n', ({"n": 1}, {"n": 2})),
        ("multipart/mixed", PARTS, {"n": 1}),
        ("multipart/mixed", b"no boundary", None),
        ("application/x-www-form-urlencoded", b"n=1&m=a+%C3%A9", {"n": "1", "m": "a \xe9"}),
        ("application/x-www-form-urlencoded", b"\xff%ff", None),
    ],
)
def test_values_in_bodies(media_type: str, body: bytes, values: object) -> None:
    assert value(media_type, body) == values


@given(
    st.sampled_from(
        ["text/event-stream", "application/jsonl", "multipart/x", "application/json",
         "application/x-www-form-urlencoded"]
    ),
    st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(
        [b"data:", b"--b", b"\r\n", b"\n", b"\xff", b"{}", b"=", b"&", b"%zz", b";", b"\x1e"]
    )).map(b"".join)),
)  # fmt: skip
def test_no_body_is_a_traceback(media_type: str, body: bytes) -> None:
    value(media_type, body)
    shape_as(media_type, body)
