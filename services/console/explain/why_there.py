"""Why there: what the rule in force compared when it made an award, in sentences, and whether the award follows from it.

Nothing is taken on trust: the key is computed again, the standing in `why` is compared with the facts before it, and nobody may have
been passed by. If one of these fails, the finding is reported instead of the reason.
"""

from __future__ import annotations

from services.console.explain.order import key_of, step_of
from services.console.explain.runs import Found
from services.console.explain.voice import Voice
from services.console.readmodel.model import FIRST_COME, GUARANTEED_FLOOR, Award, Policy

_ONE_BY_ONE = 4  # as many sums served before are told one by one; more together


def chosen(award: Award) -> str | None:
    """How the donor's choice led there: "case", "need", or None if it did not."""
    wish = award.pledge.designation or {}
    if wish.get("case") == award.case.id:
        return "case"
    return "need" if wish.get("need") == award.case.need else None


def in_short(voice: Voice, award: Award, now: Policy, found: Found) -> str:
    """A few sentences; `now` is the fund's policy of today, `found` what its run shows of it."""
    how, wrong = chosen(award), findings(voice, award, found)
    if wrong:
        return voice.text_of([voice.say("why_short_wrong", award=award.id), *wrong])
    if how == "case":
        return voice.say("why_short_chosen", award=award.id)
    words = _words(voice, award)
    sentences = [voice.say(f"why_short{_basis(award)}{'_need' if how else ''}", award=award.id, **words)]
    if award.why.get("stage") == "class":
        sentences.append(voice.say("floors_given"))
    sentences.append(_served(voice, found))
    return voice.text_of([*sentences, *_above_floor(voice, award), *_then(voice, award, now)])


def in_full(voice: Voice, award: Award, now: Policy, found: Found) -> tuple[list[str], list[str]]:
    """All that was compared, a sentence a line, and what does not follow from the rule; `now` is the fund's policy of today."""
    how, words, wrong = chosen(award), _words(voice, award), findings(voice, award, found)
    by_opening = _basis(award)  # "" where the water-fill decided
    if wrong:
        return [*_then(voice, award, now), *wrong, voice.say("brought_to", **words)], wrong
    if how == "case":
        lines = [voice.say("chosen_case"), voice.say("claimant_alone", **words)]
    elif by_opening:
        first = voice.say(f"first{by_opening}{'_need' if how else ''}", **words)
        lines = [first, voice.say("claimant_alone", **words), voice.say("key_opening", **words)]
    else:
        lines = [voice.say("floors_given")] if award.why.get("stage") == "class" else []
        lines += [voice.say("class_first_need" if how else "class_first", **words), voice.say("claimant", **words)]
        lines += [voice.say(f"step_{award.policy.weights}", **words), voice.say("least_step", **words)]
    if how != "case":
        lines.append(_served(voice, found))
    lines.append(voice.say("brought_to", **words))
    return [*_then(voice, award, now), *lines, *_ended(voice, found), *_above_floor(voice, award)], []


def exact(voice: Voice, award: Award) -> list[str]:
    """The arithmetic of the key, in minor units, as an auditor repeats it."""
    words = _words(voice, award)
    if _basis(award) == "_floor":
        return [voice.say("exact_floor", **words), voice.say("key_opening", **words)]
    if _basis(award):
        return [voice.say("key_opening", **words)]
    return [voice.say("boundary", **words), voice.say(f"key_{award.policy.weights}", **words)]


def findings(voice: Voice, award: Award, found: Found) -> list[str]:
    """What of an award does not follow from its rule: one sentence each."""
    wrong, why, staged = [], award.why, award.policy.rule == GUARANTEED_FLOOR
    if expected_key(award) != why["key"]:
        wrong.append(voice.say("key_wrong", key_n=f"{why['key']:,}", expected_n=f"{expected_key(award):,}"))
    stage = why.get("stage")
    if (stage is not None) != staged or (stage == "floor" and why["before"] >= _floor(award)):
        wrong.append(voice.say("stage_wrong", stage=stage or "–"))
    if any(why[name] != value for name, value in found.state.items()) or why["after"] != why["before"] + award.given:
        wrong.append(voice.say("standing_wrong"))
    if found.passed:
        wrong.append(voice.say("passed_by", count=found.passed, amount=voice.money(found.passed_lacks)))
    if not found.kept_choice:
        wrong.append(voice.say("choice_broken"))
    return wrong


def expected_key(award: Award) -> int:
    """The key that follows from the rule and from what `why` says of the claimant."""
    if _basis(award):
        return award.case.open_order
    return key_of(award.why["before"], award.why["claim"], award.policy)


def _then(voice: Voice, award: Award, now: Policy) -> list[str]:
    same = award.policy.rule == now.rule
    return [] if same else [voice.say("rule_then", rule=voice.rule_name(award.policy.rule))]


def _basis(award: Award) -> str:
    """What decided, as the tail of a phrase's name: the order of opening, the floor, or "" for the water-fill."""
    if award.policy.rule == FIRST_COME:
        return "_come"
    return "_floor" if award.why.get("stage") == "floor" else ""


def _served(voice: Voice, found: Found) -> str:
    """Who was served before it by the same money."""
    count, total = len(found.served), voice.money(sum(found.served))
    if not count:
        return voice.say("served_none")
    if count > _ONE_BY_ONE:
        return voice.say("served_many", count=count, amount=total)
    return voice.say("served_before", count=count, amounts=voice.list_of(map(voice.money, found.served)))


def _ended(voice: Voice, found: Found) -> list[str]:
    """Why it got no more than it did."""
    if found.filled:
        return [voice.say("ended_full")]
    return [voice.say("ended_money")] if found.exhausted else []


def _floor(award: Award) -> int:
    return min(award.why["claim"], award.policy.share)


def _above_floor(voice: Voice, award: Award) -> list[str]:
    """A sentence on what of an award lies above the floor that it began with."""
    part = _floor(award) - award.why["before"]
    if award.why.get("stage") != "floor" or award.given <= part or chosen(award) == "case":
        return []
    return [voice.say("above_floor", part=voice.money(part), rest=voice.money(award.given - part))]


def _words(voice: Voice, award: Award) -> dict[str, str]:
    why, policy = award.why, award.policy
    floor = _floor(award)
    step = step_of(why["before"], why["claim"], policy.share)
    return {
        "class_": voice.class_(why["class"]), "need": voice.need(award.case.need),
        "before": voice.money(why["before"]), "claim": voice.money(why["claim"]), "after": voice.money(why["after"]),
        "amount": voice.money(award.given), "floor": voice.money(floor), "first": voice.first(policy),
        "step": voice.money(step), "part": voice.part(step, why["claim"]),
        "before_n": f"{why['before']:,}", "claim_n": f"{why['claim']:,}", "share_n": f"{policy.share:,}",
        "boundary_n": f"{step:,}", "floor_n": f"{floor:,}", "key_n": f"{expected_key(award):,}",
    }  # fmt: skip
