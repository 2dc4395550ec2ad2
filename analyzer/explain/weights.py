"""What a finding weighs, in a few plain lines: what speaks for it, what against, what it beat.

Law: the bits are the finding's own (`matching.weights`); nothing is weighed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from analyzer.findings.model import CERTAIN, SWAP, Finding

if TYPE_CHECKING:
    from analyzer.explain.model import Scale
    from analyzer.findings.model import Weighed

LEAST_TOLD = 0.5  # bits of a kind of comparison that is told at all

_FAULTS = ("another request's response", "what is another's")  # that are as rare as swaps

# What each kind of comparison is about.
ABOUT = {
    "form": "its shape",
    "token": "what it repeats of what requests name",
    "demanded": "what the protocol demands that a response repeat",
    "who": "what it shows of what goes with credentials",
    "not who": "that it does not show what goes with its own credentials",
    "repeats body": "what it repeats of the body of the request before",
    "time": "when it came",
    "again": "what the same requests are given at other times",
    "unserved": "a request was left without a response, as few are",
    "failed": "a request was told that it failed, as few are",
    "equal bytes": "two requests were given the same bytes",
    "at once": "both were under way at the same time",
    "later": "which of the two had asked later",
    "numbers": "it came before its request had arrived",
    "habit": "how this client usually asks",
    "surplus": "a response more or less than was asked for",
    "ended": "how the other connection had ended",
    "proxy": "the proxy answered by itself",
    "seen here": "the server was seen to mix up others",
    "sight": "whether its request would have been seen",
}


def scales(findings: Iterable[Finding]) -> Iterator[Scale]:
    """A scale for each event among the findings: those of one event weigh the same.

    Several that read alike are told once.
    """
    from analyzer.explain.model import Scale  # of stories; `odds` is of every scan

    told: set[tuple[Weighed, ...] | Scale] = set()
    for finding in findings:
        if not finding.weighed or finding.weighed in told:
            continue
        told.add(finding.weighed)
        sums: dict[str, float] = {}
        for one in finding.weighed:
            sums[one.comparison] = sums.get(one.comparison, 0.0) + one.bits
        lines = [(ABOUT[name], bits) for name, bits in sums.items() if abs(bits) >= LEAST_TOLD]
        lines.sort(key=lambda line: -line[1])
        if any(one.name in _FAULTS for one in finding.explanations):
            lines.append(("a swap is rare: one exchange in a million", -SWAP))
        lost = [one for one in finding.explanations if one.verdict == "lost"]
        scale = Scale(tuple(lines), finding.bits, odds(finding.bits), lost[0] if lost else None)
        if scale not in told:
            told.add(scale)
            yield scale


def odds(bits: float) -> str:
    """Bits as odds, as far as anybody could check them: `30 to 1`, `more than 1,000 to 1`."""
    if bits >= CERTAIN:
        return "more than 1,000 to 1"
    return f"{max(1, round(2.0**bits)):,} to 1"
