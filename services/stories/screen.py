"""What who watches the demo sees: the story told, what the ledger makes of it, what people hear, and a bar for each case.

On a terminal the bars stay below and grow; elsewhere everything is plain lines and the bars come once, at each story's end. The screen
only shows: figures come from the ledger, words to people from the notifier.
"""

from collections import Counter
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from schemas.currencies import format_amount, format_money
from schemas.times import datetime_of
from services.stories.beat import Beat, count
from services.stories.figures import CaseFigures, Figures, FundFigures
from services.stories.scenario import Story

BARS = 8
NAME = 14
BAR = (12, 32)
"""Characters of a bar: at least, at most. Where less room is left beside its figures, they go below it."""
BARS_AT_THE_END = 12
ROWS_A_BEAT = 24
MARGIN = " " * 19
"""Below the dates."""
_PARTS = (("█", "green"), ("▓", "cyan"), ("▒", "yellow"), ("░", "bright_black"))
LEGEND = "█ delivered  ▓ settled (paid)  ▒ promised  ░ asked"
READ_AS = "  in figures: delivered / settled / promised of asked (class, how it ended)"


class Screen:
    """The player's audience, the services' listener and the ledger's reader in one; `quiet` shows nothing."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self.console, self.quiet = console, quiet
        self.figures = Figures()
        self.log: list[str] = []
        self._story: Story | None = None
        self._beats: dict[str, Beat] = {}
        self._touched: dict[tuple[str, str], int] = {}
        self._rows = 0
        self._notices: list[dict[str, Any]] = []
        self._kinds: Counter[tuple[str, str]] = Counter()
        self._live: Live | None = None

    # ---- a story

    def open(self, story: Story, number: int, stories: int, figures: Figures) -> None:
        """A story begins."""
        self.figures, self._story, self._rows = figures, story, 0
        self._beats.clear()
        self._touched.clear()
        self._notices.clear()
        self._kinds.clear()
        if self.quiet:
            return
        self.console.print()
        self.console.rule(Text(f" Story {number} of {stories}: {story.title} ", "bold"), style="bright_black")
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
            text = f"\n{'':{len(margin)}}".join(wrap(text, max(20, self.console.width - len(margin))))
        self.console.print(Text.assemble((margin, "bright_black"), (text, style)))

    # ---- what the player tells

    def narrate(self, story: Story, at: int, text: str) -> None:
        self.flush()
        self.say(text, "bold", datetime_of(at).strftime("%d %b %Y %H:%M  "))

    def sent(self, _story: Story, rows: int) -> None:
        self._rows += rows
        if self._rows >= ROWS_A_BEAT:
            self.flush()
        self.refresh()

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
        """Tell what happened since the last time."""
        self._rows = 0
        for name, beat in self._beats.items():
            several = f"{name}: " if self._story is not None and len(self._story.currencies) > 1 else ""
            for sentence in beat.sentences():
                self.say(f"{several}{sentence}", margin=MARGIN)
        self._tell_notices()
        self.refresh()

    # ---- what the services tell

    def said(self, service: str, line: str) -> None:
        self.log = [*self.log[-99:], f"{service}: {line}"]

    def event(self, service: str, event: dict[str, Any]) -> None:
        if service == "notifier" and self._story is not None and event.get("fund") in self._story.currencies:
            self._notices.append(event)

    def ended(self, service: str, status: int, pause_s: float) -> None:
        self.say(f"The {service} is gone (status {status}); it is started again in {pause_s:g} s.", "red", MARGIN)

    def _tell_notices(self) -> None:
        """How many people heard something; the words themselves when a kind of notice comes for the first time."""
        if not self._notices:
            return
        first = [notice for notice in self._notices if not self._kinds[notice["role"], notice["kind"]]]
        seen: dict[tuple[str, str], dict[str, Any]] = {}
        for notice in first:
            seen.setdefault((notice["role"], notice["kind"]), notice)
        for (role, _), notice in seen.items():
            self.say(f"✉ to a {role}: “{notice['text']}”", "magenta", MARGIN)
        if (rest := len(self._notices) - len(seen)) > 0:
            self.say(f"✉ {count(rest, 'more notice')}.", "magenta", MARGIN)
        self._kinds.update((notice["role"], notice["kind"]) for notice in self._notices)
        self._notices.clear()

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
                Text(f"  … and {count(len(rest), 'more case')}, {whole} of them delivered in full", "bright_black")
            )
        return Group(Text(LEGEND, "bright_black"), Text(READ_AS, "bright_black"), *lines)


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
    told = " / ".join(format_amount(amount, fund.currency) for amount in sums)
    return f"{told} of {format_money(case.claim, fund.currency)} ({case.class_}{closed})"
