"""Words: every notice becomes a whole sentence in every language."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from schemas.notices import CaseKind, DonorKind, Match, Reason, Tidings
from schemas.submissions import Language
from schemas.values import PHRASES, Class, Need
from services.notifier import phrases
from services.notifier.phrases import sentence
from services.words import LANGUAGES
from services.words.classes import CLASSES

MATCH = Match(need="medication", class_="asap", why="least-served", cases=1, amount=5000)
FIELDS: dict[str, dict[str, Any]] = {
    "donor/matched": {"promised": 5000, "matches": (MATCH,)},
    "donor/payment-due": {"promised": 10_000, "due": 5000},
    "donor/settled": {"settled": 5000},
    "donor/delivered": {"delivered": 5000, "need": "surgery"},
    "donor/thanks": {"thanks": "thank-you"},
    "donor/released": {"released": 5000},
    "donor/refunded": {"refunded": 5000},
    "case/opened": {"claim": 1_000_000, "need": "admission", "class_": "stat"},
    "case/progress": {
        "claim": 1_000_000,
        "need": "admission",
        "percent": 25,
    },
    "case/delivered": {"claim": 1_000_000, "need": "admission", "delivered": 5000},
    "go-between/delivered": {"claim": 1_000_000, "need": "admission", "percent": 25},
    "donor/forgetting": {"forgotten_on": "2026-05-11T00:00:00Z"},
    "case/forgetting": {"forgotten_on": "2026-05-11T00:00:00Z"},
    "donor/forgotten": {},
    "case/forgotten": {},
}


def tidings(key: str, **more: Any) -> Tidings:
    who, _, kind = key.partition("/")
    about = (
        {"role": "donor", "pledge": "p-7"}
        if who == "donor"
        else {"role": "beneficiary" if who == "case" else who, "case": "c-1"}
    )
    fields = {
        "id": "0" * 32, "kind": kind, "to": "d-3", "fund": "jilin", "currency": "CNY", "entry": "0-42",
        "at": datetime(2026, 11, 22, 10, tzinfo=UTC), **about, **FIELDS[key], **more,
    }  # fmt: skip
    return Tidings(**fields)


def test_every_kind_need_class_and_reason_has_words() -> None:
    assert {f"donor/{kind}" for kind in get_args(DonorKind)} | {f"case/{kind}" for kind in get_args(CaseKind)} | {
        "go-between/delivered"
    } == FIELDS.keys()
    assert (phrases.NEEDS.keys(), CLASSES.keys()) == (set(get_args(Need)), set(get_args(Class)))
    assert (phrases.PLACES.keys(), phrases.THANKS.keys()) == (set(get_args(Reason)), set(PHRASES))


@pytest.mark.parametrize("key", FIELDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_notice_is_one_whole_line(language: Language, key: str) -> None:
    text = sentence(tidings(key), language)
    assert text and "\n" not in text and "{" not in text and "None" not in text
    assert text[-1] in ".。"


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (
            tidings("donor/matched", due=5000),
            "Your pledge goes where it is needed: CNY 50.00 for medicine (asap, the least helped of its class). "
            "Of this CNY 50.00 is still to be paid.",
        ),
        (
            tidings("donor/payment-due"),
            "Of your pledge of CNY 100.00, CNY 50.00 is needed now. Please pay it when you can.",
        ),
        (
            tidings("donor/payment-due", due=10_000),
            "Your pledge of CNY 100.00 is needed now. Please pay CNY 100.00 when you can.",
        ),
        (
            tidings(
                "donor/payment-due",
                promised=71_000,
                face_promised=10_000,
                due=68_984,
                face_due=9716,
                face_currency="USD",
            ),
            "Of your pledge of USD 100.00 (CNY 710.00), USD 97.16 is needed now. Please pay it when you can.",
        ),
        (
            tidings(
                "donor/payment-due", promised=9999, face_promised=19_231, due=9999, face_due=19_231, face_currency="KRW"
            ),
            "Your pledge of KRW 19,231 (CNY 99.99) is needed now. Please pay KRW 19,231 when you can.",
        ),
        (
            tidings("case/opened", claim=0),
            "Case c-1 is open: a hospital stay (immediate). It asks for no money.",
        ),
        (
            tidings("case/progress", percent=100),
            "Case c-1 (a hospital stay): all of the CNY 10,000.00 is promised.",
        ),
        (tidings("donor/thanks", thanks="~abcdefghijklmnopqrstuvwxyz"), "Somebody you helped sends you thanks."),
        (tidings("donor/delivered", need=None), "Your help has arrived: CNY 50.00 was handed over for care."),
    ],
)
def test_sentences_in_english(one: Tidings, text: str) -> None:
    assert sentence(one, "en") == text


def test_several_places_and_several_needs_are_told_in_one_line() -> None:
    two = Match(need="test", class_="routine", why="chosen", cases=2, amount=250)
    text = sentence(tidings("donor/matched", matches=(MATCH, two), again=True), "en")
    assert text.startswith("Part of your pledge is no longer needed where it was")
    assert text.endswith("; CNY 2.50 for a test (routine, the very case you chose), 2 needs.")
