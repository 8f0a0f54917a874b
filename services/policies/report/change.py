"""A dry run on a terminal: what would have been different, by case and by command, in words and amounts."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.currencies import format_amount
from schemas.times import DAY, parse, text_of
from services.counted import counted
from services.policies.change import FROZEN, CaseChange, DryRun
from services.policies.course import Refusal
from services.policies.report.figures import duration
from services.policies.report.terminal import say
from services.terminal import print_rows

ROWS = 30
"""Cases and commands that are listed; `--json` has all."""
_FUNDED = {"only_then": "only then", "no_more": "no more", None: "as it was"}


def show(told: DryRun, console: Console) -> None:
    """Print it."""
    funds = ", ".join(sorted(told.before))
    since = "from the start" if told.since == told.log.span[0] else f"since {_when(told.since)}"
    say(console, f"What if, {since}, fund {funds} had been under {told.policy.name}?", "bold")
    for fund, fields in sorted(told.before.items()):
        was = ", ".join(f"{field}={value}" for field, value in fields.items())
        say(console, f"As recorded {fund} had {was}." if len(told.before) > 1 else f"As recorded it had {was}.")
    many = f"{len(told.log.said):,} commands from {told.log.where}"
    say(console, f"{many}, replayed as recorded and with the change. Nothing was written.")
    console.print()
    for line in summary(told):
        say(console, line)
    listed = [case for case in told.cases if case.more or case.funding]
    if listed:
        console.print()
        console.print(_cases(told, listed))
        _more(console, len(listed), "cases")
    if quiet := len(told.cases) - len(listed):
        console.print()
        say(
            console,
            f"{counted(quiet, 'case')} would differ in nothing but when money first came or how much was paid; --json has all.",
        )
    if told.refused:
        console.print()
        console.print(Text(f"Recorded, and refused under the change ({len(told.refused):,}):", "bold"))
        print_rows(console, [(_when(refusal.at), refused(refusal, told)) for refusal in told.refused[:ROWS]])
        _more(console, len(told.refused), "commands")
    console.print()
    say(console, FROZEN, "dim")


def summary(told: DryRun) -> list[str]:
    """What would have been different, in a few sentences."""
    if not told.cases and not told.refused:
        would = counted(told.unchanged, "case would have fared as it did", "cases would have fared as they did")
        return [f"Nothing would have been different: {would}."]
    counts, moved = told.counts, _money(told.moved, told)
    more = (
        f"{counted(counts['more'], 'case')} would have more promised to them ({moved} in all), {counts['less']:,} less;"
    )
    lines = [f"{more} {told.unchanged:,} fare as they did."]
    words = {"sooner": "sooner", "later": "later", "only_then": "only with the change", "no_more": "no more"}
    times = [f"{counts[what]:,} {word}" for what, word in words.items() if counts[what]]
    if times:
        lines.append(f"Fully funded: {', '.join(times)}.")
    if told.refused:
        lines.append(f"{counted(len(told.refused), 'recorded command')} would have been refused.")
    if told.accepted:
        lines.append(f"{counted(len(told.accepted), 'recorded command')} that was refused would have been accepted.")
    return lines


def _cases(told: DryRun, listed: list[CaseChange]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("case", overflow="fold")
    table.add_column("class")
    for name in ("recorded", "changed", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fully funded")
    for case in listed[:ROWS]:
        name = f"{case.fund}/{case.case}" if len(told.before) > 1 else case.case
        sums = (_amount(case.recorded["promised"], told), _amount(case.changed["promised"], told))
        style = "green" if case.more > 0 else "red" if case.more < 0 else ""
        table.add_row(name, case.priority, *sums, Text(f"{_amount(case.more, told, sign=True)}", style), funded(case))
    table.caption = f"Promised at the end, in {told.currency}; of a closed case, handed over."
    table.caption_justify = "left"
    return table


def funded(case: CaseChange) -> str:
    """When it would have been funded, against when it was: sooner or later by how much."""
    if case.funding not in ("sooner", "later"):
        return "not yet" if case.recorded["funded"] == case.changed["funded"] is None else _FUNDED[case.funding]
    was, would = parse(case.recorded["funded"]), parse(case.changed["funded"])
    return f"{duration(abs(would - was) / DAY)} {case.funding}"


def refused(refusal: Refusal, told: DryRun) -> str:
    """A command that would have been refused, in a sentence."""
    what = refusal.type.removeprefix("pumasi.")
    if refusal.code == "exceeds_settled" and refusal.amount is not None and refusal.ready is not None:
        found = f"found only {_money(refusal.ready, told)}" if refusal.ready else "found no money"
        return (
            f"{_money(refusal.amount, told)} handed over for case {refusal.about} (delivery {refusal.item}) would "
            f"have {found} settled there. In fact it was handed over."
        )
    about = f" {refusal.about}" if refusal.about else ""
    return f"{what}{about}: {refusal.code}"


def _more(console: Console, count: int, what: str) -> None:
    if count > ROWS:
        console.print(Text(f"… and {count - ROWS:,} {what} more; --json has all.", "dim"))


def _when(at: int) -> str:
    return text_of(at)[:16].replace("T", " ")


def _amount(amount: int, told: DryRun, sign: bool = False) -> str:
    return ("+" if sign and amount > 0 else "") + format_amount(amount, told.currency)


def _money(amount: int, told: DryRun) -> str:
    return f"{told.currency}\u00a0{_amount(amount, told)}"
