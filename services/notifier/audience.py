"""Who hears what. Pure: entries of one partition in, tidings out.

Donors hear what becomes of their own pledge; the beneficiary and the go-betweens (a case's vouchers) what becomes of the case.
Whoever vouches, the beneficiary is told as well: nobody is silenced by a stranger. One command gives one person at most one
notice of a kind about a pledge or case, with sums added up; so all of an entry's facts are taken in before anybody is told.
Nobody learns who anybody is: a donor's tidings have no case, a go-between's no pledge. A go-between hears which quarter of the
claim others have given, and no sums: a sum and a day could be matched with what one of them gave. The beneficiary hears the exact
sum handed over, since they can say whether it came.

What is told once (a payment due, a threshold passed) is remembered by the fold itself, so a silent replay ends in the state in
which nothing already told is told again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from schemas.currencies import DIGITS
from schemas.notices import Kind, Match, Role, Tidings, notice_id
from schemas.times import datetime_of, parse
from schemas.values import CLASSES
from services.notifier.standing import Case, Happened, Part, Pledge, Standing, Standings


class _Word(NamedTuple):
    """Tidings in the making: who, what, about which pledge or case, and the fields that differ."""

    to: str
    role: Role
    kind: Kind
    about: str
    fields: dict[str, Any]


class Audience:
    """Everybody who hears of one partition."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._standings = Standings()

    def hear(self, entry: dict[str, Any], silent: bool = False) -> list[Tidings]:
        """Take in the next entry; returns who is to be told what.

        Args:
            entry: a ledger entry's value (`schemas.ledger.Entry`) as plain data.
            silent: True in a replay: remember, tell nobody.

        Returns:
            Tidings, in a fixed order. Those of a command with several entries come with its last.

        Raises:
            UnknownFact: if this version doesn't know a fact, or a fund's rule.
            LookupError, ValueError: if its facts don't fit what came before.
        """
        self._standings.feed(self._partition, entry)
        if entry.get("more"):
            return []
        happened, self._standings.happened = self._standings.happened, {}
        told: list[Tidings] = []
        instant, name = parse(entry["at"]), f"{self._partition}-{entry['seq']}"
        if entry["fund"] is None:  # of a tick, time has passed for all
            happened = {fund: happened.get(fund) or Happened() for fund in self._standings.funds.values()}
        for fund, so_far in happened.items():
            so_far.hold()
            words = [*_words(fund, so_far), *self._farewells(fund, so_far, instant, entry)]
            if words and not silent:
                at = day_of(datetime_of(instant))
                told += (_made_out(fund, name, at, word) for word in words)
        return told

    def holds(self, fund: str, about: str, name: str) -> bool:
        """As `Standing.holds`, of a fund."""
        known = self._standings.funds.get(fund)
        return known is not None and known.holds(about, name)

    def _farewells(self, fund: Standing, happened: Happened, at: int, entry: dict[str, Any]) -> Iterator[_Word]:
        """People with nothing open any more are told so, and in the end forgotten."""
        soon, now = fund.leave(happened, at)
        for person, end, on in soon:
            yield _Word(person, end.role, "forgetting", end.about, {"forgotten_on": day_of(datetime_of(on))})
        for person, end in now:
            fields = {"texts": tuple(fund.texts_of(person)), "command": (self._partition, entry["cause"]["offset"])}
            yield _Word(person, end.role, "forgotten", end.about, fields)


def day_of(at: datetime) -> datetime:
    """The first instant of a time's day.

    A notice passes through many hands: with a time to the second it could be matched with the ledger, or with who came and went.
    """
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


class Farewell(Tidings):
    """The last tidings to somebody: afterwards their contact is deleted. What else it knows is never told.

    Attributes:
        texts: ids of thanks in their own words, which go too.
        command: where the command lies that time had passed at; what came with a later one stays.
    """

    texts: Annotated[tuple[str, ...], Field(exclude=True)] = ()
    command: Annotated[tuple[int, int], Field(exclude=True)]


def _made_out(fund: Standing, entry: str, at: datetime, word: _Word) -> Tidings:
    subject: dict[str, Any] = {"pledge": word.about} if word.role == "donor" else {"case": word.about}
    made = Farewell if word.kind == "forgotten" else Tidings
    return made(
        id=notice_id(entry, fund.name, word.to, word.role, word.kind, word.about),
        kind=word.kind,
        to=word.to,
        role=word.role,
        fund=fund.name,
        currency=fund.currency,
        digits=DIGITS[fund.currency],
        entry=entry,
        at=at,
        **subject,
        **{"urgency": CLASSES[0], **word.fields},
    )


def _words(fund: Standing, happened: Happened) -> Iterator[_Word]:
    """All that an entry has to say about one fund, in the order in which a story is told."""
    yield from _opened(happened)
    yield from _matched(fund, happened)
    yield from _settled(happened)
    yield from _progress(happened)
    yield from _delivered(happened)
    yield from _thanks(happened)
    yield from _given_back(happened)


# ---- beneficiaries, go-betweens --------------------------------------------------------------------------------------


