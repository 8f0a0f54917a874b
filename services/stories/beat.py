"""A beat: what happened between two moments of a story, in a few sentences that a newcomer follows.

Facts are gathered from entries and told in the order of a story: who asks, who gives, what is paid, what is handed over, what ends. Few
things are told one by one, many are counted. Nothing is told that a fact doesn't say.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from schemas.currencies import format_money
from schemas.times import DAY, HOUR, parse
from services.counted import counted
from services.stories.figures import CaseFigures, FundFigures
from services.words.classes import class_name

FactDict = dict[str, Any]
ONE_BY_ONE = 3

_CAUSES = {"age": "by waiting", "deadline": "by deadline", "policy": "by the fund's new policy"}
_OUTCOMES = {
    "completed": "is closed: completed",
    "withdrawn": "is closed: withdrawn",
    "deceased": "is closed: the person has died",
    "duplicate": "is closed: it was there twice",
}


class Beat:
    """Facts of one fund since the last telling; `fund` is how it stands now (it is read when sentences are made)."""

    def __init__(self, fund: FundFigures) -> None:
        self.fund = fund
        self.facts: defaultdict[str, list[FactDict]] = defaultdict(list)

    def take(self, facts: list[FactDict], at: str) -> None:
        """Gather an entry's facts; `at` is the entry's time."""
        for fact in facts:
            self.facts[fact["fact"]].append({**fact, "at": at})

    def sentences(self) -> list[str]:
        """What happened, a sentence each; then the beat begins anew."""
        told = [sentence for tell in _TELL for sentence in tell(self)]
        self.facts.clear()
        return told

    def money(self, amount: int) -> str:
        return format_money(amount, self.fund.currency)

    def sum(self, name: str, of: str = "amount") -> int:
        return sum(fact[of] or 0 for fact in self.facts[name])

    def case(self, fact: FactDict) -> CaseFigures:
        return self.fund.cases[fact["case"]]


def span(micros: int, longest: int = 0) -> str:
    """A length of story time, as people say it: `1 d 12 h`; in the same units as the `longest` that stands beside it."""
    days, rest = divmod(micros, DAY)
    return (
        f"{days} d {rest // HOUR} h" if days or longest >= DAY else f"{rest // HOUR} h {rest % HOUR // 60_000_000} min"
    )


def _few(items: list[str]) -> str:
    items = list(dict.fromkeys(items))
    return ", ".join(items[:ONE_BY_ONE]) + (f" and {len(items) - ONE_BY_ONE} more" if len(items) > ONE_BY_ONE else "")


def _asked(beat: Beat) -> Iterator[str]:
    opened = beat.facts["case_opened"]
    if len(opened) <= ONE_BY_ONE:
        for fact in opened:
            case = beat.case(fact)
            own = f", beside {beat.money(case.own)} of their own" if case.own else ""
            asks = f"{beat.money(fact['claim'])}{own}" if fact["claim"] else "no money"
            yield f"{case.id} opens ({case.need}, {class_name(fact['class'])}) and asks for {asks}."
        return
    free = sum(not fact["claim"] for fact in opened)
    rest = f" {counted(free, 'case')} among them {'asks' if free == 1 else 'ask'} for no money." if free else ""
    yield f"{counted(len(opened), 'case')} open and ask for {beat.money(beat.sum('case_opened', 'claim'))}.{rest}"


def _changed(beat: Beat) -> Iterator[str]:
    amended, renewed = ({fact["case"]: fact for fact in beat.facts[name]} for name in ("case_amended", "case_renewed"))
    for case, fact in amended.items():
        yield f"{case} is amended and now asks for {beat.money(fact['claim'])}."
    for case, fact in renewed.items():
        yield f"{case} begins period {fact['period']} and asks for {beat.money(fact['claim'])} in all."
    rises = {fact["case"]: fact for fact in beat.facts["case_escalated"] if beat.case(fact).claim}
    groups = defaultdict[tuple[str, str], list[str]](list)
    for case, fact in rises.items():
        groups[class_name(fact["to"]), _CAUSES[fact["why"]]].append(case)
    for (now, cause), cases in groups.items():
        yield f"Now {now} {cause}: {_few(cases)}."


def _promised(beat: Beat) -> Iterator[str]:
    pledges, instalments = beat.facts["pledge_accepted"], beat.facts["pledge_instalment"]
    if pledges:
        foreign = Counter(fact["currency"] for fact in pledges if fact["currency"] != beat.fund.currency)
        abroad = f" ({', '.join(f'{number} in {code}' for code, number in sorted(foreign.items()))})" if foreign else ""
        yield f"{counted(len(pledges), 'pledge')}{abroad}: {beat.money(beat.sum('pledge_accepted'))} promised."
    if instalments:
        yield f"{counted(len(instalments), 'instalment')} of recurring pledges: {beat.money(beat.sum('pledge_instalment'))} promised."
    if beat.facts["waiting"]:
        yield f"{beat.money(beat.sum('waiting'))} finds no open case, so it waits."


def _ended(beat: Beat) -> Iterator[str]:
    for fact in beat.facts["case_closed"]:
        if fact["outcome"] != "completed":
            yield f"{fact['case']} {_OUTCOMES[fact['outcome']]}."
    for name, words in (
        ("pledge_withdrawn", "taken back"),
        ("pledge_expired", "expired"),
        ("payment_failed", "not paid"),
    ):
        if found := beat.facts[name]:
            yield f"{counted(len(found), 'pledge')} {words}."
    if voided := beat.sum("award_voided"):
        settled = beat.sum("award_voided", "settled")
        yield f"{beat.money(voided)} leaves its case, {beat.money(settled) if settled else 'none'} of it paid."
    for name, words in (
        ("released", "is released"),
        ("refunded", "had been paid, and is refunded"),
    ):
        if amount := beat.sum(name):
            yield f"{beat.money(amount)} {words}."


def _funded(beat: Beat) -> Iterator[str]:
    """Cases that ask for nothing have all they ask for from the start, which is no news; nor is the age of a renewed one."""
    facts = {fact["case"]: fact for fact in beat.facts["case_funded"] if fact["claim"]}
    took = {}
    for name, fact in facts.items():
        case = beat.fund.cases[name]
        if case.funded_at == parse(fact["at"]):
            took[name] = case.funded_at - (case.opened_at or 0)
    longest = max(took.values(), default=0)
    found = [f"{name} ({span(took[name], longest)} after it opened)" if name in took else name for name in facts]
    if found:
        yield f"All that is asked is promised for {_few(found)}."


def _paid(beat: Beat) -> Iterator[str]:
    if payments := beat.facts["payment_received"]:
        yield f"{counted(len(payments), 'payment')}: {beat.money(beat.sum('payment_received'))} paid."


def _delivered(beat: Beat) -> Iterator[str]:
    if found := beat.facts["case_delivered"]:
        cases = list(dict.fromkeys(fact["case"] for fact in found))
        yield f"{beat.money(beat.sum('case_delivered'))} handed over for {_few(cases)}."
    if thanked := beat.facts["case_thanked"]:
        yield f"Thanks from {_few([fact['case'] for fact in thanked])} reach the donors."
    completed = [fact["case"] for fact in beat.facts["case_closed"] if fact["outcome"] == "completed"]
    if completed:
        yield f"Completed: {_few(completed)}."


def _refused(beat: Beat) -> Iterator[str]:
    for fact in beat.facts["rejected"]:
        yield f"Rejected ({fact['code']}): {fact['detail']}."


_TELL: tuple[Callable[[Beat], Iterator[str]], ...] = (
    _asked, _changed, _promised, _ended, _funded, _paid, _delivered, _refused,
)  # fmt: skip
