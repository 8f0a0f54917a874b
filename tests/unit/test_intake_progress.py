"""What receipts tell, held against the engine's own state over random seasons of commands."""

from dataclasses import dataclass, field

import pytest

from schemas.answers import Receipt
from schemas.commands import Command, FundConfigured, read_data
from schemas.ledger import GENESIS, encode, entries
from schemas.times import text_of
from services.intake.progress import Progress
from services.intake.receipts import Place
from services.matcher.engine.engine import Engine
from tests.oracle.season import log


@dataclass
class Rec:
    """A record of the ledger."""

    value: bytes
    partition: int = 2
    offset: int = 0
    topic: str = "pumasi.ledger.v1"
    key: bytes | None = None
    headers: list = field(default_factory=list)


def told_of(*events: tuple[str, dict]) -> list[dict]:
    """What the receipt of each event tells, once all are decided."""
    progress, engine, seq, digest = Progress(), Engine(), 0, GENESIS
    for offset, (kind, data) in enumerate(events):
        command = Command(
            f"pumasi.{kind}", f"e-{offset}", offset * 10**6, read_data(f"pumasi.{kind}", encode(data)), offset
        )
        fund, at, facts = engine.execute(command)
        for number, value, linked in entries(
            seq + 1, digest, fund, text_of(at), {"id": command.id, "type": command.type, "offset": offset}, facts
        ):
            progress.fold(Rec(value))
            seq, digest = number, linked
    return [progress.tell(Place(2, offset)) for offset in range(len(events))]


FUND = ("fund.configured", {"fund": "x", "currency": "CNY", "vouchers_required": 2})
NEED = {"beneficiary": "b", "need": "test", "route": "home", "goal": 1000, "priority": "stat"}
CASE = ("case.submitted", {"fund": "x", "case": "c", **NEED})
VOUCHES = [("case.vouched", {"fund": "x", "case": "c", "voucher": f"v-{n}"}) for n in range(2)]


def pledged(amount: int, currency: str = "CNY") -> tuple[str, dict]:
    return "pledge.made", {"fund": "x", "pledge": "p", "donor": "d", "amount": amount, "currency": currency}


def paid(amount: int) -> tuple[str, dict]:
    return "payment.received", {"fund": "x", "pledge": "p", "payment": f"y-{amount}", "amount": amount}


def delivered(amount: int) -> tuple[str, dict]:
    return "case.delivered", {"fund": "x", "case": "c", "delivery": f"d-{amount}", "amount": amount}


RATE = ("rate.quoted", {"fund": "x", "currency": "EUR", "rate": "8"})
WITHDRAWN = ("pledge.withdrawn", {"fund": "x", "pledge": "p"})


@pytest.mark.parametrize(
    ("events", "waiting_for"),
    [
        ([pledged(5, "EUR")], ["rate"]),
        ([pledged(5, "EUR"), WITHDRAWN], []),
        ([pledged(5, "EUR"), paid(5), WITHDRAWN], ["rate"]),
        ([pledged(5, "EUR"), RATE], ["claim"]),
        ([pledged(50)], ["claim"]),
        ([CASE, *VOUCHES, pledged(50)], ["payment"]),
        ([CASE, *VOUCHES, pledged(1500)], ["claim", "payment"]),
        ([CASE, *VOUCHES, pledged(50), paid(20)], ["payment", "confirmation"]),
        ([CASE, *VOUCHES, pledged(50), paid(50)], ["confirmation"]),
        ([CASE, *VOUCHES, pledged(50), paid(50), delivered(50)], []),
        ([pledged(50), WITHDRAWN], []),
    ],
)
def test_a_pledges_receipt_says_what_it_waits_for(events: list, waiting_for: list[str]) -> None:
    told = told_of(FUND, *events)
    assert told[1 + events.index(next(one for one in events if one[0] == "pledge.made"))]["waiting_for"] == waiting_for


def test_a_configurations_receipt_names_all_that_it_set() -> None:
    again = ("fund.configured", {"fund": "x", "currency": "CNY", "share": 5000})
    first, second, same = told_of(FUND, again, again)
    assert first["configuration"] == FundConfigured.model_validate(FUND[1]).model_dump()
    assert second["configuration"] == FundConfigured.model_validate(again[1]).model_dump()
    assert second["configuration"]["vouchers_required"] == 1, "what was left out is at its default again"
    assert same == {"state": "applied", "code": "duplicate"}
    Receipt.model_validate({"receipt": "r", **second})


