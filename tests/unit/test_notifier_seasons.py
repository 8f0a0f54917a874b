"""The notifier's own fold beside the engine's, over seeded random logs: what it would tell is what the engine's books say.

A failure names its seed first; `Season(seed)` plays it again.
"""

import json
from collections import Counter, defaultdict

import pytest

from schemas.commands import Unreadable
from schemas.currencies import convert
from schemas.ledger import encode
from schemas.notices import Tidings
from schemas.times import text_of
from services.matcher.engine.engine import Engine
from services.notifier.audience import Audience
from services.notifier.phrases import sentence
from services.words import LANGUAGES
from tests.oracle import season

SEEDS = range(800)


class Season:
    """A random log, decided by the engine and heard by the audience."""

    def __init__(self, seed: int) -> None:
        self.engine, self.audience = Engine(), Audience(0)
        self.entries: list[dict] = []
        self.told: list[list[Tidings]] = []
        for seq, command in enumerate(season.log(seed), 1):
            kind = None if isinstance(command, Unreadable) else command.type
            fund, at, facts = self.engine.execute(command)
            entry = {"seq": seq, "fund": fund, "at": text_of(at), "cause": {"type": kind}, "facts": facts}
            self.entries.append(json.loads(encode(entry)))
            self.told.append(self.audience.hear(self.entries[-1]))

    @property
    def tidings(self) -> list[Tidings]:
        return [one for told in self.told for one in told]


@pytest.fixture(scope="module")
def seasons() -> dict[int, Season]:
    return {seed: Season(seed) for seed in SEEDS}


def test_the_seasons_are_worth_running(seasons: dict[int, Season]) -> None:
    kinds = Counter((one.role, one.kind) for played in seasons.values() for one in played.tidings)
    for kind in ("matched", "payment-due", "settled", "delivered", "thanks", "released", "refunded"):
        assert kinds["donor", kind] >= 10, kinds
    for kind in ("opened", "progress", "delivered"):
        assert kinds["go-between", kind] >= 10, kinds
        assert kinds["beneficiary", kind] >= 1, kinds


def test_both_folds_come_to_the_same_books(seasons: dict[int, Season]) -> None:
    for seed, played in seasons.items():
        for name, fund in played.engine.funds.items():
            standing = played.audience._standings.funds[name]
            assert standing.currency == fund.policy.currency, seed
            for case in fund.cases.values():
                known = standing.cases[case.id]
                mine = (
                    known.claim,
                    known.promised,
                    known.settled,
                    known.delivered,
                    known.status == "open",
                    set(known.vouchers),
                )
                theirs = (
                    case.claim,
                    case.awarded,
                    case.settled,
                    case.delivered,
                    case.status == "open",
                    set(case.vouchers),
                )
                assert mine == theirs, (seed, case.id)
                undelivered = [award for award in known.awards if award.amount != award.delivered]
                assert [(a.pledge.id, a.amount, a.settled, a.delivered) for a in undelivered] == [
                    (a.pledge.id, a.amount, a.settled, a.delivered) for a in case.awards
                ], (seed, case.id)
            for pledge in fund.pledges.values():
                known_pledge = standing.pledges[pledge.id]
                assert (known_pledge.amount, known_pledge.unpaid, known_pledge.face_paid) == (
                    pledge.amount, pledge.awarded, pledge.face_paid,
                ), (seed, pledge.id)  # fmt: skip


def test_donors_hear_of_every_unit_delivered_released_and_refunded(seasons: dict[int, Season]) -> None:
    for seed, played in seasons.items():
        sums: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for one in played.tidings:
            if one.role == "donor":
                sums[one.fund, one.pledge].update(
                    delivered=one.delivered or 0, back=(one.released or 0) + (one.refunded or 0)
                )
        for name, fund in played.engine.funds.items():
            for pledge in fund.pledges.values():
                heard = sums[name, pledge.id]
                assert (heard["delivered"], heard["back"]) == (pledge.delivered, pledge.released), (seed, pledge.id)


def test_what_is_due_in_another_currency_pays_what_is_due_and_no_unit_less_would(seasons: dict[int, Season]) -> None:
    seen = 0
    for seed, played in seasons.items():
        for name, fund in played.engine.funds.items():
            standing = played.audience._standings.funds[name]
            for pledge in standing.pledges.values():
                if not pledge.unpaid or pledge.currency == standing.currency:
                    continue
                seen += 1
                home, face = fund.policy.currency, pledge.face_due(fund.policy.currency)

                def pays(more: int, pledge=pledge, home=home) -> int:
                    before = convert(pledge.face_paid, pledge.rate, pledge.currency, home)
                    return convert(pledge.face_paid + more, pledge.rate, pledge.currency, home) - before

                assert pays(face) >= pledge.unpaid, (seed, pledge.id)
                assert pays(face - 1) < pledge.unpaid, (seed, pledge.id)
    assert seen >= 10


def test_of_what_others_give_for_a_case_quarters_are_told_and_no_sum(seasons: dict[int, Season]) -> None:
    sums = ("promised", "settled", "delivered", "released", "refunded", "due", "face_due", "face_promised")
    heard = Counter[str]()
    for seed, played in seasons.items():
        for one in played.tidings:
            if one.role != "donor":
                told = {name for name in sums if getattr(one, name) is not None}
                handed_over = one.kind == "delivered" and one.role == "beneficiary"
                assert told == ({"delivered"} if handed_over else set()), (seed, one)
                assert one.percent in (None, 25, 50, 75, 100) and not one.matches
                heard[f"{one.role}/{one.kind}"] += 1
            assert (one.at.hour, one.at.minute, one.at.second, one.at.microsecond) == (0, 0, 0, 0)
    assert len(heard) == 6


def test_one_notice_a_person_kind_and_matter_and_thresholds_never_fall_below(seasons: dict[int, Season]) -> None:
    for seed, played in seasons.items():
        for told in played.told:
            matters = Counter((one.fund, one.to, one.role, one.kind, one.pledge or one.case) for one in told)
            assert set(matters.values()) <= {1}, seed
        assert set(Counter(one.id for one in played.tidings).values()) <= {1}, seed
        once = Counter((one.fund, one.pledge) for one in played.tidings if one.kind == "payment-due")
        assert set(once.values()) <= {1}, seed
        claims = Counter(
            (one.fund, one.case, one.claim, one.percent, one.to) for one in played.tidings if one.kind == "progress"
        )
        assert set(claims.values()) <= {1}, seed


def test_nobody_learns_who_anybody_is(seasons: dict[int, Season]) -> None:
    for seed, played in seasons.items():
        for one in played.tidings:
            told = json.loads(one.model_dump_json(exclude_defaults=True))
            foreign = ("b-", "v-", "c-") if one.role == "donor" else ("d-", "p-")
            assert not [name for name in told.values() if isinstance(name, str) and name.startswith(foreign)], seed


def test_a_silent_replay_from_anywhere_goes_on_as_if_it_had_told(seasons: dict[int, Season]) -> None:
    for seed, played in list(seasons.items())[:40]:
        half = len(played.entries) // 2
        again = Audience(0)
        for entry in played.entries[:half]:
            assert again.hear(entry, silent=True) == [], seed
        assert [again.hear(entry) for entry in played.entries[half:]] == played.told[half:], seed


def test_everything_told_has_words_in_every_language(seasons: dict[int, Season]) -> None:
    for seed, played in list(seasons.items())[:40]:
        for one in played.tidings:
            for language in LANGUAGES:
                text = sentence(one, language)
                assert text and "{" not in text and "\n" not in text, (seed, text)
