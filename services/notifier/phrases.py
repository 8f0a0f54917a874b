"""What is said to people: sentences by the kind of tidings, and nothing out of the ledger but figures.

`sentence` is the only way from tidings to words, and `in_words` to a notice. In Korean no particle follows an amount, since its form
would depend on how the amount is read aloud.
"""

from __future__ import annotations

from typing import Final

from schemas.currencies import format_money
from schemas.notices import Match, Notice, Tidings
from schemas.submissions import Language
from schemas.values import PHRASES
from services.words import Words, message

NOTICES: Final = {
    "donor/matched": message("Your pledge has found where it is needed: {places}."),
    "donor/matched-again": message("Part of your pledge is no longer needed where it was, and goes on: {places}."),
    "donor/payment-due": message("Of your pledge of {pledge}, {due} is needed now. Please pay it when you can."),
    "donor/payment-due-whole": message("Your pledge of {pledge} is needed now. Please pay {due} when you can."),
    "donor/settled": message("Your payment has arrived: {settled} now stands behind what you promised. Thank you."),
    "donor/delivered": message("Your help has arrived: {delivered} was handed over for care{for_need}."),
    "donor/released": message(
        "{released} of your pledge is released. You need not pay it. Thank you for having offered it."
    ),
    "donor/refunded": message("{refunded} that you had paid was given back to you."),
    "case/opened": message(
        "The case {case} is open: {claim} is asked for {need}, {class_}. We will tell you as help comes."
    ),
    "case/opened-nothing": message("The case {case} is open: {need}, {class_}. It asks for no money."),
    "case/progress": message("{percent} % of the {claim} for case {case} is promised ({need})."),
    "case/progress-100": message("All of the {claim} for case {case} is promised ({need})."),
    "forgetting": message(
        "Nothing of yours is open here any more. On {day} we will forget how to reach you. Until then nothing needs to be done."
    ),
    "forgotten": message("As we said, we now forget how to reach you. This is our last message. We wish you well."),
    "case/delivered": message("{delivered} was handed over for case {case} ({need})."),
    "go-between/delivered": message(
        "Money was handed over for case {case} ({need}): {percent} % of the {claim} by now."
    ),
    "go-between/delivered-little": message(
        "Money was handed over for case {case} ({need}): less than a quarter of the {claim} so far."
    ),
}

PLACES: Final = {
    "least-served": message("{amount} for {need} ({class_}): of all needs that urgent, the one helped least so far"),
    "least-served-of-need": message(
        "{amount} for {need}, as you wished ({class_}): of all that urgent, the one helped least so far"
    ),
    "oldest": message("{amount} for {need} ({class_}): of all that lacked money, the one that opened first"),
    "oldest-of-need": message(
        "{amount} for {need}, as you wished ({class_}): of all that lacked money, the one that opened first"
    ),
    "floor": message("{amount} for {need} ({class_}), beginning with the floor that every need is given first"),
    "floor-of-need": message(
        "{amount} for {need}, as you wished ({class_}), beginning with the floor that every need is given first"
    ),
    "chosen": message("{amount} for {need} ({class_}): the very need you chose"),
}

NEEDS: Final = {
    "treatment": message("treatment"),
    "admission": message("a hospital stay"),
    "medication": message("medicine"),
    "surgery": message("surgery"),
    "test": message("a test"),
    "vaccine": message("a vaccination"),
    "consultation": message("seeing a doctor"),
    "psychosocial": message("care for the mind"),
    "other": message("care"),
}

CLASSES: Final = {
    "routine": message("can be planned", "in a notice"),
    "urgent": message("urgent", "in a notice"),
    "asap": message("as soon as possible", "in a notice"),
    "stat": message("at once", "in a notice"),
}

THANKS: Final = {
    "thank-you": message("Somebody you helped says: thank you."),
    "recovering": message("Somebody you helped is getting better, and thanks you."),
    "not-alone": message("Somebody you helped says: because of you I was not alone. Thank you."),
    "blessing": message("Somebody you helped wishes you and yours good health."),
}


