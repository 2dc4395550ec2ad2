"""The same traffic gives the same findings, in whichever order its parts are met.

Connections that run side by side have no order of their own: their frames of one moment stand in
the capture as it happened to see them. Neither have blocks, nor the shares that several processes
read. What is found hangs on none of these; numbers of frames do.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest import MonkeyPatch, TempPathFactory

from analyzer import compiled, pipeline
from analyzer.extraction import join
from analyzer.findings.model import Finding
from analyzer.report.result import Report
from tests.builder import (
    CLIENT,
    MILLISECOND,
    SECOND,
    SERVER,
    START,
    Conversation,
    as_json,
    pcap,
    request,
    response,
)
from tests.findings.stable import epilogue, occupancy, swap, talk, vet_report

WAVES = 3  # of connections that run side by side
WIDTH = 8  # connections of a wave


def ordinary() -> list[Conversation]:
    """Connections in waves: those of one have all their frames at the same moments."""
    found = []
    for number in range(WAVES * WIDTH):
        one = talk(100 + number, start=START + number // WIDTH * SECOND)
        for ask, say in ((f"/horses/{number}/vet-report", vet_report(number)),
                         (f"/paddocks/{number}/occupancy", occupancy(number)),
                         (f"/grooms?user=groom{number:03d}",
                          as_json({"user": f"groom{number:03d}", "age": 30})),
                         ("/grooms?user=ada01",
                          as_json({"user": "ada01", "age": 30 + number // 3 % 4}))):  # fmt: skip
            one.ask(request(ask)).wait(20 * MILLISECOND).answer(response(say))
        found.append(one.close())
    return found


def incidents() -> list[Conversation]:
    """The story, a surplus, one cut short, and two that only a name tells apart."""
    begin = START + 40 * SECOND
    surplus = talk(11, start=begin).ask(request("/horses/7/vet-report"))
    surplus.answer(response(vet_report(7))).answer(response(vet_report(7))).wait(SECOND).close()
    cut = talk(12, start=begin).ask(request("/paddocks/8/occupancy"))
    cut.say(SERVER, response(occupancy(8))[:-9]).close(SERVER)
    one, two = (talk(n, start=begin + 20 * SECOND) for n in (13, 14))
    for conversation, asks, gets in ((one, "ada", "bob"), (two, "bob", "ada")):
        conversation.ask(request(f"/grooms?user={asks}01")).wait(SECOND)
        conversation.answer(response(as_json({"user": f"{gets}01", "age": 30}))).close(CLIENT)
    return [*swap(), surplus, cut, one, two]


CONVERSATIONS = (*ordinary(), *incidents())


def told(report: Report) -> tuple[list[Any], list[Any]]:
    """What is found and noticed, without numbers of frames."""

    def finding(found: Finding) -> tuple[Any, ...]:
        asked = [r and (r.client, r.target) for r in (found.request, found.owner)]
        weighed = sorted((w.comparison, w.bits) for w in found.weighed)
        reasons = sorted((e.name, e.verdict, e.because) for e in found.explanations)
        causes = [(c.cause, c.verdict) for c in found.causes]
        return found.kind, asked, found.confidence, found.bits, weighed, reasons, causes

    judgement = report.judgement
    return (
        sorted(map(finding, judgement.findings), key=str),
        sorted(
            (n.request.client, n.request.target, n.notice) for n in judgement.notices if n.request
        ),
    )


def extracting(block: int, order: list[int]) -> Callable[..., pipeline.Extracted]:
    """Read in blocks of so many bytes and in shares that are put together in this order."""

    def extract(paths: list[str], **options: Any) -> pipeline.Extracted:
        spool = options.get("spool")
        shares = [pipeline.extract_share(paths, n, len(order), block, None, spool) for n in order]
        _, captures, interfaces = shares[0]
        return join([share[0] for share in shares]), captures, interfaces

    return extract


def test_there_is_something_to_find(tmp_path_factory: TempPathFactory) -> None:
    findings, _ = told(scanned(tmp_path_factory, list(CONVERSATIONS), 1 << 24, [0], kernels=True))
    assert sorted(str(found[0]) for found in findings) == [
        "incomplete", *["misdelivered"] * 3, "unanswered", "unsolicited"
    ]  # fmt: skip
    # Each of the two has the other one's, though the same was asked, and so answered, before.
    asked = [[client for client, _ in found[1] if client] for found in findings if all(found[1])]
    one, two = "10.0.1.13:41013", "10.0.1.14:41014"
    assert [one, two] in asked
    assert [two, one] in asked


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    order=st.permutations(CONVERSATIONS),
    block=st.sampled_from([700, 4_096, 50_021, 1 << 24]),
    shares=st.integers(1, 3).flatmap(lambda count: st.permutations(range(count))),
    kernels=st.booleans(),
)
def test_any_order_of_connections_blocks_and_shares(
    tmp_path_factory: TempPathFactory,
    order: list[Conversation],
    block: int,
    shares: list[int],
    kernels: bool,
) -> None:
    usual = told(scanned(tmp_path_factory, list(CONVERSATIONS), 1 << 24, [0], kernels=True))
    assert told(scanned(tmp_path_factory, order, block, shares, kernels=kernels)) == usual


def scanned(
    folder: TempPathFactory,
    conversations: list[Conversation],
    block: int,
    shares: list[int],
    *,
    kernels: bool,
) -> Report:
    """The report on these, those that come first in the list being first of each moment's."""
    frames = [frame for one in conversations for frame in one.frames] + epilogue()
    path = folder.mktemp("order") / "all.pcap"
    path.write_bytes(pcap(sorted(frames, key=lambda frame: frame.time)))
    with MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "extract", extracting(block, shares))
        if not kernels:
            patch.setattr(compiled, "kernels", None)
        return pipeline.scan([str(path)])
