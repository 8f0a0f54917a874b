"""A voice: one language and one fund's currency, in which everything of an explanation is said."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.currencies import format_money
from schemas.values import CLASSES
from services.console.explain.wording import phrase
from services.console.readmodel.model import FIRST_COME, GUARANTEED_FLOOR, WATERFILL, Policy

_RULES = {WATERFILL: "waterfill", FIRST_COME: "first_come", GUARANTEED_FLOOR: "floor"}


class Voice:
    """Says phrases, money and words.

    Args:
        language: "en", "ko" or "zh".
        currency: ISO 4217 code of the fund's.
    """

    def __init__(self, language: str, currency: str) -> None:
        self.language, self.currency = language, currency

    def say(self, name: str, **values: object) -> str:
        """A phrase, filled in."""
        return phrase(self.language, name, **values)

    def money(self, amount: int) -> str:
        """Minor units of the fund's currency, for people."""
        return format_money(amount, self.currency)

    def part(self, amount: int, whole: int) -> str:
        """What part of `whole` an amount is, in per cent with one decimal, rounded down.

        >>> Voice("en", "CNY").part(275, 1000)
        '27.5 %'
        """
        tenths = amount * 1000 // max(1, whole)
        return f"{tenths // 10}.{tenths % 10} %"

    def list_of(self, words: Iterable[str]) -> str:
        """A few words or sums, as the language lists them."""
        *most, last = words
        return self.say("list_last", most=self.say("list_comma").join(most), last=last) if most else last

    def text_of(self, sentences: Iterable[str]) -> str:
        """Sentences one after the other; Chinese sets no blank between them."""
        return self.say("sentence_gap").join(sentences)

    def first(self, policy: Policy) -> str:
        """Who goes first within a class."""
        return self.say(f"first_{policy.weights}")

    def class_(self, rank: int | str) -> str:
        """A class by name or index."""
        return self.say(f"class_{rank if isinstance(rank, str) else CLASSES[rank]}")

    def need(self, need: str) -> str:
        """A need's word."""
        return self.say(f"need_{need}")

    def rule(self, policy: Policy) -> str:
        """A sentence that says who is served first under a policy."""
        return self.say(f"rule_{_RULES[policy.rule]}", share=self.money(policy.share), first=self.first(policy))

    def rule_name(self, rule: str) -> str:
        """A rule's name, for people."""
        return self.say(f"rule_name_{_RULES[rule]}")