def sentence(tidings: Tidings, language: Language, thanks: str | None = None) -> str:
    """Tidings in words, in one line; `thanks` are the words of somebody's own that are relayed as they are, if there are such."""
    words = Words(language)
    if tidings.kind == "thanks":
        return _thanks(tidings, words, thanks)
    text = words.say(NOTICES[_key(tidings)], **_figures(tidings, words))
    if tidings.kind == "matched" and tidings.due:
        text = words.text_of([text, words.say("{due} is matched and still to be paid.", due=_due(tidings))])
    return text


def in_words(tidings: Tidings, language: Language) -> Notice:
    """The notice of tidings, in words that may stand on the bus."""
    told = {name: getattr(tidings, name) for name in Tidings.model_fields}
    return Notice(**told, language=language, text=sentence(tidings, language))


def _thanks(tidings: Tidings, words: Words, own: str | None) -> str:
    if own:
        return words.say("Somebody you helped says: {text}", text=own)
    if tidings.thanks in PHRASES:
        return words.say(THANKS[tidings.thanks])
    return words.say("Somebody you helped sends you thanks.")  # words of somebody's own, which can't be had


def _key(tidings: Tidings) -> str:
    match tidings.role, tidings.kind:
        case _, ("forgetting" | "forgotten") as kind:
            return kind
        case "donor", "matched" if tidings.again:
            return "donor/matched-again"
        case "donor", "payment-due" if _is_whole(tidings):
            return "donor/payment-due-whole"
        case "donor", kind:
            return f"donor/{kind}"
        case _, "progress" if tidings.percent == 100:
            return "case/progress-100"
        case "go-between", "delivered":
            return "go-between/delivered" if tidings.percent else "go-between/delivered-little"
        case _, "opened" if not tidings.claim:
            return "case/opened-nothing"
        case _, kind:
            return f"case/{kind}"


def _figures(tidings: Tidings, words: Words) -> dict[str, str | int]:
    figures: dict[str, str | int] = {
        name: format_money(amount, tidings.currency)
        for name in ("claim", "promised", "settled", "delivered", "released", "refunded")
        if (amount := getattr(tidings, name)) is not None
    }
    need = words.say(NEEDS[tidings.need]) if tidings.need else ""
    # Translators: between the places that a pledge went to
    between = words.say("; ")
    return figures | {
        "need": need,
        "for_need": words.say(" ({need})", need=need) if need else "",
        "case": tidings.case or "",
        "percent": tidings.percent or 0,
        "day": tidings.forgotten_on.date().isoformat() if tidings.forgotten_on else "",
        "class_": words.say(CLASSES[tidings.class_]) if tidings.class_ else "",
        "due": _due(tidings),
        "pledge": _pledge(tidings, words),
        "places": between.join(_place(match, tidings.currency, words) for match in tidings.matches),
    }


def _is_whole(tidings: Tidings) -> bool:
    """Whether all of the pledge is due."""
    if tidings.face_promised is not None:
        return tidings.face_due == tidings.face_promised
    return tidings.due == tidings.promised


def _pledge(tidings: Tidings, words: Words) -> str:
    """The whole pledge: in the donor's own currency, and what the fund counts it as."""
    if tidings.promised is None:
        return ""
    home = format_money(tidings.promised, tidings.currency)
    if tidings.face_promised is None or tidings.face_currency is None:
        return home
    return words.say("{face} ({home})", face=format_money(tidings.face_promised, tidings.face_currency), home=home)


def _due(tidings: Tidings) -> str:
    if tidings.face_due and tidings.face_currency:
        return format_money(tidings.face_due, tidings.face_currency)
    return format_money(tidings.due, tidings.currency) if tidings.due else ""


def _place(match: Match, currency: str, words: Words) -> str:
    place = words.say(
        PLACES[match.why],
        amount=format_money(match.amount, currency),
        need=words.say(NEEDS[match.need]),
        class_=words.say(CLASSES[match.class_]),
    )
    if match.cases == 1:
        return place
    return words.say_many("{place}, {count} need", "{place}, {count} needs", match.cases, place=place)
