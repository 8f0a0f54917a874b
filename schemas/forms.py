"""Forms: facts as they are told, values alone. What stands between the values is the same in every fact of a kind.

The commonest facts are told by the million, and as dicts they would be built to be written once. A told fact is a tuple: its form, then
the values in the order of its model's fields, those within `why` among the others. A form is made of the model, which stays the single
definition; `as_dict` gives what everybody else reads.
"""

from __future__ import annotations

import json
from typing import Any

from schemas.facts import FACTS, Why
from schemas.values import Model

Fact = dict[str, Any] | tuple[Any, ...]
"""A fact, told or spelt out."""


class Form:
    """How facts of a kind are told.

    Attributes:
        fact: the kind.
        pieces: what stands before each value, as JSON.
        end: what stands after the last.
        required: so many values are always said, also if they are None; the others only if they aren't.
    """

    __slots__ = ("end", "fact", "pieces", "places", "required")

    def __init__(self, fact: str) -> None:
        self.fact = fact
        self.places: list[tuple[tuple[str, ...], str]] = []
        self.required = 0
        pieces: list[str] = []
        text = f'{{"fact":{json.dumps(fact)}'
        self.end = b"}" + b"}" * self._add(FACTS[fact], (), text, pieces)
        self.pieces = tuple(piece.encode() for piece in pieces)

    def _add(self, model: type[Model], way: tuple[str, ...], before: str, pieces: list[str]) -> int:
        """Add a model's fields; returns how many objects are open behind the last."""
        nested = 0
        for field, info in model.model_fields.items():
            name = info.alias or field
            if name in ("fact", "fund"):
                continue
            before += f'{"" if before.endswith("{") else ","}"{name}":'
            if info.annotation is Why:
                nested = 1 + self._add(Why, (*way, name), before + "{", pieces)
                continue
            assert not nested, "nothing comes behind an object whose fields are told among the others"
            pieces.append(before)
            before = ""
            self.places.append((way, name))
            self.required += info.is_required()
            assert info.is_required() == (self.required == len(self.places)), "what may be missing comes last"
        return nested

    def as_dict(self, told: tuple[Any, ...], fund: str | None = None) -> dict[str, Any]:
        """A told fact spelt out, its fund among the rest."""
        fact: dict[str, Any] = {"fact": self.fact} if fund is None else {"fact": self.fact, "fund": fund}
        for number in range(1, len(told)):
            value = told[number]
            if value is not None or number <= self.required:
                way, name = self.places[number - 1]
                within = fact
                for outer in way:
                    within = within.setdefault(outer, {})
                within[name] = value
        return fact


def as_dict(fact: Fact) -> dict[str, Any]:
    """A fact spelt out."""
    return fact[0].as_dict(fact) if isinstance(fact, tuple) else fact


(
    AWARDED, AWARD_SETTLED, AWARD_VOIDED, CASE_DELIVERED, CASE_FUNDED, CASE_OPENED, CASE_VOUCHED, PAYMENT_RECEIVED, PLEDGE_ACCEPTED,
    PLEDGE_RAISED, PLEDGE_SETTLED, RELEASED, WAITING,
) = map(Form, (
    "awarded", "award_settled", "award_voided", "case_delivered", "case_funded", "case_opened", "case_vouched", "payment_received",
    "pledge_accepted", "pledge_raised", "pledge_settled", "released", "waiting",
))  # fmt: skip
