"""What a policy means, in a sentence a rule and a line a field: for `--help`, the terminal, the page and errors.

The sentences retell the table in `matcher.rules.index`, where each promise a rule keeps or breaks stands with its example. Fields,
limits and defaults are read off the contract's model, so they can't go out of date.
"""

from typing import Any, NamedTuple, get_args

from schemas.commands import FundConfigured
from schemas.values import Rule

RULES: tuple[str, ...] = get_args(Rule)
FIELDS = tuple(name for name in FundConfigured.model_fields if name not in ("fund", "currency"))


class RuleTold(NamedTuple):
    """A rule in words; `idle`: the fields that have no effect under it."""

    does: str
    keeps: str
    breaks: str
    idle: frozenset[str] = frozenset()

    @property
    def sentence(self) -> str:
        """All of it."""
        return f"{self.does}. Keeps: {self.keeps}. Breaks: {self.breaks}."


TOLD: dict[str, RuleTold] = {
    "urgency-waterfill/1": RuleTold(
        "The most urgent class first; within it, whoever has least gets the next `share`, by amount or (weights=claim) part of claim",
        "no class waits behind a lower one, no claim starves while its class is served, splitting a need gains nothing",
        "none of these; a lower class may wait as long as a higher one lacks money",
    ),
    "first-come/1": RuleTold(
        "The case that opened first gets its whole claim, then the next, whatever their class",
        "splitting a need gains nothing",
        "somebody in mortal danger waits behind an older routine need, and a small claim may starve behind large ones",
        frozenset({"share", "weights"}),
    ),
    "guaranteed-floor/1": RuleTold(
        "First up to one `share` for every open case, oldest first, whatever its class; what is left by urgency-waterfill/1",
        "no claim starves",
        "while floors are filled somebody in mortal danger waits behind routine needs, and a need split in several cases gets several "
        "floors",
    ),
}
"""Each rule of the contract. All three keep: how pledges are cut changes nothing, more money takes from nobody, what is promised is
never taken away for another."""


def allowed(field: str) -> str:
    """What a field may be: `equal or claim`, `a whole number from 0 to 1000`."""
    schema: dict[str, Any] = FundConfigured.model_json_schema()["properties"][field]
    if "enum" in schema:
        return " or ".join(schema["enum"])
    return f"a whole number from {schema['minimum']} to {schema['maximum']}"


def field_line(field: str) -> str:
    """A field with what it means, what it may be, and its default in the contract."""
    schema: dict[str, Any] = FundConfigured.model_json_schema()["properties"][field]
    return f"{field}: {allowed(field)} ({schema['description']}; by default {schema['default']})"
