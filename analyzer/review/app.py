"""The review on the screen: a list of incidents, and beside it what `explain` tells of one.

Law: it decides nothing. What is told is the story that the terminal's renderer renders; each mark
is on the disk before it is on the screen.
"""

import asyncio
import gc
import io
import signal
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import ClassVar

from rich.console import Console
from rich.text import Text
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, OptionList, Static

from analyzer.errors import InputError
from analyzer.explain.incidents import Incident
from analyzer.explain.model import Story
from analyzer.explain.overviews import Summary
from analyzer.pipeline import Examination
from analyzer.report import ladder, marks, remarks
from analyzer.report.comments import told
from analyzer.report.escape import rfc3339, visible
from analyzer.report.opinions import Mark, Opinion
from analyzer.report.verdict import brief
from analyzer.review.listing import MARKS, Filter, following, line, listed

AHEAD = 12  # incidents that are read together with the one that is looked at
BESIDE = 120  # columns from which on the list stands beside the story, not above it
_WORDS = "the words of a note; Enter keeps it, Escape leaves it as it was"
_SEARCH = "text in any line of an incident; Enter keeps it, Escape leaves all"
_KEYS = """\
Down, Up (n, p)  the next incident, the one before
Home, End        the first, the last
Space, b         the story, a page down or up
Tab              to the story and back; there the arrows scroll

c  d  u          mark as confirmed, dismissed or unsure, then a note
e                change the note
x                take the mark away

/                only incidents with a text
k  s  m          only those of one kind, one confidence, one mark
Escape           all of them again

q                leave; every mark is kept already

A mark changes only what is shown: what is dismissed is still a finding,
and the exit status is the same.

Any key closes this."""


def review_incidents(
    examination: Examination, place: str, *, show_bodies: bool, show_secrets: bool
) -> int:
    """Go through the incidents; marks go to the file `place`.

    Returns the number of the signal that ended it, 0 where somebody left.
    """
    gc.enable()  # it may stay for hours
    app = Review(examination, place, show_bodies=show_bodies, show_secrets=show_secrets)
    return app.run() or 0


class Keys(ModalScreen[None]):
    """The keys, on top of all else."""

    def compose(self) -> ComposeResult:
        """A box with the list of keys."""
        with VerticalScroll(id="keys"):
            yield Static(_KEYS, markup=False)

    def on_key(self, event: events.Key) -> None:
        """Any key but those that scroll closes it."""
        if event.key not in ("up", "down", "pageup", "pagedown", "home", "end", "tab"):
            event.stop()
            self.dismiss()


