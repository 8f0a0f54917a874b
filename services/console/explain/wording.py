"""Sentences and words of explanations that are chosen by a value on the ledger. All others are in the code that says them.

Amounts, times, needs and classes are filled in ready for the reader. No sentence names a person; a case or pledge is named by its
id, and only where the reader asked for it or it is theirs.
"""

from typing import Final

from services.console.readmodel.model import FIRST_COME, GUARANTEED_FLOOR, WATERFILL
from services.words import message

NEEDS: Final = {
    "treatment": message("treatment"),
    "admission": message("admission"),
    "medication": message("medication"),
    "surgery": message("surgery"),
    "test": message("test"),
    "vaccine": message("vaccine"),
    "consultation": message("consultation"),
    "psychosocial": message("psychosocial care"),
    "other": message("other care"),
}

ROUTES: Final = {
    "charity-hospital": message("at a charity hospital"),
    "general-hospital": message("at a general hospital"),
    "clinic": message("at a clinic"),
    "pharmacy": message("from a pharmacy"),
    "go-between": message("through a go-between"),
    "home": message("at home"),
}

OUTCOMES: Final = {
    "completed": message("completed"),
    "withdrawn": message("withdrawn"),
    "deceased": message("the person has died"),
    "duplicate": message("a duplicate"),
}

RULES: Final = {
    WATERFILL: message(
        "Its rule: the most urgent class first. Within a class money goes in steps of {share}, {first} first."
    ),
    FIRST_COME: message(
        "Its rule: first come, first served. The case that opened first gets all it asks for, whatever its class, "
        "then the next."
    ),
    GUARANTEED_FLOOR: message(
        "Its rule: every open case first gets a floor of {share}, or all it asks if that is less, the oldest case "
        "first. Then the most urgent class first; within a class money goes in steps of {share}, {first} first."
    ),
}
"""Who is served first."""

RULE_NAMES: Final = {
    WATERFILL: message("the most urgent first"),
    FIRST_COME: message("first come, first served"),
    GUARANTEED_FLOOR: message("a floor for every case first"),
}

GOES_FIRST: Final = {
    # Translators: fills {first}
    "equal": message("the lowest"),
    # Translators: fills {first}
    "claim": message("the least part of what is asked"),
}
"""By the weights: who goes first within a class."""

FIGURES: Final = {
    "asked": message("asked"),
    "placed": message("placed"),
    "settled": message("settled (paid)"),
    "delivered": message("delivered"),
    "lacks": message("still lacking"),
    "waiting": message("waiting"),
    "released": message("released"),
    "refunded": message("refunded"),
    "given": message("first given"),
}

STATES: Final = {
    "submitted": message("It isn't open yet: {vouchers} of {required} vouchers."),
    "open": message("It is open, in class “{class_}”."),
    "closed": message("It is closed: {outcome}."),
}

FALLBACKS: Final = {
    "pool": message("the rest goes to whoever is next"),
    "hold": message("the rest waits for it"),
    "release": message("the rest is released"),
}

NOT_OPEN: Final = {
    "unknown": message("There is no case of that id, so nothing can go there."),
    "submitted": message("That case isn't open yet, so nothing can go there."),
    "closed": message("That case is closed, so nothing more can go there."),
}
"""Of the case that a donor chose, by its state."""

