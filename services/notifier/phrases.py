"""What is said, in English, Korean and Chinese: tables of phrases, one language a table, and nothing out of the ledger but figures.

`sentence` is the only way from tidings to words. The tables must hold the same keys in each language; a test sees to it. In Korean no
particle follows an amount, since its form would depend on how the amount is read aloud.
"""

from __future__ import annotations

from typing import Final

from schemas.currencies import DIGITS
from schemas.notices import Match, Tidings
from schemas.submissions import Language

EN: Final[dict[str, str]] = {
    "donor/matched": "Your pledge has found where it is needed: {places}.",
    "donor/matched-again": "Part of your pledge is no longer needed where it was, and goes on: {places}.",
    "donor/still-due": " {due} is matched and still to be paid.",
    "donor/payment-due": "Of your pledge of {pledge}, {due} is needed now. Please pay it when you can.",
    "donor/payment-due-whole": "Your pledge of {pledge} is needed now. Please pay {due} when you can.",
    "donor/settled": "Your payment has arrived: {settled} now stands behind what you promised. Thank you.",
    "donor/delivered": "Your help has arrived: {delivered} was handed over for care{for_need}.",
    "donor/thanks": "{thanks}",
    "donor/released": "{released} of your pledge is released. You need not pay it. Thank you for having offered it.",
    "donor/refunded": "{refunded} that you had paid was given back to you.",
    "case/opened": "The case {case} is open: {claim} is asked for {need}, {class_}. We will tell you as help comes.",
    "case/opened-nothing": "The case {case} is open: {need}, {class_}. It asks for no money.",
    "case/progress": "{percent} % reached: {promised} of the {claim} for case {case} is promised ({need}). Paid so far: {settled}.",
    "case/progress-100": "All of the {claim} for case {case} is promised ({need}). Paid so far: {settled}.",
    "case/delivered": "{delivered} was handed over for case {case} ({need}).",
    "place/least-served": "{amount} for {need} ({class_}): of all needs that urgent, the one helped least so far",
    "place/least-served-of-need": "{amount} for {need}, as you wished ({class_}): of all that urgent, the one helped least so far",
    "place/oldest": "{amount} for {need} ({class_}): of all that lacked money, the one that opened first",
    "place/oldest-of-need": "{amount} for {need}, as you wished ({class_}): of all that lacked money, the one that opened first",
    "place/floor": "{amount} for {need} ({class_}), beginning with the floor that every need is given first",
    "place/floor-of-need": "{amount} for {need}, as you wished ({class_}), beginning with the floor that every need is given first",
    "place/chosen": "{amount} for {need} ({class_}): the very need you chose",
    "place/many": "{place}, {cases} needs",
    "place/between": "; ",
    "for-need": " ({need})",
    "money/both": "{face} ({home})",
    "need/treatment": "treatment", "need/admission": "a hospital stay", "need/medication": "medicine",
    "need/surgery": "surgery", "need/test": "a test", "need/vaccine": "a vaccination",
    "need/consultation": "seeing a doctor", "need/psychosocial": "care for the mind", "need/other": "care",
    "class/routine": "can be planned", "class/urgent": "urgent", "class/asap": "as soon as possible", "class/stat": "at once",
    "thanks/": "Somebody you helped sends you thanks.",
    "thanks/text": "Somebody you helped says: {text}",
    "thanks/thank-you": "Somebody you helped says: thank you.",
    "thanks/recovering": "Somebody you helped is getting better, and thanks you.",
    "thanks/not-alone": "Somebody you helped says: because of you I was not alone. Thank you.",
    "thanks/blessing": "Somebody you helped wishes you and yours good health.",
}  # fmt: skip

