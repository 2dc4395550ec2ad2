"""The report for CI: failed, passed, or an error where nothing was shown."""

from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

from analyzer import pipeline
from analyzer.report.junit import junit
from tests.builder import in_time, pcap
from tests.findings.stable import epilogue, ordinary, swap, talk


def suite(path: Path) -> Element:
    examined = pipeline.examine([str(path)])
    summaries = [examined.summary(one) for one in examined.incidents()]
    root = fromstring(junit(examined.report, summaries))
    (found,) = root
    assert root.attrib["tests"] == found.attrib["tests"] == str(len(found))
    for kind, tag in (("failures", "failure"), ("errors", "error")):
        assert found.attrib[kind] == str(len(found.findall(f"testcase/{tag}")))
    return found


def test_an_incident_is_a_failed_test(tmp_path: Path) -> None:
    one, two = swap()
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames, two.frames, epilogue())))
    (case,) = suite(path)
    failure = case.find("failure")
    assert failure is not None and failure.attrib["type"] == "misdelivered"
    assert "/horses/417/vet-report" in str(failure.text)
    assert case.attrib["name"].startswith("GET /paddocks/{id}/occupancy (")


def test_nothing_found_has_passed_and_nothing_judged_has_not(tmp_path: Path) -> None:
    path = tmp_path / "well.pcap"
    path.write_bytes(pcap(ordinary()))
    (case,) = suite(path)
    assert [child.tag for child in case] == ["system-out"]
    path = tmp_path / "empty.pcap"
    path.write_bytes(pcap([]))
    (case,) = suite(path)
    assert [child.tag for child in case] == ["error"]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    target = "/x?<b>&]]>\x1b[31m\x00\x9b\xff"
    one = talk().ask(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode("latin-1"))
    path = tmp_path / "\ufffe\x1b<i>.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.wait(9 * 10**9).close().frames, epilogue())))
    found = suite(path)
    assert found.attrib["failures"] == "1"
    text = "".join(found.itertext()) + "".join(v for e in found.iter() for v in e.attrib.values())
    assert "\x1b" not in text and "\x9b" not in text and "<i>" in text