EVENTS: Final = {
    "case_submitted": message("Submitted: goal {goal}, own contribution {own}, urgency “{priority}”."),
    "case_vouched": message("Vouched for: {vouchers} of {required}."),
    "case_opened": message("Opened in class “{class_}”, asking for {claim}."),
    "case_escalated": message("Class “{from_}” became “{to}”: {reason}."),
    "case_amended": message("Amended: asks for {claim}, class “{class_}”."),
    "case_renewed": message("Period {period} began: asks for {claim} in all, class “{class_}”."),
    "case_funded": message("All it asks for ({claim}) is promised."),
    "case_delivered": message("{amount} handed over for care."),
    "case_thanked": message("Thanks were given."),
    "case_closed": message("Closed: {outcome}."),
    "pledge_accepted": message("Accepted: {face}."),
    "pledge_accepted_rate": message("Accepted: {face}, worth {amount} at the rate {rate}."),
    "pledge_accepted_unrated": message("Accepted: {face}; it waits for a rate."),
    "pledge_instalment": message("Instalment of pledge {of}: {face}."),
    "pledge_raised": message("Raised by {amount}: more was paid than promised."),
    "pledge_raised_rate": message("A rate was quoted ({rate}): it is worth {amount}."),
    "pledge_withdrawn": message("Withdrawn by the donor."),
    "pledge_expired": message("Expired."),
    "pledge_settled": message("All of it is paid."),
    "payment_received": message("{face} paid."),
    "payment_failed": message("A payment failed ({reason})."),
    "awarded": message("{amount} promised (award {award})."),
    "awarded_of_pledge": message("{amount} went to case {case} ({need}), in class “{class_}” (award {award})."),
    "award_settled": message("{amount} of award {award} was paid."),
    "award_voided": message("{amount} of award {award} ended ({settled} of it paid): {reason}."),
    "award_delivered": message("{amount} of award {award} was handed over for care."),
    "rule_changed": message("The fund's rule changed from “{from_}” to “{to}”. What was promised stays."),
    "waiting": message("{amount} found no open case, so it waits."),
    "released": message("{amount} released: {reason}. The donor need not pay it."),
    "refunded": message("{amount} refunded."),
}
"""The story, event by event."""

REASONS: Final = {
    "withdrawn": message("the donor withdrew"),
    "expired": message("the pledge expired"),
    "payment_failed": message("a payment failed"),
    "case_closed": message("the case was closed; the money goes back to its pledge"),
    "goal_lowered": message("the goal was lowered; the money goes back to its pledge"),
    "no_place": message("what the donor chose had no room for it"),
}
"""Why money was set free."""

ESCALATIONS: Final = {
    "age": message("it had waited"),
    "deadline": message("its deadline came near"),
    "policy": message("the fund's policy changed"),
}

MISSED: Final = {
    "chosen": message("{amount} was promised where its donors had chosen"),
    "floor": message("{amount} was promised to cases that lacked their floor, while this one had its own"),
    "floor_earlier": message("{amount} was promised to cases that lacked their floor too, and opened earlier"),
    "older": message("{amount} was promised to cases that opened earlier: they come first, whatever their class"),
    "urgent": message("{amount} was promised to more urgent classes"),
    "lesser": message("{amount} was promised to people of the same class whose next step was lower"),
    "earlier": message(
        "{amount} was promised to people of the same class whose next step was as low, and whose case opened earlier"
    ),
    "own": message("{amount} was promised to an older need of the same person"),
    "unexplained": message("{amount} has no reason by the rule: audit the ledger"),
}
"""Where money was promised that a case did not get, by `missed.REASONS`."""

AHEAD: Final = {
    "older": message(
        "Cases that opened before it and lack money now: {count}, lacking {lacks} together. They come first, whatever their class."
    ),
    "floors": message(
        "Cases that come first now, since they lack their floor: {count}, lacking {lacks} of it together."
    ),
    "urgent": message("Claims in more urgent classes, which come before it now: {count}, lacking {lacks} together."),
    "lesser": message("Claims in its own class that come before it now: {count}, lacking {lacks} together."),
}
"""Who is served before a case now, by the fields of `order.Ahead`."""

HELD: Final = {
    "case": message(
        "The fund holds {amount} more that it can't have: the donors chose another case, and want it kept for that."
    ),
    "need": message(
        "The fund holds {amount} more that it can't have: the donors chose another need ({need}), and want it kept for that."
    ),
}
"""Waiting money that a case can't have, by what the donors chose."""

SERVED: Final = {
    ("step", "same"): message("Those of its class that were served then had a next step that ended at {least}."),
    ("step", "range"): message(
        "Those of its class that were served then had next steps that ended at {least} to {most}."
    ),
    ("opening", "same"): message("Before the one that was served then, {least_n} had opened."),
    ("opening", "range"): message("Before those that were served then, from {least_n} to {most_n} cases had opened."),
}
"""How high those stood that were served, or how early they had opened, by what decided."""

