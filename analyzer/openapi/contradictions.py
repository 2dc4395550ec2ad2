"""EXCHANGES and documents -> notices: what the traffic has that a document does not allow.

Law: a distinct shape of an endpoint is looked at once, by one of its bodies; so what a schema says
of values holds for that one. What is at fault, or in question, contradicts nothing.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from analyzer.baselines.learned import Name
from analyzer.baselines.prior import Fit
from analyzer.correlate.view import NOT_MODIFIED, Row, Tables, frame_ids
from analyzer.features.shapes import NO_FORM, UNKNOWN_FORM, may_be_json
from analyzer.findings.model import Judgement, Notice
from analyzer.matching.learning import in_question
from analyzer.matching.messages import Look, Messages, Read
from analyzer.openapi.model import Check, Document
from analyzer.second_pass.model import SERVER
from analyzer.tables import Flag, Outcome

_SURPLUS = int(Flag.SURPLUS)
MOST_CHECKED = 2_000  # distinct answers: endpoint, status and shape
MOST_TOLD = 200  # contradictions to one document


def contradictions(
    tables: Tables,
    documents: Sequence[Document],
    judgement: Judgement,
    fits: Sequence[Sequence[Fit]],
    look: Look | None = None,
    read: Read | None = None,
) -> list[Notice]:
    """What contradicts the documents, of the servers that each fits."""
    if not documents:
        return []
    rows = _distinct(tables, judgement)
    ends = zip(tables.connections["server"], tables.connections["server_port"], strict=True)
    places = (tables.place(int(address), int(port)) for address, port in ends)
    service = dict(zip(places, tables.joined.service.tolist(), strict=True))
    found: list[Notice] = []
    for document, of in zip(documents, fits, strict=True):
        servers = {service[fit.server] for fit in of if fit.fits}
        mine = [row for row in rows if tables.server(row) in servers]
        messages = Messages(tables, look, read)
        wanted = [row for row in mine if _schema(tables, document, row) is not None]
        messages.take([], [], wanted)
        every = _of_document(tables, document, mine, messages)
        told = {(notice.notice, notice.request and notice.request.endpoint): notice
                for notice in reversed(list(every))}  # fmt: skip
        found += [*reversed(told.values())][:MOST_TOLD]
        unread = sum(messages.message(row, SERVER) is None for row in wanted)
        if unread:
            text = f"{unread:,} shapes were not held against {document.path}: no body could be read"
            found.append(Notice(text, None, None))
    return found


def _distinct(tables: Tables, judgement: Judgement) -> list[Row]:
    """An exchange of each endpoint, status and form, the first one."""
    apart = np.array(sorted(in_question(judgement)), dtype=np.int64)
    found: dict[int, Row] = {}
    for rows, targets in tables.judged():
        usable = (rows["outcome"] == Outcome.ANSWERED) & (rows["request_frame"] > 0)
        usable &= rows["flags"] & _SURPLUS == 0  # what was sent before its request is no answer
        usable &= ~np.isin(frame_ids(rows, "request"), apart)
        at = np.flatnonzero(usable)
        codes, first = np.unique(tables.keys(rows[at]), return_index=True)
        for code, i in zip(codes.tolist(), at[first].tolist(), strict=True):
            if code not in found and len(found) < MOST_CHECKED:
                found[code] = Row(rows[i], targets[i])
    return list(found.values())


def _schema(tables: Tables, document: Document, row: Row) -> object | None:
    """The schema that a response's body has to fit; None where the document has none."""
    answer = document.answer(Name.of(tables.names[tables.endpoint(row)]), row["status"])
    if answer is None or row["form"] in (NO_FORM, UNKNOWN_FORM):
        return None
    media_type = tables.forms[row["form"]].media_type
    known = answer.media_range(media_type)
    return None if known is None or not may_be_json(media_type) else answer.content[known]


def _of_document(
    tables: Tables, document: Document, rows: Sequence[Row], messages: Messages
) -> Iterator[Notice]:
    checks: dict[int, Check] = {}
    for row in rows:
        text = _contradiction(tables, document, row, messages, checks)
        if text:
            yield Notice(text, tables.request(row), tables.response(row))


def _contradiction(
    tables: Tables, document: Document, row: Row, messages: Messages, checks: dict[int, Check]
) -> str:
    name = Name.of(tables.names[tables.endpoint(row)])
    if name not in document.answers and name._replace(operation="") not in document.answers:
        return f"{document.path} has no such operation"
    status, media_type = row["status"], tables.forms[row["form"]].media_type
    answer = document.answer(name, status)
    if answer is None and status != NOT_MODIFIED:
        return f"{document.path} has no response with status {status} for it"
    if answer is None or row["form"] in (NO_FORM, UNKNOWN_FORM):
        return ""
    if not answer.content:
        return f"{document.path} has no content in its response with status {status}"
    if answer.media_range(media_type) is None:
        of = media_type or "without a media type"
        return f"{document.path} has no content {of} for its status {status}"
    schema = _schema(tables, document, row)
    said = messages.said(row) if schema is not None else None
    if said is None:
        return ""
    if id(schema) not in checks:
        checks[id(schema)] = document.check(schema)
    wrong = checks[id(schema)](said.body)
    return f"the body does not fit its schema in {document.path}: {wrong}" if wrong else ""