KO: Final[dict[str, str]] = {
    "donor/matched": "약정하신 마음이 필요한 곳을 찾았습니다: {places}.",
    "donor/matched-again": "약정하신 금액 일부가 원래 자리에서 더는 필요하지 않아 다른 곳으로 이어집니다: {places}.",
    "donor/still-due": " 이어졌으나 아직 내지 않으신 금액: {due}.",
    "donor/payment-due": "약정하신 {pledge} 중 지금 필요한 금액: {due}. 가능하실 때 보내 주세요.",
    "donor/payment-due-whole": "약정하신 금액이 지금 필요합니다: {pledge}. 가능하실 때 보내 주세요: {due}.",
    "donor/settled": "보내 주신 돈이 잘 도착해 약속이 지켜졌습니다: {settled}. 고맙습니다.",
    "donor/delivered": "보내 주신 도움이 전해졌습니다: {delivered}{for_need}.",
    "donor/thanks": "{thanks}",
    "donor/released": "약정에서 풀린 금액: {released}. 내지 않으셔도 됩니다. 마음을 내 주셔서 고맙습니다.",
    "donor/refunded": "내셨던 돈을 돌려드렸습니다: {refunded}.",
    "case/opened": "사례 {case} 모금이 시작되었습니다. {need}({class_}), 필요한 금액 {claim}. 도움이 모이는 대로 알려 드리겠습니다.",
    "case/opened-nothing": "사례 {case} 접수가 끝나 열렸습니다. {need}({class_}), 요청하는 금액은 없습니다.",
    "case/progress": "사례 {case}({need}): {percent} % 도달. 필요한 {claim} 중 {promised} 약정됨. 들어온 돈: {settled}.",
    "case/progress-100": "사례 {case}({need}): 필요한 {claim} 모두 약정되었습니다. 지금까지 들어온 돈: {settled}.",
    "case/delivered": "사례 {case}({need}): {delivered} 전해졌습니다.",
    "place/least-served": "{need}({class_}) {amount}, 같은 긴급도에서 가장 도움이 모자라던 곳",
    "place/least-served-of-need": "바라신 대로 {need}({class_}) {amount}, 같은 긴급도에서 가장 도움이 모자라던 곳",
    "place/oldest": "{need}({class_}) {amount}, 도움이 모자란 곳 가운데 가장 먼저 열린 곳",
    "place/oldest-of-need": "바라신 대로 {need}({class_}) {amount}, 도움이 모자란 곳 가운데 가장 먼저 열린 곳",
    "place/floor": "{need}({class_}) {amount}, 모든 곳이 먼저 받는 기본 몫부터",
    "place/floor-of-need": "바라신 대로 {need}({class_}) {amount}, 모든 곳이 먼저 받는 기본 몫부터",
    "place/chosen": "{need}({class_}) {amount}, 직접 고르신 바로 그 사례",
    "place/many": "{place} {cases}곳",
    "place/between": "; ",
    "for-need": " ({need})",
    "money/both": "{face} ({home})",
    "need/treatment": "치료", "need/admission": "입원", "need/medication": "약", "need/surgery": "수술",
    "need/test": "검사", "need/vaccine": "예방접종", "need/consultation": "진료", "need/psychosocial": "마음 돌봄",
    "need/other": "돌봄",
    "class/routine": "계획 가능", "class/urgent": "급함", "class/asap": "되도록 빨리", "class/stat": "당장",
    "thanks/": "도움을 받은 분이 고마움을 전합니다.",
    "thanks/text": "도움을 받은 분의 말입니다: {text}",
    "thanks/thank-you": "도움을 받은 분의 말입니다: 고맙습니다.",
    "thanks/recovering": "도움을 받은 분이 나아지고 있으며, 고마움을 전합니다.",
    "thanks/not-alone": "도움을 받은 분의 말입니다: 덕분에 혼자가 아니었습니다. 고맙습니다.",
    "thanks/blessing": "도움을 받은 분이 댁내 건강을 빕니다.",
}  # fmt: skip

ZH: Final[dict[str, str]] = {
    "donor/matched": "您的认捐已找到需要之处：{places}。",
    "donor/matched-again": "您的认捐有一部分在原处已不再需要，现转往：{places}。",
    "donor/still-due": "已匹配而尚未付款：{due}。",
    "donor/payment-due": "您认捐的 {pledge} 中，现在有人需要 {due}。请在方便时支付。",
    "donor/payment-due-whole": "您认捐的 {pledge} 现在有人需要。请在方便时支付 {due}。",
    "donor/settled": "您的款项已收到，{settled} 已兑现您的承诺。谢谢您。",
    "donor/delivered": "您的帮助已送达：{delivered} 已用于照护{for_need}。",
    "donor/thanks": "{thanks}",
    "donor/released": "您的认捐中有 {released} 已解除，无需支付。感谢您的心意。",
    "donor/refunded": "您已支付的 {refunded} 已退还给您。",
    "case/opened": "个案 {case} 已开始募集：{need}（{class_}），需要 {claim}。有进展时我们会告诉您。",
    "case/opened-nothing": "个案 {case} 已开放：{need}（{class_}），不需要款项。",
    "case/progress": "个案 {case}（{need}）：已达 {percent} %，所需 {claim} 中已认捐 {promised}。目前已收到：{settled}。",
    "case/progress-100": "个案 {case}（{need}）：所需 {claim} 已全部认捐。目前已收到：{settled}。",
    "case/delivered": "个案 {case}（{need}）：已送达 {delivered}。",
    "place/least-served": "{amount} 用于{need}（{class_}），同等紧急程度中至今得到帮助最少的一处",
    "place/least-served-of-need": "{amount} 按您的意愿用于{need}（{class_}），同等紧急程度中至今得到帮助最少的一处",
    "place/oldest": "{amount} 用于{need}（{class_}），尚缺款项者中最先开放的一处",
    "place/oldest-of-need": "{amount} 按您的意愿用于{need}（{class_}），尚缺款项者中最先开放的一处",
    "place/floor": "{amount} 用于{need}（{class_}），从每一处都先得的保底额开始",
    "place/floor-of-need": "{amount} 按您的意愿用于{need}（{class_}），从每一处都先得的保底额开始",
    "place/chosen": "{amount} 用于{need}（{class_}），正是您选定的个案",
    "place/many": "{place}，共 {cases} 处",
    "place/between": "；",
    "for-need": "（{need}）",
    "money/both": "{face}（{home}）",
    "need/treatment": "治疗", "need/admission": "住院", "need/medication": "药品", "need/surgery": "手术",
    "need/test": "检测", "need/vaccine": "疫苗接种", "need/consultation": "看诊", "need/psychosocial": "心理关怀",
    "need/other": "照护",
    "class/routine": "可从容安排", "class/urgent": "较急", "class/asap": "尽快", "class/stat": "立即",
    "thanks/": "您帮助过的人向您致谢。",
    "thanks/text": "您帮助过的人说：{text}",
    "thanks/thank-you": "您帮助过的人说：谢谢您。",
    "thanks/recovering": "您帮助过的人正在好转，并向您致谢。",
    "thanks/not-alone": "您帮助过的人说：因为有您，我不孤单。谢谢您。",
    "thanks/blessing": "您帮助过的人祝您和家人健康。",
}  # fmt: skip

