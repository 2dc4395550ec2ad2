"""A story's ladder as lines and texts in a plane: a lane for everybody, time going down.

Law: it says nothing that the story does not. At the moment of a swap there are two arrows: a solid
one to where the response went, a dashed one to where it belonged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analyzer.correlate.frames import Frame
from analyzer.explain.model import Event, Lane, Manner, Story
from analyzer.report.escape import shortened, visible
from analyzer.report.ladder import Pace, broken
from analyzer.report.layout import wrapped

# In units of the drawing; a letter of the texts is LETTER wide, in every monospaced font (0.6 em).
LETTER, LINE = 7.2, 15  # of a font of 12
SMALL, _SMALL_LINE = 6.0, 12  # of a font of 10: the gutter, and places
MOST_EVENTS = 60
WIDE = 500
GUTTER, MARGIN = 58, 14
_LANE = 12  # the first lane
WIDEST_GUTTER = 132  # where frames have the names of their files
_STEP = {2: 330, 3: 192}  # between lanes, by their number
_NARROWEST = 160
_PAD = 8  # between a lane and a text
_BRACKET = 9  # how far a dashed line goes out around a lane
_LONGEST = 300  # characters of a text
HERE, THERE, DASHED = "it went here", "it belonged here", "dashed: where it belongs"


@dataclass(frozen=True, slots=True)
class Text:
    """Lines of text from `y` down; `anchor` is as in SVG, `style` a name of the style sheet.

    That of the gutter ends where x is 0.
    """

    x: int
    y: int
    lines: tuple[str, ...]
    anchor: str = "start"
    style: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """An event: its texts, the paths of its arrows, and what it is when read aloud.

    `time` is in the gutter, with the frame below it. `top` and `height` are of the band behind a
    swap; `belongs` is the path of the dashed arrow.
    """

    manner: str
    matters: bool
    spoken: str
    time: Text
    texts: tuple[Text, ...]
    arrow: str
    belongs: str
    top: int
    height: int

    @property
    def astray(self) -> bool:
        """Whether it is the moment of a swap."""
        return self.manner == Manner.ASTRAY


@dataclass(frozen=True, slots=True)
class Drawing:
    """A ladder from `left` on; `lanes` are the x of the lines, from `begin` down to `height`."""

    left: int
    width: int
    height: int
    begin: int
    title: str
    heads: tuple[Text, ...]
    lanes: tuple[int, ...]
    pauses: tuple[int, ...]  # y where a long time passes
    rows: tuple[Row, ...]
    more: int  # events that are left out

    @property
    def is_wide(self) -> bool:
        """Whether it has to be scrolled on a small screen, where its letters get too small."""
        return self.width > WIDE


def drawing(story: Story) -> Drawing | None:
    """The ladder of a story; None: its packets could not be read again."""
    if not story.events:
        return None
    files = _files(story.events)
    labels = [_label(event, files) for event in story.events]
    gutter = min(WIDEST_GUTTER, max(GUTTER, int(max(map(len, labels)) * SMALL) + MARGIN))
    step = _STEP.get(len(story.lanes), _NARROWEST)
    lanes = tuple(_LANE + n * step for n in range(len(story.lanes)))
    heads, begin = _heads(story.lanes, lanes, step, files)
    pace = Pace.of(story)
    rows: list[Row] = []
    pauses: list[int] = []
    middles: dict[Frame, int] = {}  # of requests: where their arrows are
    y = begin + 8
    for event, label in zip(story.events[:MOST_EVENTS], labels, strict=False):
        if pace.is_pause(event):
            pauses.append(y)
            y += 16
        numbers = broken(label, int((gutter - MARGIN) / SMALL)) if label else []
        row, y, arrow_at = _row(story, event, (pace.time(event), *numbers), lanes, middles, y)
        rows.append(row)
        if event.manner is Manner.REQUEST:
            middles[event.frame] = arrow_at
    return Drawing(
        left=_LANE - gutter,
        width=gutter + lanes[-1] - _LANE + MARGIN,
        height=y + 4,
        begin=begin,
        title=story.title,
        heads=(*heads, Text(0, begin - 2, (f"time/{pace.unit}",), "end", "s")),
        lanes=lanes,
        pauses=tuple(pauses),
        rows=tuple(rows),
        more=len(story.events) - len(rows),
    )


def _files(events: Sequence[Event]) -> dict[int, str] | None:
    """For a lane the file that all frames of its connection are in; None: some are in several.

    Two connections share the server's lane, so the file stands above the other one.
    """
    of: dict[int, set[str]] = {}
    sides: dict[int, set[int]] = {}
    for event in events:
        if event.frame and event.frame.file:
            of.setdefault(event.connection, set()).add(event.frame.file)
        sides.setdefault(event.connection, set()).update((event.source, event.target))
    if any(len(names) > 1 for names in of.values()):
        return None
    found: dict[int, str] = {}
    for connection, names in of.items():
        others = [its for number, its in sides.items() if number != connection]
        own = sides[connection].difference(*others) or sides[connection]
        found[min(own)] = min(names)
    return found


def _label(event: Event, files: dict[int, str] | None) -> str:
    """An event's frame as it stands in the gutter."""
    if not event.frame:
        return ""
    return visible(str(event.frame)) if files is None else str(event.frame.number)


