"""The words of notices: sentences by the kind of tidings, and nothing from the ledger but figures.

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
from services.words.classes import class_name

NOTICES: Final = {
    "donor/matched": message("Your pledge goes where it is needed: {places}."),
    "donor/matched-again": message("Part of your pledge is no longer needed where it was, and goes on: {places}."),
    "donor/payment-due": message("Of your pledge of {pledge}, {due} is needed now. Please pay it when you can."),
    "donor/payment-due-whole": message("Your pledge of {pledge} is needed now. Please pay {due} when you can."),
    "donor/settled": message("Your payment has arrived: {settled} now stands behind what you promised. Thank you."),
    "donor/delivered": message("Your help has arrived: {delivered} was handed over for care{for_need}."),
    "donor/released": message("{released} of your pledge is released: you need not pay it. Thank you for offering it."),
    "donor/refunded": message("{refunded} that you paid has been refunded to you."),
    "case/opened": message(
        "Case {case} is open: it asks for {claim} for {need} ({class_}). We will tell you as help comes in."
    ),
    "case/opened-nothing": message("Case {case} is open: {need} ({class_}). It asks for no money."),
    "case/progress": message("Case {case} ({need}): {percent} % of the {claim} is promised."),
    "case/progress-100": message("Case {case} ({need}): all of the {claim} is promised."),
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
    "least-served": message("{amount} for {need} ({class_}, the least helped of its class)"),
    "least-served-of-need": message("{amount} for {need}, as you wished ({class_}, the least helped of its class)"),
    "oldest": message("{amount} for {need} ({class_}, the first to open of all that lacked money)"),
    "oldest-of-need": message(
        "{amount} for {need}, as you wished ({class_}, the first to open of all that lacked money)"
    ),
    "floor": message("{amount} for {need} ({class_}, beginning with the floor that every need gets first)"),
    "floor-of-need": message(
        "{amount} for {need}, as you wished ({class_}, beginning with the floor that every need gets first)"
    ),
    "chosen": message("{amount} for {need} ({class_}, the very case you chose)"),
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

THANKS: Final = {
    "thank-you": message("Somebody you helped says: thank you."),
    "recovering": message("Somebody you helped is getting better, and thanks you."),
    "not-alone": message("Somebody you helped says: because of you I was not alone. Thank you."),
    "blessing": message("Somebody you helped wishes you and yours good health."),
}


def sentence(tidings: Tidings, language: Language, thanks: str | None = None) -> str:
    """Tidings in words, in one line; `thanks` are somebody's own words, relayed unchanged, if there are any."""
    words = Words(language)
    if tidings.kind == "thanks":
        return _thanks(tidings, words, thanks)
    text = words.say(NOTICES[_key(tidings)], **_figures(tidings, words))
    if tidings.kind == "matched" and tidings.due:
        text = words.text_of([text, words.say("Of this {due} is still to be paid.", due=_due(tidings))])
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
        "class_": class_name(tidings.class_, words.language) if tidings.class_ else "",
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
        class_=class_name(match.class_, words.language),
    )
    if match.cases == 1:
        return place
    return words.say_many("{place}, {count} need", "{place}, {count} needs", match.cases, place=place)
