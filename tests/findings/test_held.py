"""What the kernel told of the waiting connection decides between the causes, as of its moment."""

import json
from pathlib import Path

import pytest

from analyzer import dossier, facts, pipeline
from analyzer.errors import InputError
from analyzer.findings.model import Finding
from analyzer.sockets import Holder, Listener, Snapshot, Socket, Standing
from tests.builder import MILLISECOND, SECOND, Conversation, in_time, pcap, request
from tests.findings.stable import LATER, epilogue, ordinary, swap, talk
from tests.tools import scanned

SERVES = Holder(70, "node", 20, role="serves", because="it holds the listening socket")
SLEEPS = Holder(71, "sleep", 3, 70, role="bystander", because="it was started by node (pid 70)")


def look(at: int, standing: Standing, *holders: Holder, client: str = "10.0.1.1:41001") -> Snapshot:
    """A look at the first client's connection, `at` seconds after its request was sent."""
    names = ((client, "10.0.0.2:8080"),)
    inner = Socket(
        "172.17.0.1:5", "172.17.0.2:3000", standing, names, "ESTABLISHED", holders=holders
    )
    listener = Listener("0.0.0.0:3000", 5, 4, 9)
    time = LATER + at * SECOND + 100 * MILLISECOND
    return Snapshot(time, 1_000_000, sockets=(inner,), listeners=(listener,))


def found(folder: Path, *looks: Snapshot, incident: tuple[Conversation, ...]) -> list[Finding]:
    frames = in_time(ordinary(), *(one.frames for one in incident), epilogue())
    path = folder / "built.pcap"
    path.write_bytes(pcap(frames))
    return pipeline.examine([str(path)], sockets=looks).report.judgement.findings


def verdicts(finding: Finding) -> dict[str, str]:
    return {cause.cause: str(cause.verdict) for cause in finding.causes}


def of_swap(folder: Path, *looks: Snapshot) -> list[dict[str, str]]:
    told = found(folder, *looks, incident=swap())
    assert {finding.cause for finding in told} == {told[0].causes[0].cause}
    return [verdicts(finding) for finding in told]


def test_a_bystander_alone_proves_that_the_server_had_lost_it(tmp_path: Path) -> None:
    for told in of_swap(tmp_path, look(2, Standing.BYSTANDER, SLEEPS)):
        assert told["server/descriptor"] == "supported"
        others = {v for c, v in told.items() if c.startswith("server/") and "descr" not in c}
        assert others == {"ruled-out"}


def test_who_held_it_is_in_the_evidence(tmp_path: Path) -> None:
    looks = look(2, Standing.BYSTANDER, SLEEPS), look(4, Standing.GONE)
    for finding in found(tmp_path, *looks, incident=swap()):
        facts = [fact.fact for fact in finding.evidence if "the kernel was asked" in fact.fact]
        assert len(facts) == 1
        assert "only sleep (pid 71, descriptor 3)" in facts[0]


def test_a_server_that_owns_it_after_the_write_excludes_the_descriptor(tmp_path: Path) -> None:
    for told in of_swap(tmp_path, look(2, Standing.SERVER, SERVES)):
        assert told["server/descriptor"] == "ruled-out"
    for finding in found(tmp_path, look(2, Standing.SERVER, SERVES), incident=swap()):
        assert finding.cause == "server/stolen"


def test_a_look_before_the_write_excludes_nothing(tmp_path: Path) -> None:
    # The response goes astray a second after the request: the descriptor may be lost in between.
    before = of_swap(tmp_path)
    assert of_swap(tmp_path, look(0, Standing.SERVER, SERVES)) == before
    assert of_swap(tmp_path, look(-5, Standing.BYSTANDER, SLEEPS)) == before
    proved = of_swap(
        tmp_path, look(0, Standing.SERVER, SERVES), look(2, Standing.BYSTANDER, SLEEPS)
    )
    assert proved[0]["server/descriptor"] == "supported"


def test_what_is_not_known_changes_no_cause(tmp_path: Path) -> None:
    before = of_swap(tmp_path)
    for standing in (Standing.UNKNOWN, Standing.GONE, Standing.CLOSED):
        assert of_swap(tmp_path, look(2, standing)) == before
    other = look(2, Standing.BYSTANDER, SLEEPS, client="10.9.9.9:1")
    assert of_swap(tmp_path, other) == before


def test_one_that_nobody_accepted_was_answered_by_nobody(tmp_path: Path) -> None:
    hung = talk(1).ask(request("/horses/3/vet-report")).wait(9 * SECOND)
    (finding,) = found(tmp_path, look(2, Standing.UNACCEPTED), incident=(hung.close(),))
    assert finding.cause == "server/silent"
    assert "5 wait in the listener's queue" in finding.causes[0].because
    assert verdicts(finding).get("server/descriptor", "ruled-out") == "ruled-out"


def test_a_silent_request_without_a_swap(tmp_path: Path) -> None:
    hung = talk(1).ask(request("/horses/3/vet-report")).wait(9 * SECOND)
    hung.close()
    (lost,) = found(tmp_path, look(2, Standing.BYSTANDER, SLEEPS), incident=(hung,))
    assert (lost.cause, verdicts(lost)["server/silent"]) == ("server/descriptor", "ruled-out")
    (owned,) = found(tmp_path, look(2, Standing.SERVER, SERVES), incident=(hung,))
    assert (owned.cause, verdicts(owned)["server/descriptor"]) == ("server/silent", "ruled-out")


def test_evidence_keeps_it_and_whoever_reads_that_is_told(tmp_path: Path) -> None:
    frames = in_time(ordinary(), *(one.frames for one in swap()), epilogue())
    path = tmp_path / "built.pcap"
    path.write_bytes(pcap(frames))
    snapshot = look(2, Standing.BYSTANDER, SLEEPS)
    examination = pipeline.examine([str(path)], sockets=[snapshot])
    (written,) = dossier.write(examination, str(tmp_path / "kept"), force=False)
    assert written.found
    beside = facts.beside([written.path])
    assert facts.sockets_in(beside) == [snapshot]
    again = pipeline.examine([written.path], sockets=facts.sockets_in(beside))
    assert {f.cause for f in again.report.judgement.findings} == {"server/descriptor"}
    Path(beside[0]).write_text(json.dumps({"sockets": [{"time": "x"}]}))
    with pytest.raises(InputError, match="not an incident's facts"):
        facts.sockets_in(beside)
    assert facts.beside([str(path)]) == []


def test_without_sockets_nothing_is_said_of_them(tmp_path: Path) -> None:
    report = scanned(tmp_path, in_time(ordinary(), *(one.frames for one in swap()), epilogue()))
    for finding in report.judgement.findings:
        assert not any("the kernel was asked" in fact.fact for fact in finding.evidence)