CHOSEN = ("pledge.made", {**pledged(50)[1], "designation": {"case": "c"}, "fallback": "hold"})
CLOSED = ("case.closed", {"fund": "x", "case": "c", "outcome": "completed"})


@pytest.mark.parametrize(
    ("events", "designation"),
    [
        ([pledged(50)], None),
        ([CHOSEN], "case_not_open"),  # there is none
        ([CASE, CHOSEN], "case_not_open"),  # not yet: the same word, since that it is there is for its maker
        ([CASE, CHOSEN, *VOUCHES], None),
        ([CASE, *VOUCHES, CHOSEN], None),
        ([CASE, *VOUCHES, CLOSED, CHOSEN], "case_not_open"),
        ([CASE, *VOUCHES, CHOSEN, paid(50), delivered(50), CLOSED], None),  # it went where it was to go
        ([CASE, *VOUCHES, CHOSEN, CLOSED], "case_not_open"),  # unpaid, it waits again
    ],
)
def test_a_pledges_receipt_says_where_the_case_that_it_names_is_not_open(events: list, designation: str | None) -> None:
    told = told_of(FUND, *events)
    made = 1 + events.index(next(one for one in events if one[0] == "pledge.made"))
    assert told[made]["progress"].get("designation") == designation


@pytest.mark.parametrize(
    ("events", "waiting_for", "missing"),
    [
        ([], ["vouchers"], 2),
        (VOUCHES[:1], ["vouchers"], 1),
        ([VOUCHES[0], ("fund.configured", FUND[1] | {"vouchers_required": 1})], ["vouchers"], 1),  # a vouch opens it
        (VOUCHES, ["pledges"], None),
        (
            [*VOUCHES, pledged(200)],
            ["pledges"],
            None,
        ),  # under a quarter: no figure, and no word that is finer than figures
        ([*VOUCHES, pledged(500)], ["pledges", "payment"], None),
        ([*VOUCHES, pledged(1000), paid(500)], ["payment", "confirmation"], None),
        ([*VOUCHES, pledged(1000), paid(1000)], ["confirmation"], None),
        ([*VOUCHES, pledged(1000), paid(1000), delivered(1000)], [], None),
        ([("case.closed", {"fund": "x", "case": "c"})], [], None),
    ],
)
def test_a_cases_receipt_says_what_it_waits_for(events: list, waiting_for: list[str], missing: int | None) -> None:
    told = told_of(FUND, CASE, *events)[1]
    assert (told["waiting_for"], told["progress"].get("missing_vouchers")) == (waiting_for, missing)


def test_a_pledge_in_another_currency_is_told_in_its_own_too() -> None:
    of_pledge = told_of(FUND, pledged(5, "EUR"))[1]["progress"]
    assert {name: of_pledge[name] for name in ("amount", "currency", "face", "face_currency")} == {
        "amount": 0, "currency": "CNY", "face": 5, "face_currency": "EUR",
    }  # fmt: skip


def test_a_payment_beyond_its_pledge_says_by_how_much_it_raised_it() -> None:
    told = told_of(FUND, CASE, *VOUCHES, pledged(50), paid(30), paid(40))
    assert [one.get("raised_by") for one in told] == [None] * 6 + [20]
    assert told[-1]["progress"]["amount"] == 70


def played(seed: int) -> tuple[Progress, Engine, list[Command]]:
    progress, engine, seq, digest, commands = Progress(), Engine(), 0, GENESIS, log(seed)
    for command in commands:
        fund, at, facts = engine.execute(command)
        readable = isinstance(command, Command)
        cause = {"id": command.id if readable else None, "type": command.type, "offset": command.offset}
        for number, value, linked in entries(seq + 1, digest, fund, text_of(at), cause, facts):
            progress.fold(Rec(value))
            seq, digest = number, linked
    return progress, engine, [command for command in commands if isinstance(command, Command)]


