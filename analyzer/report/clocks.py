"""How the clocks of several captures compare, for a person.

Law: nothing is estimated here; the vantages have it (`correlate.clocks`).
"""

from dataclasses import dataclass

from analyzer.report.result import Report


@dataclass(frozen=True, slots=True)
class Compared:
    """A capture's clock against the reference; `offset` in ns ahead, None: it cannot be told.

    `corrected` is whether times were put right by it; `text` says all of it.
    """

    path: str
    offset: int | None
    corrected: bool
    text: str


def comparisons(report: Report) -> list[Compared]:
    """The clocks of all captures but the reference one's, each once."""
    found = []
    known: set[tuple[int, ...]] = set()
    vantages = report.judgement.vantages
    reference = next((v for v in vantages if v.bound_ns == 0), None)
    for vantage in vantages:
        if vantage.captures in known or reference is None:
            continue
        known.add(vantage.captures)
        path = report.captures[vantage.captures[0]].path
        if vantage.captures == reference.captures:
            continue
        if vantage.offset_ns is None or vantage.bound_ns is None:
            text = f"{path}: its clock cannot be compared with the reference"
            found.append(Compared(path, None, False, text))
            continue
        drift = f", gaining {vantage.drift_ppm:+.1f} ppm" if vantage.drift_ppm else ""
        bound = max(vantage.bound_ns, 1_000) / 1e6
        how = "ahead" if vantage.offset_ns >= 0 else "behind"
        put_right = "; the times shown are corrected for that" if vantage.corrected else ""
        text = (
            f"{path}: {abs(vantage.offset_ns) / 1e6:,.3f} ms {how}, give or take {bound:,.3f} ms"
            f"{drift}{put_right}"
        )
        found.append(Compared(path, vantage.offset_ns, vantage.corrected, text))
    return found


def compared(report: Report) -> list[str]:
    """The same, a line each, with the reference first; none where there is one clock."""
    told = [one.text for one in comparisons(report)]
    reference = next((v for v in report.judgement.vantages if v.bound_ns == 0), None)
    if told and reference is not None:
        told.insert(0, f"{report.captures[reference.captures[0]].path}: its clock is the reference")
    return told
