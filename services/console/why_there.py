"""Why there: what the rule in force compared when it made an award, in sentences, and whether the ledger's `why` follows from it."""

from __future__ import annotations

from services.console.model import FIRST_COME, GUARANTEED_FLOOR, Award, Policy
from services.console.standing import key_of, step_of
from services.console.voice import Voice


def chosen(award: Award) -> str | None:
    """How the donor's choice led there: "case", "need", or None if it did not."""
    wish = award.pledge.designation or {}
    if wish.get("case") == award.case.id:
        return "case"
    return "need" if wish.get("need") == award.case.need else None


def in_short(voice: Voice, award: Award, now: Policy) -> str:
    """A few sentences; `now` is the fund's policy of today."""
    how = chosen(award)
    if how == "case":
        return voice.say("why_short_chosen", award=award.id)
    sentences = [voice.say(f"why_short{_basis(award)}{'_need' if how else ''}", award=award.id, **_words(voice, award))]
    if award.why.get("stage") == "class":
        sentences.append(voice.say("floors_given"))
    return " ".join([*sentences, *_above_floor(voice, award), *_then(voice, award, now)])


def in_full(voice: Voice, award: Award, now: Policy) -> tuple[list[str], list[str]]:
    """All that was compared, a sentence a line, and what does not follow from the rule; `now` is the fund's policy of today."""
    how, words = chosen(award), _words(voice, award)
    by_opening = _basis(award)  # "" where the water-fill decided
    if how == "case":
        lines = [voice.say("chosen_case"), voice.say("claimant_alone", **words)]
    elif by_opening:
        first = voice.say(f"first{by_opening}{'_need' if how else ''}", **words)
        lines = [first, voice.say("claimant_alone", **words)]
    else:
        lines = [voice.say("floors_given")] if award.why.get("stage") == "class" else []
        lines += [voice.say("class_first_need" if how else "class_first", **words), voice.say("claimant", **words)]
    lines = [*_then(voice, award, now), *lines, *_keys(voice, award, words)]
    findings = _findings(voice, award, words)
    lines += findings
    if how == "case":
        return [*lines, voice.say("brought_to", **words)], findings
    lines += [voice.say("brought_to" if by_opening else "least_key", **words), *_above_floor(voice, award)]
    return lines, findings


def _then(voice: Voice, award: Award, now: Policy) -> list[str]:
    same = award.policy.rule == now.rule
    return [] if same else [voice.say("rule_then", rule=voice.rule_name(award.policy.rule))]


def _basis(award: Award) -> str:
    """What decided, as the tail of a phrase's name: the order of opening, the floor, or "" for the water-fill."""
    if award.policy.rule == FIRST_COME:
        return "_come"
    return "_floor" if award.why.get("stage") == "floor" else ""


def _keys(voice: Voice, award: Award, words: dict[str, str]) -> list[str]:
    if _basis(award):
        return [voice.say("key_opening", **words)]
    name = "key_claim" if award.policy.weights == "claim" else "key_equal"
    return [voice.say("boundary", **words), voice.say(name, **words)]


def _findings(voice: Voice, award: Award, words: dict[str, str]) -> list[str]:
    found, why, staged = [], award.why, award.policy.rule == GUARANTEED_FLOOR
    if expected_key(award) != why["key"]:
        found.append(voice.say("key_wrong", key_n=f"{why['key']:,}", expected_n=words["key_n"]))
    stage = why.get("stage")
    if (stage is not None) != staged or (stage == "floor" and why["before"] >= _floor(award)):
        found.append(voice.say("stage_wrong", stage=stage or "–"))
    return found


def expected_key(award: Award) -> int:
    """The key that follows from the rule and from what `why` says of the claimant."""
    if _basis(award):
        return award.case.open_order
    return key_of(award.why["before"], award.why["claim"], award.policy)


def _floor(award: Award) -> int:
    return min(award.why["claim"], award.policy.share)


def _above_floor(voice: Voice, award: Award) -> list[str]:
    """A sentence on what of an award lies above the floor that it began with."""
    part = _floor(award) - award.why["before"]
    if award.why.get("stage") != "floor" or award.given <= part:
        return []
    return [voice.say("above_floor", part=voice.money(part), rest=voice.money(award.given - part))]


def _words(voice: Voice, award: Award) -> dict[str, str]:
    why, policy = award.why, award.policy
    floor = _floor(award)
    step = step_of(why["before"], why["claim"], policy.share)
    return {
        "class_": voice.class_(why["class"]), "need": voice.need(award.case.need),
        "before": voice.money(why["before"]), "claim": voice.money(why["claim"]), "after": voice.money(why["after"]),
        "amount": voice.money(award.given), "floor": voice.money(floor),
        "before_n": f"{why['before']:,}", "claim_n": f"{why['claim']:,}", "share_n": f"{policy.share:,}",
        "boundary_n": f"{step:,}", "floor_n": f"{floor:,}", "key_n": f"{expected_key(award):,}",
    }  # fmt: skip