def _of_case(case: Case, kind: Kind, own: dict[str, Any] | None = None, **fields: Any) -> Iterator[_Word]:
    """For all who hear of a case; `own` is for the beneficiary alone."""
    fields |= {"need": case.need, "claim": case.claim, "urgency": CLASSES[case.rank]}
    yield _Word(case.beneficiary, "beneficiary", kind, case.id, fields | (own or {}))
    for voucher in case.vouchers:
        if voucher != case.beneficiary:
            yield _Word(voucher, "go-between", kind, case.id, fields)


def _opened(happened: Happened) -> Iterator[_Word]:
    for case, rank in happened.opened:
        yield from _of_case(case, "opened", class_=rank)


def _progress(happened: Happened) -> Iterator[_Word]:
    for case in happened.moved:
        level = case.level()
        if case.status == "open" and level > case.told:
            case.tell(level)
            yield from _of_case(case, "progress", percent=level)


# ---- donors -----------------------------------------------------------------------------------------------------------


def _to_donor(pledge: Pledge, kind: Kind, **fields: Any) -> _Word:
    return _Word(pledge.donor, "donor", kind, pledge.id, fields)


def _matched(fund: Standing, happened: Happened) -> Iterator[_Word]:
    of_pledge: defaultdict[Pledge, list[tuple[Part, str, str]]] = defaultdict(list)
    for award, rank, basis in happened.matched:
        if award.amount:  # not voided again within the entry
            of_pledge[award.pledge].append((award, rank, basis))
    for pledge, awards in of_pledge.items():
        promised = sum(award.amount for award, _, _ in awards)
        urgency = max((rank for _, rank, _ in awards), key=CLASSES.index)
        fields = {
            "promised": promised, "matches": _matches(awards), "again": pledge in happened.voided, "urgency": urgency,
        }  # fmt: skip
        needs = {award.case.need for award, _, _ in awards}
        if len(needs) == 1:
            fields["need"] = needs.pop()
        due = _due(fund, pledge)
        yield _to_donor(pledge, "matched", **fields, **(due if pledge.due_told else {}))
        if due and not pledge.due_told:
            pledge.due_told = True
            face = {} if pledge.currency == fund.currency else {"face_promised": pledge.face}
            yield _to_donor(pledge, "payment-due", promised=pledge.amount, urgency=urgency, **face, **due)


def _matches(awards: list[tuple[Part, str, str]]) -> tuple[Match, ...]:
    sums: dict[tuple[str, str, str], list[int]] = {}
    for award, rank, basis in awards:
        total = sums.setdefault((award.case.need, rank, _why(award, basis)), [0, 0])
        total[0] += 1
        total[1] += award.amount
    return tuple(
        Match.model_validate({"need": need, "class_": rank, "why": why, "cases": cases, "amount": amount})
        for (need, rank, why), (cases, amount) in sums.items()
    )


def _why(award: Part, basis: str) -> str:
    wish = award.pledge.designation or {}
    if wish.get("case") == award.case.id:
        return "chosen"
    return f"{basis}-of-need" if wish.get("need") == award.case.need else basis


def _due(fund: Standing, pledge: Pledge) -> dict[str, Any]:
    if not pledge.unpaid:
        return {}
    if pledge.currency == fund.currency:
        return {"due": pledge.unpaid}
    face = {"face_due": pledge.face_due(fund.currency), "face_currency": pledge.currency}
    return {"due": pledge.unpaid, **face, "face_digits": DIGITS[pledge.currency]}


def _settled(happened: Happened) -> Iterator[_Word]:
    for pledge, amount in happened.settled.items():
        if amount > 0:
            yield _to_donor(pledge, "settled", settled=amount)


def _delivered(happened: Happened) -> Iterator[_Word]:
    for case, amount in happened.delivered.items():
        part = case.part(case.delivered)
        yield from _of_case(case, "delivered", {"delivered": amount}, **({"percent": part} if part else {}))
    for pledge, amount in happened.paid_out.items():
        needs = happened.needs_met[pledge]
        yield _to_donor(
            pledge, "delivered", delivered=amount, **({"need": next(iter(needs))} if len(needs) == 1 else {})
        )


def _thanks(happened: Happened) -> Iterator[_Word]:
    """Thanks go once to each donor whose paid money is in the case, however many pledges it came from.

    Thanks are for help that came. Someone who has only promised has not helped yet; they might take thanks for a receipt,
    and may withdraw.
    """
    for case, thanks in happened.thanked:
        oldest: dict[str, Pledge] = {}
        for award in case.awards:
            if award.settled:
                oldest.setdefault(award.pledge.donor, award.pledge)
        for pledge in oldest.values():
            yield _to_donor(pledge, "thanks", thanks=thanks, need=case.need)


def _given_back(happened: Happened) -> Iterator[_Word]:
    for pledge, amount in happened.released.items():
        yield _to_donor(pledge, "released", released=amount)
    for pledge, amount in happened.refunded.items():
        yield _to_donor(pledge, "refunded", refunded=amount)