PHRASES: Final[dict[Language, dict[str, str]]] = {"en": EN, "ko": KO, "zh": ZH}
"""The index of languages. Thanks in somebody's own words are told by `thanks/text`; by `thanks/` where these can't be had."""


def money(amount: int, currency: str) -> str:
    """An amount in minor units as people read it, by the currency's ISO 4217 digits.

    >>> money(1_000_000, "CNY"), money(1_500_000, "KRW"), money(1_005, "KWD")
    ('CNY 10,000.00', 'KRW 1,500,000', 'KWD 1.005')
    """
    digits = DIGITS[currency]
    whole, part = divmod(amount, 10**digits)
    return f"{currency} {whole:,}" + (f".{part:0{digits}d}" if digits else "")


def sentence(tidings: Tidings, language: Language, thanks: str | None = None) -> str:
    """Tidings in words, in one line; `thanks` are the words of somebody's own that are relayed as they are, if there are such."""
    words = PHRASES[language]
    text = words[_key(tidings)].format(**_figures(tidings, words, thanks))
    if tidings.kind == "matched" and tidings.due:
        text += words["donor/still-due"].format(due=_due(tidings))
    return text


def _key(tidings: Tidings) -> str:
    match tidings.role, tidings.kind:
        case "donor", "matched" if tidings.again:
            return "donor/matched-again"
        case "donor", "payment-due" if _is_whole(tidings):
            return "donor/payment-due-whole"
        case "donor", kind:
            return f"donor/{kind}"
        case _, "progress" if tidings.percent == 100:
            return "case/progress-100"
        case _, "opened" if not tidings.claim:
            return "case/opened-nothing"
        case _, kind:
            return f"case/{kind}"


def _figures(tidings: Tidings, words: dict[str, str], thanks: str | None) -> dict[str, str | int]:
    figures: dict[str, str | int] = {
        name: money(amount, tidings.currency)
        for name in ("claim", "promised", "settled", "delivered", "released", "refunded")
        if (amount := getattr(tidings, name)) is not None
    }
    need = words[f"need/{tidings.need}"] if tidings.need else ""
    return figures | {
        "need": need,
        "for_need": words["for-need"].format(need=need) if need else "",
        "case": tidings.case or "",
        "percent": tidings.percent or 0,
        "class_": words[f"class/{tidings.class_}"] if tidings.class_ else "",
        "due": _due(tidings),
        "pledge": _pledge(tidings, words),
        "thanks": words["thanks/text"].format(text=thanks)
        if thanks
        else words.get(f"thanks/{tidings.thanks}", words["thanks/"]),
        "places": words["place/between"].join(_place(match, tidings.currency, words) for match in tidings.matches),
    }


def _is_whole(tidings: Tidings) -> bool:
    """Whether all of the pledge is due."""
    if tidings.face_promised is not None:
        return tidings.face_due == tidings.face_promised
    return tidings.due == tidings.promised


def _pledge(tidings: Tidings, words: dict[str, str]) -> str:
    """The whole pledge: in the donor's own currency, and what the fund counts it as."""
    if tidings.promised is None:
        return ""
    home = money(tidings.promised, tidings.currency)
    if tidings.face_promised is None or tidings.face_currency is None:
        return home
    return words["money/both"].format(face=money(tidings.face_promised, tidings.face_currency), home=home)


def _due(tidings: Tidings) -> str:
    if tidings.face_due and tidings.face_currency:
        return money(tidings.face_due, tidings.face_currency)
    return money(tidings.due, tidings.currency) if tidings.due else ""


def _place(match: Match, currency: str, words: dict[str, str]) -> str:
    place = words[f"place/{match.why}"].format(
        amount=money(match.amount, currency),
        need=words[f"need/{match.need}"],
        class_=words[f"class/{match.class_}"],
    )
    return place if match.cases == 1 else words["place/many"].format(place=place, cases=match.cases)
