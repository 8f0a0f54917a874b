"""A policy to try: what it changes in every `pumasi.fund.configured` it meets.

    urgency-waterfill/1                            the rule; all else as it was configured
    urgency-waterfill/1,weights=claim,share=5000   a rule and parameters, in the contract's names and units (share: minor units)
    weights=claim                                  parameters alone
    recorded                                       nothing is changed

Rules, fields and limits are read off the contract's model, so whatever is added to the contract can be tried at once.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from schemas.commands import FundConfigured
from schemas.values import Weights
from services.errors import PolicyInvalid
from services.policies.meaning import FIELDS, RULES, TOLD, allowed, field_line

RECORDED = "recorded"
_NUMBER = re.compile(r"-?\d{1,20}", re.ASCII)
_HINT = (
    f"Rules: {', '.join(RULES)}. Fields: {', '.join(f'{name}={allowed(name)}' for name in FIELDS if name != 'rule')}, or "
    f"rule=RULE. Say e.g. --policy {RULES[0]},weights=claim,share=5000."
)


@dataclass(frozen=True)
class Policy:
    """What is changed: field of `FundConfigured` → value. Empty: nothing."""

    changes: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """As it can be given to `--policy`."""
        parts = [str(value) if field == "rule" else f"{field}={value}" for field, value in self.changes]
        return ",".join(parts) or RECORDED

    def over(self, data: dict[str, Any]) -> dict[str, Any]:
        """The data of a `fund.configured` under this policy."""
        return {**data, **dict(self.changes)}


def parse_policy(text: str, option: str = "--policy") -> Policy:
    """A policy from its text, as given to `option`. Raises PolicyInvalid, saying what is wrong and what there is."""
    given = f"{option} {text}"
    found: dict[str, Any] = {}
    for part in (part.strip() for part in text.split(",")):
        field, equals, value = part.partition("=")
        field, value = (field.strip(), value.strip()) if equals else ("rule", field.strip())
        if field == "rule" and value == RECORDED:
            if "," in text:
                raise PolicyInvalid(f"{given}: {RECORDED} changes nothing, so nothing goes with it", hint=_HINT)
            return Policy()
        if field not in FIELDS:
            raise PolicyInvalid(f"{given}: no field is named {field!r}", hint=_HINT)
        if field in found:
            raise PolicyInvalid(f"{given}: {field} is given twice", hint=_HINT)
        found[field] = int(value) if _NUMBER.fullmatch(value) else value
    _check(given, found)
    return Policy(tuple((field, found[field]) for field in FIELDS if field in found))


def _check(given: str, found: dict[str, Any]) -> None:
    if "rule" in found and found["rule"] not in RULES:
        raise PolicyInvalid(f"{given}: no rule is named {found['rule']!r}", hint=_HINT)
    try:
        FundConfigured.model_validate_json(json.dumps({"fund": "f", "currency": "CNY", **found}))
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise PolicyInvalid(f"{given}: {field} can't be {found[field]!r}", hint=f"{field_line(field)}.") from None
    if idle := sorted(TOLD[found["rule"]].idle & found.keys()) if "rule" in found else []:
        verb = "have" if len(idle) > 1 else "has"
        raise PolicyInvalid(f"{given}: {' and '.join(idle)} {verb} no effect under {found['rule']}", hint=_HINT)


def usual(recorded: bool) -> list[Policy]:
    """The policies compared by default: each rule, and the first also by parts of claims; for a log, first as it was."""
    rules = [Policy((("rule", rule),)) for rule in RULES]
    by_claim = Policy((("rule", RULES[0]), ("weights", get_args(Weights)[1])))
    return [*([Policy()] if recorded else []), rules[0], by_claim, *rules[1:]]
