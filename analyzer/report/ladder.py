"""A story in the terminal: in words, as a ladder, and what to do next; made for 80 columns.

Law: it computes nothing. What is drawn is in the story; here it is wrapped, placed and coloured,
and text from packets is made harmless.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.console import Console
from rich.text import Text

from analyzer.correlate.frames import listed
from analyzer.explain.model import HINTS, Bodies, Event, Exhibit, Look, Manner, Scale, Step, Story
from analyzer.findings.model import Verdict
from analyzer.report.escape import rfc3339, shortened, visible
from analyzer.report.layout import Out, wrapped

WIDEST = 140  # columns; more makes the eye lose the line
NARROWEST = 60
MOST_OTHERS = 20  # incidents beside the one that is told
MOST_BODIES = 2  # comparisons of one story
_TIME, _FRAME = 9, 7  # columns of the gutter; frames that have their files have more,
_WIDEST_FRAME = 5  # no more than this part of all columns
_PAUSE = 0.08  # share of the whole time that makes a pause worth a line of its own
_LEAST_PAUSE = 50_000_000  # ns
_LONGEST_SHAPE = 300

_STYLES: dict[Manner, str] = {
    Manner.ASTRAY: "bold red",
    Manner.CLOSE: "yellow",
    Manner.RESET: "bold yellow",
    Manner.REPEAT: "magenta",
    Manner.WINDOW: "magenta",
    Manner.ACK: "cyan",
    Manner.NOTE: "italic",
}
_VERDICTS = {
    Verdict.SUPPORTED: ("supported", "bold green"),
    Verdict.POSSIBLE: ("possible", "bold yellow"),
    Verdict.RULED_OUT: ("ruled out", "dim"),
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What lines are drawn with."""

    lane: str
    gap: str
    line: str
    heavy: str
    left: str
    right: str
    leave_left: str
    leave_right: str


_UNICODE = Glyphs("│", "┊", "─", "━", "◀", "▶", "┤", "├")
_ASCII = Glyphs("|", ":", "-", "=", "<", ">", "|", "|")


def show(story: Story, console: Console, comments: Sequence[str] = (), *, mark: str = "") -> None:
    """Print a story; `comments` are those that its captures have on its frames.

    `mark` is what somebody said of it in a review.
    """
    width = max(NARROWEST, min(console.width, WIDEST))
    out = Out(console, width)
    heading = Text.assemble((f"Incident {story.id}  ", "bold"), (visible(story.title), "bold red"))
    console.print(heading)
    if mark:
        out.say(mark, style="bold")
    for paragraph in story.summary:
        console.print()
        out.say(paragraph)
    out.title("What happened")
    for line in ladder(story, width, ascii_only=console.options.ascii_only):
        out.line(line)
    for remark in (*story.legend, *story.caveats):
        out.say(remark, style="dim")
    for bodies in story.bodies[:MOST_BODIES]:
        out.title("What came, beside what is usual")
        _bodies(out, bodies)
    out.title("Evidence")
    for proof in story.evidence:
        out.say(proof.of, style="bold")
        for fact in proof.facts:
            out.say(fact.fact, indent=2, label="-")
    if comments:
        out.title("What the capture itself says of these frames")
    for comment in comments:
        out.say(comment, indent=2, label="-")
    for scale in story.scales:
        out.title("How sure that is, in bits")
        _scale(out, scale)
    out.title("Causes")
    for cause in story.causes:
        word, style = _VERDICTS[cause.verdict]
        out.say(cause.cause, indent=11, label=word, style=style)
        where = f" ({listed(cause.frames, len(cause.frames))})" if cause.frames else ""
        out.say(f"{cause.because}{where}", indent=11)
    if story.hints:
        out.title(HINTS)
    for hint in story.hints:
        out.say(f"{hint.text} ({hint.source}).", indent=2, label="-")
    if story.steps:
        out.title("To settle what is open")
    for number, step in enumerate(story.steps, 1):
        _step(out, number, step)
    messages(story, console)


def _scale(out: "Out", scale: Scale) -> None:
    """What was weighed: a bit more makes it twice as likely."""
    for about, bits in scale.lines:
        out.say(about, indent=8, label=f"{bits:+6.1f}")
    if scale.bits > 0:
        sum_ = f"for a fault, against every benign reason together: {scale.odds}"
        out.say(sum_, indent=8, label=f"{scale.bits:+6.1f}", style="bold")
    if scale.lost is not None:
        out.say(f"the next likeliest reason: {scale.lost.name}; {scale.lost.because}")


def messages(story: Story, console: Console) -> None:
    """Print the messages of a story that was told with bodies."""
    out = Out(console, max(NARROWEST, min(console.width, WIDEST)))
    for exhibit in story.exhibits:
        _exhibit(out, exhibit)