class Review(App[int]):
    """The incidents of an examination, one at a time."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #status { height: 1; background: $panel; padding: 0 1; }
    #panes { height: 1fr; layout: vertical; }
    #list { height: auto; min-height: 1; max-height: 30%; border: none; padding: 0;
            text-wrap: nowrap; text-overflow: ellipsis; }
    #told { height: 1fr; padding: 0 1; border-top: solid $panel; }
    #told:focus { border-top: solid $accent; }
    #panes.beside { layout: horizontal; }
    #panes.beside #list { width: 36%; max-width: 60; height: 1fr; max-height: 100%; }
    #panes.beside #told { width: 1fr; border-top: none; border-left: solid $panel; }
    #panes.beside #told:focus { border-left: solid $accent; }
    #entry { display: none; height: 1; border: none; padding: 0 1; }
    #entry.open { display: block; }
    Keys { align: center middle; }
    #keys { width: 78; max-width: 100%; height: auto; max-height: 100%;
            border: round $accent; padding: 0 1; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "step(1)", "Next", show=False),
        Binding("p", "step(-1)", "Previous", show=False),
        Binding("c", "mark('confirmed')", "Confirm"),
        Binding("d", "mark('dismissed')", "Dismiss"),
        Binding("u", "mark('unsure')", "Unsure"),
        Binding("e", "note", "Note"),
        Binding("x", "unmark", "Unmark", show=False),
        Binding("slash", "search", "Find", key_display="/"),
        Binding("k", "only('kind')", "Kind"),
        Binding("s", "only('confidence')", "Sure"),
        Binding("m", "only('mark')", "Marks"),
        Binding("space,pagedown", "page(1)", "Page", show=False),
        Binding("b,pageup", "page(-1)", "Page up", show=False),
        Binding("escape", "everything", "All", show=False),
        Binding("f1,question_mark", "keys", "Keys", key_display="F1"),
        Binding("q", "leave", "Quit"),
        Binding("ctrl+c", "leave", "Quit", show=False, priority=True),
    ]

    def __init__(
        self, examination: Examination, place: str, *, show_bodies: bool, show_secrets: bool
    ) -> None:
        super().__init__()
        self._examination = examination
        self._report = examination.report
        self._place = place
        self._shows = {"show_bodies": show_bodies, "show_secrets": show_secrets}
        self._incidents: dict[str, Incident] = {i.id: i for i in examination.incidents()}
        self._summaries = [examination.summary(i) for i in self._incidents.values()]
        self._stories: dict[str, Story | str] = {}  # or why there is none
        self._asked: set[str] = set()
        self._filter = Filter()
        self._shown: list[Summary] = []
        self._entry_for = ""  # what is typed below: "note", "search"
        self._width = 0  # columns of what is told

    # --- the screen ------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """A status line, the list and the story, a line to type in, the keys."""
        yield Static(id="status", markup=False)
        with Container(id="panes"):
            yield OptionList(id="list", markup=False)
            with VerticalScroll(id="told"):
                yield Static(id="story", markup=False)
        yield Input(id="entry", compact=True, select_on_focus=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin with the worst; end when a signal says so."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self.exit, int(number))
        self._fill()
        self.query_one("#list").focus()

    def on_resize(self, event: events.Resize) -> None:
        """Lay the two panes side by side where there is room."""
        self.query_one("#panes").set_class(event.size.width >= BESIDE, "beside")
        self.call_after_refresh(self._tell)

    @property
    def _list(self) -> OptionList:
        return self.query_one("#list", OptionList)

    @property
    def _current(self) -> Summary | None:
        at = self._list.highlighted
        return None if at is None or at >= len(self._shown) else self._shown[at]

    def _fill(self, keep: str = "") -> None:
        """List what the filter leaves, with the incident `keep` chosen if it is there."""
        self._shown = list(listed(self._summaries, self._report.marks, self._filter))
        self._list.set_options([self._line(one) for one in self._shown])
        at = next((n for n, one in enumerate(self._shown) if one.id == keep), 0)
        self._list.highlighted = at if self._shown else None
        self._tell(from_top=True)

    def _line(self, summary: Summary) -> Text:
        mark = self._report.marks.get(summary.id)
        dismissed = mark is not None and mark.mark is Opinion.DISMISSED
        text = Text(line(summary, mark), no_wrap=True, overflow="ellipsis")
        if dismissed:
            text.stylize("dim")
        return text

    def _say(self) -> None:
        """The status: which one of how many, by what filter, where the marks are."""
        shown, every = len(self._shown), len(self._summaries)
        at = self._list.highlighted
        which = f"{0 if at is None else at + 1:,} of {shown:,}"
        of = f" (of {every:,})" if shown != every else ""
        chosen = f"  only: {self._filter.words}" if self._filter.words else ""
        text = f"{which} incident{'' if shown == 1 else 's'}{of}{chosen}  marks: "
        line_ = Text(f"{text}{visible(self._place)}", no_wrap=True, overflow="ellipsis")
        self.query_one("#status", Static).update(line_)

    def _tell(self, *, from_top: bool = False) -> None:
        """Show what is known of the chosen incident."""
        self._say()
        pane, told_ = self.query_one("#told", VerticalScroll), self.query_one("#story", Static)
        current = self._current
        # The pane's content, without the bar that scrolls it.
        self._width = max(20, pane.size.width - 2)
        if current is None:
            told_.update("No incident fits the filter. Escape lists all of them again.")
            return
        story = self._stories.get(current.id)
        if isinstance(story, Story):
            told_.update(self._rendered(story))
        else:
            mark = remarks.marked(self._report, current.id)
            wait = visible(story) if story is not None else "Reading the captures once more …"
            parts = [*([mark] if mark else []), brief(self._report, current), wait]
            told_.update(visible_lines(parts))
            self._read(current)
        if from_top:
            pane.scroll_home(animate=False)

    def _rendered(self, story: Story) -> Text:
        """A story as the terminal has it, as wide as the pane."""
        out = io.StringIO()
        console = Console(
            file=out,
            width=self._width,
            force_terminal=True,
            color_system="standard",
            highlight=False,
            legacy_windows=False,
            no_color=self.no_color,
        )
        comments = told(self._report.captures, story.findings, self._report.tables)
        mark = remarks.marked(self._report, story.id)
        ladder.show(story, console, comments, mark=mark)
        return Text.from_ansi(out.getvalue(), no_wrap=True, overflow="crop")

    # --- reading ---------------------------------------------------------------------------

    def _read(self, current: Summary) -> None:
        """Have the captures read for this incident, and for those that come next."""
        if current.id in self._asked:
            return
        at = self._shown.index(current)
        near = [one.id for one in self._shown[at : at + AHEAD] if one.id not in self._asked]
        self._asked.update(near)
        self._read_stories(near)

    @work(thread=True, exit_on_error=False)
    def _read_stories(self, names: Sequence[str]) -> None:
        chosen = [self._incidents[name] for name in names]
        found: dict[str, Story | str]
        try:
            stories = self._examination.stories(chosen, **self._shows)
            found = dict(zip(names, stories, strict=True))
        except (InputError, OSError) as error:
            found = dict.fromkeys(names, f"The captures cannot be read once more: {error}")
        self.call_from_thread(self._have, found)

    def _have(self, found: dict[str, Story | str]) -> None:
        self._stories |= found
        current = self._current
        if current is not None and current.id in found:
            self._tell()

    # --- keys ------------------------------------------------------------------------------

    @on(OptionList.OptionHighlighted)
    def _chosen(self) -> None:
        self._tell(from_top=True)

    @on(OptionList.OptionSelected)
    def _opened(self) -> None:
        self.query_one("#told").focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While somebody types, keys are letters."""
        del parameters
        return not self._entry_for or action in ("leave", "everything")

    def action_step(self, by: int) -> None:
        """Another incident."""
        at = self._list.highlighted
        if at is not None:
            self._list.highlighted = min(max(0, at + by), len(self._shown) - 1)

    def action_page(self, by: int) -> None:
        """Another page of the story."""
        pane = self.query_one("#told", VerticalScroll)
        pane.scroll_relative(y=by * max(1, pane.size.height - 1), animate=False)

    def action_only(self, of: str) -> None:
        """The next value of a filter."""
        there = {
            "kind": dict.fromkeys(str(one.kind) for one in self._summaries),
            "confidence": dict.fromkeys(str(one.confidence) for one in self._summaries),
            "mark": dict.fromkeys(MARKS),
        }
        values = {
            "kind": self._filter.kind,
            "confidence": self._filter.confidence,
            "mark": self._filter.mark,
        }
        values[of] = following(list(there[of]), values[of])
        self._filter = Filter(**values, text=self._filter.text)
        self._fill(self._current.id if self._current else "")

    def action_everything(self) -> None:
        """Stop typing; or list all incidents, from any pane back to the list."""
        if self._entry_for:
            self._close_entry()
            return
        keep = self._current.id if self._current else ""
        if self._filter != Filter():
            self._filter = Filter()
            self._fill(keep)
        self._list.focus()

    def action_mark(self, opinion: str) -> None:
        """Mark the chosen incident, and ask for a note."""
        current = self._current
        if current is None:
            return
        before = self._report.marks.get(current.id)
        if self._keep(current, Opinion(opinion), before.note if before else ""):
            self.action_note()

    def action_unmark(self) -> None:
        """Take the mark of the chosen incident away."""
        current = self._current
        if current is not None and current.id in self._report.marks:
            self._change(current, None)

    def action_note(self) -> None:
        """Ask for the note of a marked incident."""
        current = self._current
        mark = self._report.marks.get(current.id) if current is not None else None
        if mark is None:
            self.notify("Mark it first: c, d or u.", timeout=3)
            return
        self._open_entry("note", mark.note, _WORDS)

    def action_search(self) -> None:
        """Ask for a text to look for."""
        self._open_entry("search", self._filter.text, _SEARCH)

    def action_keys(self) -> None:
        """Show the keys."""
        self.push_screen(Keys())

    def action_leave(self) -> None:
        """Leave."""
        self.exit(0)

    # --- typing ----------------------------------------------------------------------------

    def _open_entry(self, what: str, text: str, about: str) -> None:
        self._entry_for = what
        entry = self.query_one("#entry", Input)
        entry.placeholder = about
        entry.value = text
        entry.cursor_position = len(text)
        entry.max_length = marks.LONGEST_NOTE
        entry.add_class("open")
        entry.focus()

    def _close_entry(self) -> None:
        self._entry_for = ""
        self.query_one("#entry", Input).remove_class("open")
        self._list.focus()

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        what, current, text = self._entry_for, self._current, event.value.strip()
        self._close_entry()
        if what == "search":
            kept = self._filter
            self._filter = Filter(kept.kind, kept.confidence, kept.mark, text)
            self._fill(current.id if current else "")
        elif current is not None:
            mark = self._report.marks.get(current.id)
            if mark is not None:
                self._keep(current, mark.mark, text)

    # --- marks -----------------------------------------------------------------------------

    def _keep(self, current: Summary, opinion: Opinion, note: str) -> bool:
        now = datetime.now(UTC)
        time = f"{rfc3339(int(now.timestamp()) * 1_000_000_000)[:19]}Z"
        return self._change(current, Mark(opinion, note, time))

    def _change(self, current: Summary, mark: Mark | None) -> bool:
        """Write a mark, then show it; False where it could not be written."""
        try:
            self._report.marks = marks.change(self._place, current.id, mark)
        except InputError as error:
            self.notify(visible(str(error)), severity="error", timeout=8, markup=False)
            return False
        at = self._shown.index(current)
        self._list.replace_option_prompt_at_index(at, self._line(current))
        self._tell()
        return True


def visible_lines(parts: Sequence[str]) -> Text:
    """Paragraphs, nothing in which a terminal would act on."""
    lines = (visible(text) for part in parts for text in (*part.split("\n"), ""))
    return Text("\n".join(lines))