@pytest.mark.parametrize("seed", range(12))
def test_receipts_tell_a_pledges_figures_and_a_cases_quarters(seed: int) -> None:
    progress, engine, commands = played(seed)
    cases = pledges = 0
    for command in commands:
        told = progress.tell(Place(2, command.offset))
        assert told["state"] in ("applied", "rejected")
        if told["state"] == "rejected" or told.get("code") == "duplicate":
            continue
        if command.type.startswith("pumasi.case."):
            case = engine.funds[command.data.fund].cases[command.data.case]
            sums = {"promised": case.awarded, "settled": case.settled, "delivered": case.delivered}
            fund = engine.funds[command.data.fund]
            lacks = max(1, fund.policy.vouchers_required - len(case.vouchers)) if case.status == "submitted" else None
            assert told["progress"].pop("missing_vouchers", None) == lacks
            assert (told["waiting_for"] == ["vouchers"]) is (lacks is not None)
            assert told["progress"].pop("status") == case.status
            assert told["progress"].keys() == sums.keys()
            for name, percent in told["progress"].items():
                reached = [part for part in (25, 50, 75, 100) if sums[name] and sums[name] * 100 >= part * case.claim]
                assert percent == (reached[-1] if reached else 0)
            cases += 1
        elif hasattr(command.data, "pledge"):
            pledge = engine.funds[command.data.fund].pledges[command.data.pledge]
            figures, (kind, wish) = told["progress"], pledge.designation or ("", "")
            chosen = engine.funds[command.data.fund].cases.get(wish) if kind == "case" else None
            misses = figures.pop("designation", None)
            assert misses is None or (kind == "case" and (chosen is None or chosen.status != "open"))
            if kind == "case" and chosen is None:
                assert misses == "case_not_open"
            assert figures == {
                "amount": pledge.amount, "awarded": pledge.awarded + pledge.settled + pledge.delivered,
                "settled": pledge.settled + pledge.delivered, "delivered": pledge.delivered,
                "waiting": pledge.waiting, "released": pledge.released, "face": pledge.face,
                "face_currency": pledge.currency, "currency": engine.funds[command.data.fund].policy.currency,
            }  # fmt: skip
            assert figures["amount"] == figures["awarded"] + figures["waiting"] + figures["released"]
            unrated = engine.funds[command.data.fund].unrated.get(pledge.currency, {})
            worthless = pledge.cancelled and not pledge.face_paid
            waits = {
                "rate": pledge.id in unrated and not worthless, "claim": pledge.waiting, "payment": pledge.awarded,
                "confirmation": pledge.settled,
            }  # fmt: skip
            assert told["waiting_for"] == [word for word, it_waits in waits.items() if it_waits]
            pledges += 1
    assert cases + pledges


@pytest.mark.parametrize("code", ["exceeds_settled", "goal_below_delivered"])
def test_a_rejections_detail_tells_no_sums_of_a_case(code: str) -> None:
    progress, refused = Progress(), {"fact": "rejected", "code": code, "detail": "case c-1: 5 > settled 400 less 300"}
    cause = {"id": "e", "type": "pumasi.case.delivered", "offset": 0}
    for _, value, _ in entries(1, GENESIS, "x", "2026-11-22T10:00:00Z", cause, [refused]):
        progress.fold(Rec(value))
    told = progress.tell(Place(2, 0))
    assert (told["state"], told["code"]) == ("rejected", code)
    assert not any(character.isdigit() for character in told["detail"])


def test_a_rejection_is_told_with_its_code_and_a_duplicate_as_applied() -> None:
    facts = {0: [{"fact": "rejected", "code": "unknown_fund", "detail": "no fund x"}], 1: [{"fact": "duplicate"}]}
    progress = Progress()
    for offset, told in facts.items():
        cause = {"id": "e", "type": "pumasi.pledge.made", "offset": offset}
        for _, value, _ in entries(offset + 1, GENESIS, "x", "2026-11-22T10:00:00Z", cause, told):
            progress.fold(Rec(value))
    assert progress.tell(Place(2, 0)) == {"state": "rejected", "code": "unknown_fund", "detail": "no fund x"}
    assert progress.tell(Place(2, 1)) == {"state": "applied", "code": "duplicate"}
    assert progress.tell(Place(2, 2)) == {"state": "accepted"}
    assert progress.tell(Place(0, 0)) == {"state": "accepted"}
    assert [progress.is_refused(Place(2, offset)) for offset in range(3)] == [True, False, False]


async def test_a_decision_is_heard_of_with_the_last_entry_of_a_command() -> None:
    progress, here = Progress(), Place(2, 7)
    cause = {"id": "e", "type": "pumasi.pledge.made", "offset": here.offset}
    waits = progress.decision(here)
    assert waits is progress.decision(here)
    timers = [{"fact": "pledge_expired", "pledge": "p" * 60} for _ in range(9000)]
    refused = {"fact": "rejected", "code": "unknown_fund", "detail": "no fund x"}
    told = [value for _, value, _ in entries(1, GENESIS, "x", "2026-11-22T10:00:00Z", cause, [*timers, refused])]
    assert len(told) > 1
    for value in told:
        assert not waits.done()
        assert progress.tell(here) == {"state": "accepted"}
        progress.fold(Rec(value))
    assert waits.done()
    assert progress.decision(here) is None
    assert progress.is_refused(here)