def _heads(
    lanes: Sequence[Lane], places: Sequence[int], step: int, files: dict[int, str] | None
) -> tuple[list[Text], int]:
    """Who each lane is, above it, and where the lanes begin."""
    found: list[Text] = []
    lowest = 0
    last = len(places) - 1
    for number, (lane, x) in enumerate(zip(lanes, places, strict=True)):
        inner = 0 < number < last
        anchor = "middle" if inner else "start" if number == 0 else "end"
        # Those at the ends have half of the room to the next one, as that has half.
        room = int((step * (1.0 if inner else 0.5) + (0 if inner else MARGIN)) / SMALL) - 1
        found.append(Text(x, 14, (visible(lane.name),), anchor, "b"))
        file = (files or {}).get(number, "")
        below = (lane.place, lane.inside and f"inside {lane.inside}", file and f"in {file}")
        lines = tuple(line for text in below if text for line in _lines(text, room))
        found.append(Text(x, 26, lines, anchor, "s"))
        lowest = max(lowest, 14 + _SMALL_LINE * len(lines))
    return found, lowest + 8


def _lines(place: str, room: int) -> Iterator[str]:
    """An `ip:port` or a file in lines; one that is too long is broken before its port."""
    text = visible(place)
    if len(text) <= room:
        yield text
        return
    for part in text.split(" "):
        host, colon, port = part.rpartition(":")
        if len(part) <= room or not colon:
            yield from wrapped(part, room)
            continue
        yield from (host[n : n + room] for n in range(0, len(host), room))
        yield f":{port}"


def _row(
    story: Story,
    event: Event,
    gutter: tuple[str, ...],
    lanes: Sequence[int],
    middles: dict[Frame, int],
    top: int,
) -> tuple[Row, int, int]:
    """An event from `top` on, where the next one begins, and where its arrow is.

    `gutter` has its time, and its frame in lines.
    """
    source, target = lanes[event.source], lanes[event.target]
    left, right = min(source, target), max(source, target)
    columns = int((right - left - 2 * _PAD) / LETTER)
    lines = wrapped(shortened(visible(event.text), _LONGEST), columns)
    y = top + 11
    texts = [Text(left + _PAD, y, tuple(lines))]
    lowest = y + LINE * (len(lines) - 1)
    belongs = ""
    owner = _owner(story, event)
    if event.manner is Manner.ASTRAY:
        lowest += LINE
    at = lowest + 7
    low = at
    if owner is not None and owner.source not in (event.source, event.target):
        there = lanes[owner.source]
        # On both sides of their source the two arrows are level; on one side one is below.
        if (there < source) == (target < source):
            low = at + LINE + 2
        texts.append(Text(min(source, there) + _PAD, low - 7, (THERE,), style="o"))
        belongs = _arrow(source, there, low)
    elif owner is not None:
        belongs = _bracket(event, owner, lanes, middles, at)
    if belongs and "V" in belongs:
        texts.append(Text(left + _PAD, lowest, (DASHED,), style="o"))
    elif event.manner is Manner.ASTRAY:
        texts.append(Text(left + _PAD, lowest, (HERE,)))
    arrow = "" if event.manner is Manner.NOTE else _arrow(source, target, at)
    end = max(low if arrow else lowest, y + _SMALL_LINE * (len(gutter) - 1)) + 6
    row = Row(
        manner=str(event.manner),
        matters=event.matters,
        spoken=_spoken(story, event, owner),
        time=Text(0, y, gutter, "end"),
        texts=tuple(texts),
        arrow=arrow,
        belongs=belongs,
        top=top - 2,
        height=end - top,
    )
    return row, end + 3, at


def _owner(story: Story, event: Event) -> Event | None:
    """The request that a response belongs to which goes astray, if it is on the ladder."""
    if not event.belongs_to:
        return None
    return next(
        (e for e in story.events if e.manner is Manner.REQUEST and e.frame == event.belongs_to),
        None,
    )


def _bracket(
    event: Event, owner: Event, lanes: Sequence[int], middles: dict[Frame, int], at: int
) -> str:
    """From an arrow's end along its lane to an earlier request of the same client."""
    there = middles.get(owner.frame)
    if there is None or owner.source != event.target:
        return ""
    out = -_BRACKET if event.target == 0 else _BRACKET
    x = lanes[event.target]
    return f"M{x} {at}h{out}V{there}h{-out}"


def _arrow(source: int, target: int, y: int) -> str:
    """The path of an arrow from one lane to another; its head is the style sheet's."""
    return f"M{source} {y}H{target}"


def _spoken(story: Story, event: Event, owner: Event | None) -> str:
    """Who does it to whom: what an arrow shows, in words."""
    lanes = story.lanes
    who = lanes[event.source].name
    if event.manner is Manner.NOTE:
        return who
    whose = "" if owner is None else f"; it belonged to {lanes[owner.source].name}"
    return f"{who} → {lanes[event.target].name}{whose}"
