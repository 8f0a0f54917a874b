"""What people see who watch the demo: the story told, what the ledger makes of it, what people hear, and a bar for each case.

On a terminal the bars stay below and grow; elsewhere everything is plain lines and the bars come once, at each story's end. The screen
only shows: figures come from the ledger, words to people from the notifier.
"""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from schemas.currencies import format_amount, format_money
from schemas.times import datetime_of
from services.counted import counted
from services.stories.beat import Beat
from services.stories.figures import CaseFigures, Figures, FundFigures
from services.stories.followed import Followed, wrapped
from services.stories.scenario import Story
from services.words.classes import class_name

BARS = 8
NAME = 14
BAR = (12, 32)
"""Characters of a bar: at least, at most. Where less room is left beside its figures, they go below it."""
BARS_AT_THE_END = 12
MARGIN = " " * 8
"""Below the dates."""
_PARTS = (("█", "green"), ("▓", "cyan"), ("▒", "yellow"), ("░", "bright_black"))
_REPEATS = {"progress", "payment-due", "settled", "delivered", "released", "refunded"}
"""Kinds of notices whose words are those that were just told of the money."""
LEGEND = "█ delivered / ▓ settled / ▒ placed of ░ asked (class, how it ended)"


class Screen:
    """What the player tells to, the services' listener and the ledger's reader in one; `quiet` shows nothing."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self.console, self.quiet = console, quiet
        self.figures = Figures()
        self.log: list[str] = []
        self._story: Story | None = None
        self._beats: dict[str, Beat] = {}
        self._touched: dict[tuple[str, str], int] = {}
        self._notices: list[dict[str, Any]] = []
        self._kinds: set[str] = set()
        self._live: Live | None = None

    # ---- a story

    def open(self, story: Story, number: int, stories: int, figures: Figures) -> None:
        """A story begins."""
        self.figures, self._story = figures, story
        self._beats.clear()
        self._touched.clear()
        self._notices.clear()
        if self.quiet:
            return
        if number > 1:
            self.console.print()
        years = sorted({datetime_of(at).year for at in (story.starts, story.ends)})
        place = f"Story {number} of {stories}: " if stories > 1 else ""
        title = f" {place}{story.title}, {'–'.join(map(str, years))} "
        self.console.rule(Text(title, "bold"), style="bright_black")
        self.console.print(Text(story.shows, "italic"))
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()

    def close(self) -> None:
        """A story ends: what is left to tell, then its bars as they stay."""
        self.flush()
        self.stop()
        if self._story is not None and not self.quiet:
            self.console.print(self._bars(at_the_end=True))
        self._story = None

    def stop(self) -> None:
        """Take the moving part off the screen. Safe to repeat."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str, style: str = "", margin: str = "") -> None:
        """A paragraph; with a `margin` its further lines are indented below the first."""
        if self.quiet:
            return
        if margin:
            text = f"\n{'':{len(margin)}}".join(
                wrap(text, max(20, self.console.width - len(margin)), break_on_hyphens=False)
            )
        self.console.print(Text.assemble((margin, "bright_black"), (text, style)))

    # ---- what the player tells

    def narrate(self, at: int, text: str) -> None:
        """A few sentences of the story, before the event at `at` (microseconds since 1970)."""
        self.flush()
        self.say(text, "bold", datetime_of(at).strftime("%d %b  "))

    def followed(self, one: Followed) -> None:
        """The row that was to be followed is on the ledger."""
        if self.quiet:
            return
        for title, text in one.parts():
            self.console.print(Text(title, "cyan"))
            for line in wrapped(text, self.console.width - 2):
                self.console.print(Text(f"  {line}"))

    # ---- what the ledger tells

    def entry(self, entry: dict[str, Any]) -> None:
        """An entry that is new."""
        if self._story is None:
            return
        for fact in entry["facts"]:
            name = fact.get("fund") or entry["fund"]
            if name in self._story.currencies and name in self.figures.funds:
                beat = self._beats.setdefault(name, Beat(self.figures.funds[name]))
                beat.take([fact], entry["at"])
                if "case" in fact:
                    self._touched[name, fact["case"]] = self.figures.entries

    def flush(self) -> None:
        """Tell what happened since the last time: a paragraph a fund, and what people heard of it."""
        paragraphs = list[str]()
        for name, beat in self._beats.items():
            several = f"{name}: " if self._story is not None and len(self._story.currencies) > 1 else ""
            if sentences := beat.sentences():
                paragraphs.append(several + " ".join(sentences))
        notices, quoted = self._notices_told()
        if notices and paragraphs and not quoted:
            paragraphs[-1] += f" {notices}"
            notices = ""
        for paragraph in paragraphs:
            self.say(paragraph, margin=MARGIN)
        if notices:
            self.say(notices, "magenta", MARGIN)
        self.refresh()

    # ---- what the services tell

    def said(self, service: str, line: str) -> None:
        self.log = [*self.log[-99:], f"{service}: {line}"]

    def event(self, service: str, event: dict[str, Any]) -> None:
        if service == "notifier" and self._story is not None and event.get("fund") in self._story.currencies:
            self._notices.append(event)

    def ended(self, service: str, status: int, pause_s: float) -> None:
        self.say(f"The {service} is gone (status {status}); it is started again in {pause_s:g} s.", "red", MARGIN)

    def _notices_told(self) -> tuple[str, bool]:
        """How many people heard something, and whether in words: the first of a kind that says more than was just told."""
        notices, self._notices = self._notices, []
        new = next((one for one in notices if one["kind"] not in self._kinds | _REPEATS), None)
        if not notices:
            return "", False
        counts = f"✉\u00a0{counted(len(notices), 'notice')}"
        if new is None:
            return f"{counts}.", False
        self._kinds.add(new["kind"])
        return f"{counts}; to a {new['role']}: “{new['text']}”", True

    # ---- bars

    def refresh(self) -> None:
        """Draw the moving bars anew."""
        if self._live is not None:
            self._live.update(self._bars(), refresh=True)

    def _bars(self, at_the_end: bool = False) -> Group:
        """The cases that moved last; at a story's end those that lack most. The rest are counted."""
        assert self._story is not None, "only within a story"
        funds = [self.figures.funds[name] for name in self._story.currencies if name in self.figures.funds]
        found = [(fund, case) for fund in funds for case in fund.cases.values() if case.claim]
        if at_the_end:
            if len(found) > BARS_AT_THE_END:
                found.sort(key=lambda item: item[1].delivered / item[1].claim)
            shown = found[:BARS_AT_THE_END]
        else:
            latest = sorted(found, key=lambda item: -self._touched.get((item[0].name, item[1].id), 0))[:BARS]
            shown = [item for item in found if item in latest]  # each keeps its place, so that the eye can follow
            found = shown + [item for item in found if item not in latest]
        lines = bars(shown, self.console.width)
        if rest := [case for _, case in found[len(shown) :]]:
            whole = sum(case.delivered == case.claim for case in rest)
            lines.append(
                Text(f"  … and {counted(len(rest), 'more case')}, {whole} of them delivered in full", "bright_black")
            )
        return Group(Text(LEGEND, "bright_black"), *lines)


