"""Which incidents are listed, and how a line of the list reads. No terminal is needed for it.

Law: text from packets is made visible here, before it goes to a screen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analyzer.explain.overviews import Summary
from analyzer.report.escape import rfc3339, visible
from analyzer.report.opinions import Mark, Marks, Opinion

SIGNS = {Opinion.CONFIRMED: "+", Opinion.DISMISSED: "-", Opinion.UNSURE: "?"}
UNMARKED = "unmarked"
MARKS = (UNMARKED, *(str(opinion) for opinion in Opinion))


@dataclass(frozen=True, slots=True)
class Filter:
    """What is listed; "": all. `text` is looked for in what an incident's summary says."""

    kind: str = ""
    confidence: str = ""
    mark: str = ""
    text: str = ""

    @property
    def words(self) -> str:
        """What it leaves, in words; "" where that is all."""
        parts = [part for part in (self.kind, self.confidence, self.mark) if part]
        return ", ".join([*parts, *([f"“{visible(self.text)}”"] if self.text else [])])

    def leaves(self, summary: Summary, mark: Mark | None) -> bool:
        """Whether an incident is listed."""
        said = UNMARKED if mark is None else str(mark.mark)
        return (
            self.kind in ("", str(summary.kind))
            and self.confidence in ("", str(summary.confidence))
            and self.mark in ("", said)
            and (not self.text or self.text.casefold() in _searched(summary, mark))
        )


def _searched(summary: Summary, mark: Mark | None) -> str:
    texts = (
        summary.id, summary.kind, summary.title, summary.endpoint, summary.cause, summary.sentence,
        mark.note if mark is not None else "",
    )  # fmt: skip
    return "\n".join(texts).casefold()


def following(every: Sequence[str], current: str) -> str:
    """The next value of a filter: those that there are, one after the other, then all."""
    values = ["", *every]
    return values[(values.index(current) + 1) % len(values)] if current in values else ""


def listed(summaries: Sequence[Summary], marks: Marks, chosen: Filter) -> Iterator[Summary]:
    """The incidents that a filter leaves, in their order."""
    return (one for one in summaries if chosen.leaves(one, marks.get(one.id)))


def line(summary: Summary, mark: Mark | None) -> str:
    """An incident in a line, what tells most first."""
    sign = SIGNS[mark.mark] if mark is not None else " "
    what = visible(summary.endpoint or summary.title)
    return f"{sign} {rfc3339(summary.time)[11:19]} {summary.kind} {what}"