ORDER: Final = {
    "now": message(
        "It is number {place} of {of} in class “{class_}” now; its next step ends at {step}. Before it: {before}. "
        "After it: {after}."
    ),
    "then": message(
        "It was number {place} of {of} there; its next step ended at {step}. Before it: {before}. After it: {after}."
    ),
}

ORDER_BY_OPENING: Final = {
    "now": message(
        "In the order of opening it is number {place} of the {of} that may get money now. After it: {after}."
    ),
    "then": message(
        "In the order of opening it was number {place} of the {of} that might get money. After it: {after}."
    ),
}

LAST_MISSED: Final = {
    "step": message(
        "The last was at {time} UTC (entry {entry}). It then stood in class “{class_}”, with {promised} of {claim} promised."
    ),
    "opening": message(
        "The last was at {time} UTC (entry {entry}). It then stood in class “{class_}”, with {promised} of {claim} "
        "promised; cases that had opened before it: {key_n}."
    ),
}
"""By what decided: the next step, or the order of opening."""

IN_SHORT: Final = {
    ("waterfill", None): message(
        "Award {award}: when its turn came no claim more urgent than “{class_}” lacked money. Within “{class_}” money "
        "goes in steps, {first} first, and among equals to who opened first: this person had {before} of {claim} "
        "promised."
    ),
    ("waterfill", "need"): message(
        "Award {award}: the donor chose {need}. When its turn came no such need more urgent than “{class_}” lacked "
        "money; within “{class_}” money goes in steps, {first} first: this person had {before} of {claim} promised."
    ),
    ("first come", None): message(
        "Award {award}: the case that opened first goes first, whatever its class. Of all that lacked money this one "
        "had opened first: it had {before} of {claim} promised."
    ),
    ("first come", "need"): message(
        "Award {award}: the donor chose {need}. Of the cases of that need that lacked money this one had opened "
        "first, and goes first, whatever its class: it had {before} of {claim} promised."
    ),
    ("floor", None): message(
        "Award {award}: every open case first gets a floor, the oldest first, whatever its class. Of all that lacked "
        "theirs this one had opened first: it had {before} of its floor of {floor}."
    ),
    ("floor", "need"): message(
        "Award {award}: the donor chose {need}. Every such case first gets a floor, the oldest first, whatever its "
        "class; of those that lacked theirs this one had opened first: it had {before} of its floor of {floor}."
    ),
}
"""Why there, by what decided, and what the donor chose: a need, or none."""

IN_FULL: Final = {
    ("waterfill", None): message(
        "Classes are served strictly, most urgent first. It stood in class “{class_}”, and no claim of a more urgent "
        "class lacked money."
    ),
    ("waterfill", "need"): message(
        "The donor chose {need}, so only such needs were looked at. Among them classes are served strictly: it stood "
        "in class “{class_}”, and none more urgent lacked money."
    ),
    ("first come", None): message(
        "The case that opened first goes first, whatever its class, until it has all it asks for. Of all that lacked "
        "money this one had opened first."
    ),
    ("first come", "need"): message(
        "The donor chose {need}, so only such needs were looked at. Among them the case that opened first goes first, "
        "whatever its class, and of those that lacked money this one had."
    ),
    ("floor", None): message(
        "Every open case first gets a floor, the oldest first, whatever its class. Its own is {floor}. Of all that "
        "lacked theirs this one had opened first."
    ),
    ("floor", "need"): message(
        "The donor chose {need}, so only such needs were looked at. Each of them first gets a floor, the oldest "
        "first, whatever its class. Its own is {floor}, and of those that lacked theirs this one had opened first."
    ),
}
"""The same at the head of all that was compared."""

STEPS: Final = {
    "equal": message("Its next step ended at {step}."),
    "claim": message("Its next step ended at {step}, which is {part} of what it asks."),
}

KEYS: Final = {
    "equal": message("With equal weights this step is what is compared, its key: {key_n}."),
    "claim": message(
        "With weights by claim the step's part of the claim is compared, its key: {boundary_n} × 10^12 // {claim_n} = {key_n}."
    ),
}
