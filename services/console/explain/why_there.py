"""Why there: what the rule in force compared when it made an award, in sentences, and whether the award follows from it.

Nothing is taken on trust: the key is computed again, the standing in `why` is compared with the facts before it, and nobody may
have been skipped. If one of these fails, the finding is reported instead of the reason.
"""

from collections.abc import Iterator
from functools import partial

from services.console.explain.order import key_of, step_of
from services.console.explain.runs import Found
from services.console.explain.voice import Voice
from services.console.explain.wording import IN_FULL, IN_SHORT, KEYS, STEPS
from services.console.readmodel.model import FIRST_COME, GUARANTEED_FLOOR, Award, Policy

_ONE_BY_ONE = 4  # so many sums served before are shown one by one; more together


def chosen(award: Award) -> str | None:
    """How the donor's choice led there: "case", "need", or None if it did not."""
    wish = award.pledge.designation or {}
    if wish.get("case") == award.case.id:
        return "case"
    return "need" if wish.get("need") == award.case.need else None


def in_short(voice: Voice, award: Award, now: Policy, found: Found) -> str:
    """A few sentences; `now` is the fund's policy of today, `found` what its run shows about it."""
    how, wrong = chosen(award), findings(voice, award, found)
    if wrong:
        return voice.text_of([voice.say("Award {award} does not follow from the rule.", award=award.id), *wrong])
    if how == "case":
        return voice.say("Award {award}: the donor chose it.", award=award.id)
    first = voice.say(IN_SHORT[_basis(award), how], award=award.id, **_words(voice, award))
    sentences = [first, *_floors_given(voice, award), _served(voice, found)]
    return voice.text_of([*sentences, *_above_floor(voice, award), *_then(voice, award, now)])


def in_full(voice: Voice, award: Award, now: Policy, found: Found) -> tuple[list[str], list[str]]:
    """All that was compared, a sentence a line, and what does not follow from the rule; `now` is the fund's policy of today."""
    say, basis = partial(voice.say, **_words(voice, award)), _basis(award)
    how, wrong = chosen(award), findings(voice, award, found)
    brought = say("This matching gave it {amount} and brought it to {after}.")
    alone = say("It asked for {claim} and had {before} promised.")
    if wrong:
        return [*_then(voice, award, now), *wrong, brought], wrong
    if how == "case":
        lines = [say("The donor chose this very case, so no other claim was looked at."), alone]
    elif basis != "waterfill":
        lines = [say(IN_FULL[basis, how]), alone, _opened_before(voice, award)]
    else:
        lines = [
            *_floors_given(voice, award),
            say(IN_FULL[basis, how]),
            say(
                "Within a class all open needs of one person count as one: "
                "together they asked for {claim} and had {before} promised."
            ),
            say(STEPS[award.policy.weights]),
            say(
                "Within the class {first} goes first, and among equals who opened first. "
                "Nobody stood before it when its turn came."
            ),
        ]
    if how != "case":
        lines.append(_served(voice, found))
    return [*_then(voice, award, now), *lines, brought, *_ended(voice, found), *_above_floor(voice, award)], []


def exact(voice: Voice, award: Award) -> list[str]:
    """The arithmetic of the key, in minor units, as an auditor repeats it."""
    say, basis = partial(voice.say, **_words(voice, award)), _basis(award)
    if basis == "waterfill":
        boundary = say(
            "Exactly, in the smallest unit of money: its next step is min(claim, (before // share + 1) × share) = "
            "min({claim_n}, ({before_n} // {share_n} + 1) × {share_n}) = {boundary_n}."
        )
        return [boundary, say(KEYS[award.policy.weights])]
    if basis == "first come":
        return [_opened_before(voice, award)]
    floor = say(
        "Exactly, in the smallest unit of money: its floor is min(claim, share) = min({claim_n}, {share_n}) = {floor_n}."
    )
    return [floor, _opened_before(voice, award)]


def findings(voice: Voice, award: Award, found: Found) -> list[str]:
    """Everything about an award that does not follow from its rule: one sentence each."""
    return list(_wrong(voice, award, found))


