"""Stories as tables: what happens when, through which door; readable by a go-between, diffable, and parsed strictly.

    story    chat-room                            a name; its rows' ids and `ce_source` come from it
    title    A chat room carries one of its own
    shows    what it shows; may go on in further lines
    starts   2021-11-24T10:00Z
    fund     room  currency=CNY share=CNY100      opens a fund when the story starts (fund.configured, HTTP)
    expect   room  asked=CNY10,000 … notices=120  what the ledger must say at the end

    when      | door  | fund | event          | what
    > A neighbour tells the chat room.            shown to those who watch; never sent
    +0d 00:05 | http  | room | case.submitted | case=a goal=CNY10,000 …

Rows stand in the order of time. `when` counts from the start, as do times in values (`needed_by=+5d00:00`). Money is written as people
write it (`KRW30,000`, `CNY12.50`) and becomes minor units; a payment must be in its pledge's currency. Every row is checked against the
contract's model when it is read, so a story that parses is one that intake can read. A payment's reference gets a `~` before it.
Nothing here says who anybody is: people are pseudonyms, and no field could hold more.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from schemas.commands import COMMANDS
from schemas.currencies import DIGITS
from schemas.submissions import SUBMISSIONS
from schemas.times import DAY, SECOND, parse_given, text_of
from schemas.violations import violations
from services.errors import ScenarioInvalid

STORIES: Final = Path(__file__).with_name("files")
COLUMNS: Final = ("when", "door", "fund", "event", "what")
DOORS: Final = ("http", "topic")
FIGURES: Final = ("asked", "promised", "placed", "settled", "delivered", "released", "waiting", "notices")

_OFFSET = re.compile(r"\+(\d{1,4})d ?(\d\d):(\d\d)", re.ASCII)
_MONEY = re.compile(r"([A-Z]{3})(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)


def on_the_bus(data: dict[str, Any]) -> dict[str, Any]:
    """What is sent, as its command says it without a box: what it says of access no rule asks for."""
    return {name: value for name, value in data.items() if name != "access"}


@dataclass(frozen=True)
class Row:
    """One event of a story, by its line in the file; `at`: microseconds since 1970; `told`: what those who watch hear before it."""

    line: int
    at: int
    door: str
    type: str
    id: str
    data: dict[str, Any]
    told: tuple[str, ...] = ()

    @property
    def fund(self) -> str:
        return str(self.data["fund"])


@dataclass(frozen=True)
class Story:
    """A story as its file has it; `rows` begin with the opening of its funds. `expected`: fund → figure → minor units or count."""

    name: str
    title: str
    shows: str
    starts: int
    currencies: dict[str, str]
    expected: dict[str, dict[str, int]]
    rows: tuple[Row, ...]
    epilogue: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return f"/pumasi/stories/{self.name}"

    @property
    def ends(self) -> int:
        return self.rows[-1].at


def load_stories(names: list[str] | None = None) -> list[Story]:
    """The stories of the package, in the order of their dates; those named, or all.

    Raises ScenarioInvalid for a file that can't be read as a story, or a name that none has.
    """
    stories = sorted((read_story(path) for path in STORIES.glob("*.story")), key=lambda story: story.starts)
    if unknown := set(names or ()) - {story.name for story in stories}:
        known = ", ".join(story.name for story in stories)
        raise ScenarioInvalid(f"no story is named {', '.join(sorted(unknown))}", hint=f"There are: {known}.")
    return [story for story in stories if not names or story.name in names]


def read_story(path: Path) -> Story:
    """A story from its file. Raises ScenarioInvalid with file and line."""
    return parse_story(path.read_text(), path.name)


def parse_story(text: str, where: str = "story") -> Story:
    """A story from its text; `where` names it in errors. Raises ScenarioInvalid."""
    reader = _Reader(where)
    for number, line in enumerate(text.splitlines(), 1):
        reader.line = number
        reader.read(line.rstrip())
    return reader.finish()


@dataclass
class _Reader:
    """Reads line by line; every complaint names file and line."""

    where: str
    line: int = 0
    head: dict[str, str] = field(default_factory=dict)
    currencies: dict[str, str] = field(default_factory=dict)
    expected: dict[str, dict[str, int]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    pledges: dict[tuple[str, str], str] = field(default_factory=dict)
    in_table: bool = False

    def fail(self, what: str) -> ScenarioInvalid:
        return ScenarioInvalid(f"{self.where}:{self.line}: {what}")

    def read(self, line: str) -> None:
        if not line or line.startswith("#"):
            return
        if self.in_table and line.startswith(">"):
            self.told.append(line[1:].strip())
        elif self.in_table:
            self._row(line)
        elif "|" in line:
            if tuple(cell.strip() for cell in line.split("|")) != COLUMNS:
                raise self.fail(f"the table's head must be: {' | '.join(COLUMNS)}")
            self.in_table = True
        else:
            self._header(line)

    def finish(self) -> Story:
        for name in ("story", "title", "shows", "starts"):
            if name not in self.head:
                raise self.fail(f"there is no line `{name}`")
        if not self.in_table or len(self.rows) <= len(self.currencies):
            raise self.fail("there is no table, or no row in it")
        if missing := self.currencies.keys() - self.expected.keys():
            raise self.fail(f"no line `expect` for fund {', '.join(sorted(missing))}")
        head = self.head
        return Story(
            head["story"], head["title"], head["shows"], self._starts(), self.currencies, self.expected,
            tuple(self.rows), tuple(self.told),
        )  # fmt: skip

    # ---- the head

    def _header(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        match word:
            case "shows" if "shows" in self.head:
                self.head["shows"] += " " + rest
            case "story" | "title" | "shows" | "starts" if word not in self.head:
                if word == "story" and not _NAME.fullmatch(rest):
                    raise self.fail(f"{rest!r} can't name a story: small letters, digits and '-'")
                self.head[word] = rest
                if word == "starts":
                    self._starts()
            case "fund":
                self._fund(rest)
            case "expect":
                self._expect(rest)
            case _:
                raise self.fail(f"{word!r} can't stand here, or not twice: story, title, shows, starts, fund, expect")

    def _starts(self) -> int:
        if "starts" not in self.head:
            raise self.fail("`starts` must come before what counts from it")
        text = self.head["starts"]
        try:
            return parse_given(text if text.count(":") == 2 else text.replace("Z", ":00Z"))
        except ValueError:
            raise self.fail(f"{text!r} is no time such as 2021-11-24T10:00Z") from None

    def _fund(self, rest: str) -> None:
        fund, _, what = rest.partition(" ")
        if fund in self.currencies:
            raise self.fail(f"fund {fund} stands here twice")
        pairs = dict(self._pairs(what))
        self.currencies[fund] = pairs.get("currency", "")
        self._add(self._starts(), "http", fund, "fund.configured", pairs)

    def _expect(self, rest: str) -> None:
        fund, _, what = rest.partition(" ")
        if fund not in self.currencies:
            raise self.fail(f"no fund {fund} above this line")
        figures: dict[str, int] = {}
        for name, text in self._pairs(what):
            if name not in FIGURES:
                raise self.fail(f"{name!r} is no figure: {', '.join(FIGURES)}")
            figures[name] = int(text) if name == "notices" else self._money_of_fund(fund, text)
        if fund in self.expected or tuple(figures) != FIGURES:
            raise self.fail(f"one line for a fund, with all figures in this order: {', '.join(FIGURES)}")
        self.expected[fund] = figures

    # ---- the table

    def _row(self, line: str) -> None:
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != len(COLUMNS):
            raise self.fail(f"{len(cells)} cells, not {len(COLUMNS)}: {' | '.join(COLUMNS)}")
        when, door, fund, event, what = cells
        if door not in DOORS:
            raise self.fail(f"{door!r} is no door: {' or '.join(DOORS)}")
        if fund not in self.currencies:
            raise self.fail(f"no fund {fund!r} in the head")
        at = self._time(when)
        if self.rows and at < self.rows[-1].at:
            raise self.fail(f"{when} is before the row above; rows stand in the order of time")
        self._add(at, door, fund, event, dict(self._pairs(what)))

    def _add(self, at: int, door: str, fund: str, event: str, pairs: dict[str, str]) -> None:
        kind = f"pumasi.{event}"
        if kind not in SUBMISSIONS:
            raise self.fail(f"{event!r} is no event of the contract")
        data = {"fund": fund, **self._data(kind, fund, pairs)}
        try:
            COMMANDS[kind].model_validate_json(json.dumps(on_the_bus(data)))  # which asks for every id
            SUBMISSIONS[kind].model_validate_json(json.dumps(data))
        except ValidationError as error:
            found = next(violations(error, COMMANDS[kind]))
            raise self.fail(f"{event}: {'.'.join(map(str, found.place)) or event}: {found.message}") from None
        name = f"{self.head.get('story', 'story')}.{len(self.rows) + 1:04d}"
        self.rows.append(Row(self.line, at, door, kind, name, data, tuple(self.told)))
        self.told.clear()

    def _data(self, kind: str, fund: str, pairs: dict[str, str]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for name, text in pairs.items():
            if name == "amount":
                data |= self._amount(kind, fund, pairs.get("pledge", ""), text)
            elif name in _READ:
                data[name] = _READ[name](self, fund, text)
            else:
                data[name] = text
        return data

    def _amount(self, kind: str, fund: str, pledge: str, text: str) -> dict[str, Any]:
        currency, amount = self._money(text)
        home = self.currencies[fund]
        if kind == "pumasi.pledge.made":
            self.pledges[fund, pledge] = currency
            return {"amount": amount, "currency": currency}
        if kind == "pumasi.payment.received":
            home = self.pledges.get((fund, pledge.partition("#")[0]), currency)
        if currency != home:
            raise self.fail(f"amount={text}: must be in {home}")
        return {"amount": amount}

    # ---- the words

    def _pairs(self, what: str) -> Iterator[tuple[str, str]]:
        seen = set()
        for word in what.split():
            name, equals, value = word.partition("=")
            if not equals or not name or not value or name in seen:
                raise self.fail(f"{word!r} is not name=value, or stands twice")
            seen.add(name)
            yield name, value

    def _time(self, text: str) -> int:
        match = _OFFSET.fullmatch(text)
        if not match or int(match[2]) > 23 or int(match[3]) > 59:
            raise self.fail(f"{text!r} is no time such as '+1d 03:20', counted from the start")
        return self._starts() + int(match[1]) * DAY + (int(match[2]) * 60 + int(match[3])) * 60 * SECOND

    def _money(self, text: str) -> tuple[str, int]:
        match = _MONEY.fullmatch(text)
        if not match or match[1] not in DIGITS:
            raise self.fail(f"{text!r} is no amount such as CNY1,250 or USD12.50")
        digits, fraction = DIGITS[match[1]], match[3] or ""
        if len(fraction) > digits:
            raise self.fail(f"{text!r}: {match[1]} has {digits} digits after the point")
        return match[1], int(match[2].replace(",", "") + fraction.ljust(digits, "0"))

    def _money_of_fund(self, fund: str, text: str) -> int:
        currency, amount = self._money(text)
        if currency != self.currencies[fund]:
            raise self.fail(f"{text}: fund {fund} is in {self.currencies[fund]}")
        return amount

    def _count(self, _fund: str, text: str) -> int:
        if not text.isdecimal():
            raise self.fail(f"{text!r} is no number")
        return int(text)

    def _moment(self, _fund: str, text: str) -> str:
        return text_of(self._time(text))

    def _recurrence(self, _fund: str, text: str) -> dict[str, Any]:
        every, times, count = text.partition("x")
        return {"every": every, "times": self._count("", count)} if times else {"every": every}

    def _designation(self, _fund: str, text: str) -> dict[str, str]:
        kind, colon, name = text.partition(":")
        if not colon or kind not in ("case", "need"):
            raise self.fail(f"{text!r} is no designation such as need:vaccine or case:a-care")
        return {kind: name}

    def _access(self, _fund: str, text: str) -> dict[str, str]:
        province, _, status = text.partition("/")
        return {"province": province, "status": status}


_READ: Final[dict[str, Callable[[_Reader, str, str], Any]]] = {
    **dict.fromkeys(("goal", "own_contribution", "share"), _Reader._money_of_fund),
    **dict.fromkeys(("needed_by", "expires_at"), _Reader._moment),
    **dict.fromkeys(("ageing_days", "deadline_hours", "vouchers_required", "forget_after_days"), _Reader._count),
    "recurrence": _Reader._recurrence,
    "designation": _Reader._designation,
    "access": _Reader._access,
    "payment": lambda _reader, _fund, text: f"~{text}",  # so it stands on the bus, and the ledger hangs on no key
}
"""How a value is read, by its field's name; any other is taken as it stands."""
