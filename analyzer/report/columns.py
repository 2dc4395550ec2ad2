"""The columns of the report's tables: `Report.findings`, `exchanges`, `endpoints`, and their files.

Law: a name means one thing in all three. `exchange` joins findings with exchanges, `endpoint` both
with endpoints. A new column goes to the end, for those who count columns.
"""

from typing import NamedTuple


class Column(NamedTuple):
    """A column: its pandas dtype, and what it says.

    Where there is nothing to say, a cell is NaT, NA or NaN in a frame, and blank in CSV. In CSV a
    list is joined by "; ", a timedelta is seconds.
    """

    dtype: str
    meaning: str


NAME = "category"  # text of which many rows have the same
TEXT = "string[pyarrow]"
LIST = "object"  # a tuple of texts, for pandas reads no other kind of list back from Parquet
TIME = "datetime64[ns, UTC]"
SPAN = "timedelta64[ns]"

_EXCHANGE = "id of the exchange: index of the file, frame and TCP sequence number of its first byte"
_ENDPOINT = "method and path template"
_DURATION = "from the request's first byte to the response's first byte"

FINDING_COLUMNS: dict[str, Column] = {
    "id": Column(TEXT, "name of the finding, the same from run to run"),
    "incident": Column(TEXT, "name of the incident that it is part of, the same from run to run"),
    "kind": Column(NAME, "misdelivered, unanswered, incomplete or unsolicited"),
    "confidence": Column(NAME, "certain, likely or possible"),
    "cause": Column(NAME, "layer/mechanism, the best supported"),
    **{
        f"{who}_{name}": column
        for who in ("request", "owner")
        for name, column in {
            "method": Column(NAME, "its method"),
            "target": Column(TEXT, "its target, exactly as sent"),
            "endpoint": Column(NAME, _ENDPOINT),
            "client": Column(NAME, "ip:port at the vantage nearest the client"),
            "server": Column(NAME, "ip:port"),
            "inside": Column(
                NAME, "the server's ip:port nearest to it, where translation makes that another"
            ),
            "source": Column(
                NAME, "the client's ip:port as a PROXY header on the connection has it"
            ),
            "time": Column(TIME, "its first byte"),
            "file": Column(NAME, "the capture with its first byte, as given"),
            "frame": Column("UInt32", "frame number of its first byte"),
            "connection": Column("UInt32", "number of the connection"),
        }.items()
    },
    "response_status": Column("UInt16", "status code"),
    "response_time": Column(TIME, "its first byte"),
    "response_file": Column(NAME, "the capture with its first byte, as given"),
    "response_frame": Column("UInt32", "frame number of its first byte"),
    "response_length": Column("UInt64", "body length in bytes, transfer coding removed"),
    "response_shape": Column(NAME, "shape of the body"),
    "causes": Column(LIST, "each considered cause with its verdict and reason"),
    "evidence": Column(LIST, "facts with their frames"),
    "seen": Column(
        LIST, "what each vantage saw: request frame, response frame, nearest the client first"
    ),
    "filter": Column(TEXT, "Wireshark display filter"),
    "exchange": Column(TEXT, f"{_EXCHANGE}; of the response where no request is in sight"),
    "owner_exchange": Column(TEXT, "id of the exchange of the request that it belongs to"),
    "endpoint": Column(NAME, f"{_ENDPOINT} of the request, else of the owner"),
    "duration": Column(SPAN, _DURATION),
    "mark": Column(NAME, "of its incident in a review: confirmed, dismissed or unsure"),
    "note": Column(TEXT, "what was noted with the mark"),
}

EXCHANGE_COLUMNS: dict[str, Column] = {
    "outcome": Column(NAME, "answered, unanswered, incomplete or unsolicited"),
    "method": Column(NAME, "request method"),
    "target": Column(TEXT, "request target, exactly as sent"),
    "endpoint": Column(NAME, _ENDPOINT),
    "host": Column(NAME, "Host field"),
    "client": Column(NAME, "ip:port"),
    "server": Column(NAME, "ip:port"),
    "interface": Column(NAME, "interface of the judged sighting"),
    "connection": Column("uint32", "number of the connection"),
    "request_capture": Column("UInt16", "index of the file"),
    "request_frame": Column("UInt32", "frame number of its first byte"),
    "request_time": Column(TIME, "its first byte"),
    "request_length": Column("UInt64", "body bytes"),
    "status": Column("UInt16", "status code"),
    "response_capture": Column("UInt16", "index of the file"),
    "response_frame": Column("UInt32", "frame number of its first byte"),
    "response_time": Column(TIME, "its first byte"),
    "response_end_frame": Column("UInt32", "frame number of its last byte"),
    "response_end_time": Column(TIME, "its last byte"),
    "response_length": Column("UInt64", "body bytes"),
    "media_type": Column(NAME, "of the response"),
    "shape": Column(NAME, "of the response's body"),
    "flags": Column(LIST, "what qualifies the exchange, as in analyzer.tables.FLAGS"),
    "exchange": Column(TEXT, f"{_EXCHANGE}; of the response where no request is in sight"),
    "duration": Column(SPAN, _DURATION),
    "response_duration": Column(SPAN, "from the response's first byte to its last byte"),
}

ENDPOINT_COLUMNS: dict[str, Column] = {
    "endpoint": Column(NAME, _ENDPOINT),
    "requests": Column("uint64", "requests to the endpoint"),
    "status": Column("UInt16", "status code of this form of response"),
    "media_type": Column(NAME, "its media type"),
    "shape": Column(NAME, "its shape"),
    "count": Column("uint64", "responses in this form"),
}
