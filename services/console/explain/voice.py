"""A voice: the language, and the fund's currency, of everything in an explanation."""

from collections.abc import Iterable

from schemas.currencies import format_money
from schemas.values import CLASSES
from services.console.explain.wording import GOES_FIRST, NEEDS, RULE_NAMES, RULES
from services.console.readmodel.model import Policy
from services.words import Words
from services.words.classes import class_name


class Voice(Words):
    """Says sentences, money and words."""

    def __init__(self, language: str, currency: str) -> None:
        super().__init__(language)
        self.currency = currency

    def money(self, amount: int) -> str:
        """Minor units of the fund's currency, for people."""
        return format_money(amount, self.currency)

    def number(self, number: int) -> str:
        """A number that is no sum, for people."""
        return f"{number:,}"

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
        # Translators: between all but the last two of a list
        comma = self.say(", ")
        return self.say("{most} and {last}", most=comma.join(most), last=last) if most else last

    def first(self, policy: Policy) -> str:
        """Who goes first within a class."""
        return self.say(GOES_FIRST[policy.weights])

    def class_(self, rank: int | str) -> str:
        """A class by name or index."""
        return class_name(rank if isinstance(rank, str) else CLASSES[rank], self.language)

    def need(self, need: str) -> str:
        """A need's word."""
        return self.say(NEEDS[need])

    def rule(self, policy: Policy) -> str:
        """A sentence that says who is served first under a policy."""
        return self.say(RULES[policy.rule], share=self.money(policy.share), first=self.first(policy))

    def rule_name(self, rule: str) -> str:
        """A rule's name, for people."""
        return self.say(RULE_NAMES[rule])