def bars(cases: Sequence[tuple[FundFigures, CaseFigures]], width: int) -> list[Text]:
    """Each case's claim as a bar of which delivered, settled, promised and asked have their own part; then the same in figures.

    All bars are of one length. No line is longer than `width`; where that leaves too little for bars, figures go below them, never cut.
    """
    room = width - NAME - 3 - max((len(_told(fund, case)) for fund, case in cases), default=0)
    beside = room >= BAR[0]
    length = min(BAR[1], room if beside else width - NAME - 2)
    return [_bar(fund, case, length, " " if beside else "\n    ") for fund, case in cases]


def _bar(fund: FundFigures, case: CaseFigures, length: int, gap: str) -> Text:
    ends = [
        length * amount // case.claim if case.claim else length
        for amount in (case.delivered, case.settled, case.promised, case.claim)
    ]
    text, begin = Text(f"  {case.id:<{NAME}}"), 0
    for end, (mark, colour) in zip(ends, _PARTS, strict=True):
        text.append(mark * (end - begin), colour)
        begin = end
    return text.append(gap + _told(fund, case))


def _told(fund: FundFigures, case: CaseFigures) -> str:
    closed = "" if case.status == "open" else f", {case.outcome or case.status}"
    sums = (case.delivered, case.settled, case.promised)
    told = " / ".join(format_amount(amount, fund.currency) for amount in sums) if case.delivered < case.claim else "all"
    return f"{told} of {format_money(case.claim, fund.currency)} ({class_name(case.class_)}{closed})"