# --- the ladder ----------------------------------------------------------------------------


def ladder(story: Story, width: int, *, ascii_only: bool = False) -> Iterator[Text]:
    """The events as lines of `width` columns: a lane for everybody, time going down."""
    glyphs = _ASCII if ascii_only else _UNICODE
    longest = max((len(visible(str(e.frame))) for e in story.events if e.frame), default=0)
    margin = min(max(_FRAME, longest), max(_FRAME, width // _WIDEST_FRAME))
    gutter = _TIME + margin + 2
    count = len(story.lanes)
    step = (width - gutter - 1) // max(1, count - 1)
    places = [gutter + n * step for n in range(count)]
    yield from _headings(story, places)
    pace = Pace.of(story)
    yield _gutter(f"time/{pace.unit}", "frame", places, glyphs.lane, style="dim")
    for event in story.events:
        if pace.is_pause(event):
            yield _gutter("", "", places, glyphs.gap, style="dim")
        yield from _drawn(event, places, pace.time(event), glyphs)


@dataclass(frozen=True, slots=True)
class Pace:
    """How the times of a story are written; `whole` is how long it takes, in ns."""

    whole: int

    @classmethod
    def of(cls, story: Story) -> "Pace":
        return cls(story.events[-1].after if story.events else 0)

    @property
    def unit(self) -> str:
        """`s` or `ms`."""
        return "s" if self.whole >= 1e9 else "ms"

    def time(self, event: Event) -> str:
        """When an event is, in that unit, from the beginning of the story."""
        return f"{event.after / 1e9:.3f}" if self.unit == "s" else f"{event.after / 1e6:.2f}"

    def is_pause(self, event: Event) -> bool:
        """Whether so long nothing had happened before an event that a reader should see it."""
        return event.pause >= max(_LEAST_PAUSE, _PAUSE * self.whole)


def _headings(story: Story, places: Sequence[int]) -> Iterator[Text]:
    """Who each lane is, above it; a text that would touch the next one goes on below."""
    last = len(places) - 1
    room = [
        _room(n, places) if 0 < n < last else (places[min(1, last)] - places[0]) * 2 // 3
        for n in range(len(places))
    ]
    for style, texts in (
        ("bold", [lane.name for lane in story.lanes]),
        ("dim", [lane.place for lane in story.lanes]),
        ("dim", [f"inside {lane.inside}" if lane.inside else "" for lane in story.lanes]),
    ):
        if not any(texts):
            continue
        columns = [_label(visible(text), width) for text, width in zip(texts, room, strict=True)]
        for row in zip_longest(*columns, fillvalue=""):
            plain = [" "] * (places[-1] + 1)
            for n, shown in enumerate(row):
                start = places[n] - (len(shown) // 2 if n else 0)
                if n == last and n:
                    start = places[n] + 1 - len(shown)
                plain[max(0, start) : max(0, start) + len(shown)] = shown
            yield Text("".join(plain).rstrip(), style=style)


def _room(lane: int, places: Sequence[int]) -> int:
    """The columns that a heading in the middle may have, so that there is one between any two."""
    step = min(places[lane] - places[lane - 1], places[lane + 1] - places[lane])
    at_an_end = lane in (1, len(places) - 2)
    return max(8, (step * 2 // 3 if at_an_end else step) - 2)


def _label(text: str, width: int) -> list[str]:
    """An `ip:port` and the like in lines of `width` columns, broken at blanks and before ports."""
    lines: list[str] = []
    for word in text.split(" "):
        host, colon, port = word.rpartition(":")
        if len(word) > width and colon:
            lines += [*_pieces(host, width), f"{colon}{port}"]
        elif lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines += [word[n : n + width] for n in range(0, len(word), width)] or [""]
    return lines


def _pieces(host: str, width: int) -> Iterator[str]:
    """An address in lines, broken behind its dots or colons where it has any."""
    line = ""
    for part in re.findall("[^.:]*[.:]?", host):
        if line and len(line) + len(part) > width:
            yield line
            line = ""
        line += part
    while line:
        yield line[:width]
        line = line[width:]


def _gutter(time: str, frame: str, places: Sequence[int], lane: str, *, style: str = "") -> Text:
    line = f"{time:>{_TIME}} {frame:>{places[0] - _TIME - 2}} "
    for place in places:
        line = f"{line:<{place}}{lane}"
    return Text(line, style=style)


def _drawn(event: Event, places: Sequence[int], time: str, glyphs: Glyphs) -> Iterator[Text]:
    """An event: its text between two lanes, and an arrow on the last line of it."""
    start, end = sorted((places[event.source], places[event.target]))
    room = end - start - 1
    style = _STYLES.get(event.manner, "")
    if not event.matters:
        style = f"{style} dim".strip()
    arrow = event.manner is not Manner.NOTE
    lines = wrapped(visible(event.text), room - (6 if arrow else 4))
    rows: list[str] = []
    if arrow and len(lines) == 1:
        rows = [_arrow(event, f" {lines[0]} ", room, places, glyphs)]
    else:
        rows = [f"{glyphs.lane}  {text}".ljust(room + 1) + glyphs.lane for text in lines]
        if arrow:
            rows.append(_arrow(event, "", room, places, glyphs))
    frames = broken(visible(str(event.frame)), places[0] - _TIME - 2) if event.frame else [""]
    empty = glyphs.lane + " " * room + glyphs.lane
    rows = [*[empty] * (len(frames) - len(rows)), *rows]
    mark = "!" if event.manner is Manner.ASTRAY else ""
    for number, drawn in enumerate(rows):
        first = number == 0
        frame = frames[number] if number < len(frames) else ""
        line = _gutter(time if first else "", frame, places, glyphs.lane)
        if mark and first:
            line = Text(mark + line.plain[1:])
        out = Text(line.plain[:start] + drawn + line.plain[end + 1 :])
        out.stylize(style if mark else "dim", 0, places[0])
        if style:
            out.stylize(style, start + 1, end)
        yield out


def broken(frame: str, width: int) -> list[str]:
    """A frame in lines of `width` columns; its number stays whole, on the last one."""
    file, colon, number = frame.rpartition(":")
    if len(frame) <= width or not colon:
        return [frame]
    return [*(file[n : n + width] for n in range(0, len(file), width)), f"{colon}{number}"]


def _arrow(event: Event, words: str, room: int, places: Sequence[int], glyphs: Glyphs) -> str:
    line = glyphs.heavy if event.manner is Manner.ASTRAY else glyphs.line
    if places[event.source] < places[event.target]:
        shaft = (line + words).ljust(room - 1, line)
        return f"{glyphs.leave_right}{shaft}{glyphs.right}{glyphs.lane}"
    shaft = (words + line).rjust(room - 1, line)
    return f"{glyphs.lane}{glyphs.left}{shaft}{glyphs.leave_left}"


# --- the rest ------------------------------------------------------------------------------


def _bodies(out: Out, bodies: Bodies) -> None:
    column = (out.width - 3) // 2
    left, right = (_column(look, column) for look in (bodies.usual, bodies.came))
    for one, two in zip_longest(left, right, fillvalue=("", "")):
        line = Text(one[0].ljust(column + 3), style=one[1])
        out.line(line.append(Text(two[0], style=two[1])))
    if bodies.comparison:
        out.say(bodies.comparison)


def _column(look: Look, width: int) -> list[tuple[str, str]]:
    """A shape in lines of `width` columns, each with its style."""
    often = f", {look.count:,} of {look.total:,} responses" if look.total else ""
    found = [(line, "bold") for line in wrapped(visible(look.title), width)]
    found.append((f"status {look.status}{often}", "dim"))
    for field in look.lines:
        lines = wrapped(visible(shortened(field, _LONGEST_SHAPE)), width - 2)
        found += [(f"{'  ' if n else ''}{line}", "cyan") for n, line in enumerate(lines)]
    return found


def _step(out: Out, number: int, step: Step) -> None:
    out.say(step.why, indent=3, label=f"{number}.")
    for command in step.commands:
        # Not wrapped: it is there to be copied.
        out.line(Text(f"   {visible(command)}", style="cyan"))


def _exhibit(out: Out, exhibit: Exhibit) -> None:
    out.title(f"Frame {exhibit.frame}: {shortened(visible(exhibit.title), out.width - 20)}")
    for line in "\n\n".join(t for t in (exhibit.head, exhibit.body) if t).split("\n"):
        text = line.lstrip(" ")
        depth = min(len(line) - len(text), out.width // 2)
        out.say(text, indent=depth)


def others(stories: Sequence[tuple[str, str, int]], console: Console) -> None:
    """The other incidents: id, what it is, when it began (ns since 1970)."""
    if not stories:
        return
    console.print()
    console.print(Text("Other incidents; --finding ID tells them:", style="bold"))
    for name, title, time in stories[:MOST_OTHERS]:
        console.print(Text(f"  {name}  {rfc3339(time)[:23]}Z  {visible(title)}"))
    if len(stories) > MOST_OTHERS:
        more = len(stories) - MOST_OTHERS
        console.print(Text(f"  and {more:,} more; scan --json lists them", style="dim"))
