"""Incidents as a JUnit XML report, which CI systems show: a test case for each, failed.

Law: a run in which nothing was found has one test case that passed; one in which nothing could be
judged has one with an error, for it has shown nothing.

Format: the one that Jenkins, GitLab and others read, as of
https://github.com/testmoapp/junitxml
"""

import re
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from analyzer.explain.overviews import Summary
from analyzer.report import remarks
from analyzer.report.escape import rfc3339, visible, well_formed
from analyzer.report.result import Report

_SUITE = "wrangler-forensics"
_NO_XML = re.compile("[\ufffe\uffff]")  # besides what `visible` shows as escapes (XML 1.0 §2.2)


def junit(report: Report, summaries: Sequence[Summary]) -> bytes:
    """The report as JUnit XML, UTF-8."""
    failures = len(summaries)
    errors = int(report.nothing_judged or report.partial)
    counts = {
        "tests": str(max(1, failures + errors)),
        "failures": str(failures),
        "errors": str(errors),
        "skipped": "0",
    }
    root = Element("testsuites", {"name": _SUITE, **counts})
    first = min((c.first for c in report.captures if c.first is not None), default=0)
    about = {"name": _text(remarks.names(report)), "timestamp": rfc3339(first)[:19]}
    suite = SubElement(root, "testsuite", {**about, **counts})
    for summary in summaries:
        case = _case(suite, summary.endpoint or summary.title, summary.kind, summary.id)
        told = SubElement(case, "failure", type=str(summary.kind), message=_text(summary.title))
        told.text = "\n".join(map(_text, _lines(summary)))
    if errors:
        case = _case(suite, "what was captured can be judged", "coverage")
        said = " ".join(remarks.verdict(report))
        SubElement(case, "error", type="not-judged", message=_text(said)).text = "\n".join(
            _text(f"{one.things}: {one.why}") for one in report.coverage.unjudged
        )
    elif not summaries:
        case = _case(suite, "every response that was judged is its request's own", "coverage")
        SubElement(case, "system-out").text = _text(" ".join(remarks.verdict(report)))
    indent(root)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(suite: Element, name: str, of: str, incident: str = "") -> Element:
    told = f"{name} ({incident})" if incident else name
    return SubElement(suite, "testcase", name=_text(told), classname=f"{_SUITE}.{of}", time="0")


def _lines(summary: Summary) -> Iterator[str]:
    yield f"{rfc3339(summary.time)}, incident {summary.id}, {summary.cause}"
    yield summary.sentence
    yield summary.why
    yield f"How sure: {summary.sure}. {summary.where}"


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", visible(well_formed(text)))