def _wrong(voice: Voice, award: Award, found: Found) -> Iterator[str]:
    why, say, number, expected = award.why, voice.say, voice.number, expected_key(award)
    if expected != why["key"]:
        yield say(
            "The ledger has key {key_n}, but by the rule it is {expected_n}: audit the ledger.",
            key_n=number(why["key"]), expected_n=number(expected),
        )  # fmt: skip
    stage, staged = why.get("stage"), award.policy.rule == GUARANTEED_FLOOR
    if (stage is not None) != staged or (stage == "floor" and why["before"] >= _floor(award)):
        yield say(
            "The ledger says it came at the stage “{stage}”, and by the rule it did not: audit the ledger.",
            stage=stage or "–",
        )
    if any(why[name] != value for name, value in found.state.items()) or why["after"] != why["before"] + award.given:
        yield say(
            "What the ledger says of its class, its claim or what it had is not what the facts before say: audit the ledger."
        )
    if found.passed:
        yield say(
            "Claims that come before it by the rule, and were passed by: {count}, lacking {amount} together. Audit the ledger.",
            count=found.passed, amount=voice.money(found.passed_lacks),
        )  # fmt: skip
    if not found.kept_choice:
        yield say("The money was for what its donor chose, and went elsewhere: audit the ledger.")


def expected_key(award: Award) -> int:
    """The key that follows from the rule and from what `why` says about the claimant."""
    if _basis(award) != "waterfill":
        return award.case.open_order
    return key_of(award.why["before"], award.why["claim"], award.policy)


def _then(voice: Voice, award: Award, now: Policy) -> list[str]:
    if award.policy.rule == now.rule:
        return []
    return [voice.say("The fund's rule was another then: “{rule}”.", rule=voice.rule_name(award.policy.rule))]


def _basis(award: Award) -> str:
    """What decided: the order of opening, the floor, or the water-fill."""
    if award.policy.rule == FIRST_COME:
        return "first come"
    return "floor" if award.why.get("stage") == "floor" else "waterfill"


def _floors_given(voice: Voice, award: Award) -> list[str]:
    if award.why.get("stage") != "class":
        return []
    return [voice.say("Every open case that the money could go to had its floor.")]


def _opened_before(voice: Voice, award: Award) -> str:
    return voice.say("Cases that had opened in the fund before it: {key_n}.", key_n=voice.number(expected_key(award)))


def _served(voice: Voice, found: Found) -> str:
    """Who was served before it by the same money."""
    count, total = len(found.served), voice.money(sum(found.served))
    if not count:
        return voice.say("Nobody was served before it in this matching.")
    if count > _ONE_BY_ONE:
        return voice.say("Served before it in this matching: {count} ({amount} together).", count=count, amount=total)
    amounts = voice.list_of(map(voice.money, found.served))
    return voice.say("Served before it in this matching: {count} ({amounts}).", count=count, amounts=amounts)


def _ended(voice: Voice, found: Found) -> list[str]:
    """Why it got no more than it did."""
    if found.filled:
        return [voice.say("With that it has all it asks for.")]
    return [voice.say("It got no more, since the pledge had no more.")] if found.exhausted else []


def _floor(award: Award) -> int:
    claim: int = award.why["claim"]
    return min(claim, award.policy.share)


def _above_floor(voice: Voice, award: Award) -> list[str]:
    """A sentence on the part of an award above the floor that it began with."""
    part = _floor(award) - award.why["before"]
    if award.why.get("stage") != "floor" or award.given <= part or chosen(award) == "case":
        return []
    return [
        voice.say(
            "{part} of it filled the floor. The other {rest} came when all had theirs: "
            "by class, and within the class step by step.",
            part=voice.money(part),
            rest=voice.money(award.given - part),
        )
    ]


def _words(voice: Voice, award: Award) -> dict[str, str]:
    why, policy = award.why, award.policy
    floor = _floor(award)
    step = step_of(why["before"], why["claim"], policy.share)
    return {
        "class_": voice.class_(why["class"]), "need": voice.need(award.case.need),
        "before": voice.money(why["before"]), "claim": voice.money(why["claim"]), "after": voice.money(why["after"]),
        "amount": voice.money(award.given), "floor": voice.money(floor), "first": voice.first(policy),
        "step": voice.money(step), "part": voice.part(step, why["claim"]),
        "before_n": voice.number(why["before"]), "claim_n": voice.number(why["claim"]), "share_n": voice.number(policy.share),
        "boundary_n": voice.number(step), "floor_n": voice.number(floor), "key_n": voice.number(expected_key(award)),
    }  # fmt: skip
