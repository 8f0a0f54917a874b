"""Facts as they are told, values alone: spelt out and written they are what their models say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas import forms, generate
from schemas.facts import FACTS
from schemas.ledger import GENESIS, entries
from schemas.times import parse
from services.matcher.ledger.draft import Draft

FORMS = [form for form in vars(forms).values() if isinstance(form, forms.Form)]
AT = "2026-11-22T10:00:00.5Z"
GOLDEN = [
    pytest.param(json.loads(path.read_bytes()), id=path.stem)
    for path in sorted((generate.HERE / "golden" / generate.VERSION / "facts").glob("*.json"))
]


def told(fact: dict[str, Any]) -> tuple[Any, ...] | None:
    """A fact as it is told, if there is a form for it."""
    form = next((form for form in FORMS if form.fact == fact["fact"]), None)
    if form is None or "fund" in fact:
        return None
    values = []
    for way, last in form.places:
        value: Any = fact
        for name in (*way, last):
            value = value.get(name)
        values.append(value)
    return (form, *values)


@pytest.mark.parametrize("fact", GOLDEN)
def test_a_golden_fact_is_the_same_told_and_spelt_out(fact: dict[str, Any]) -> None:
    found = told(fact)
    if found is not None:
        assert list(forms.as_dict(found).items()) == list(fact.items())
        FACTS[fact["fact"]].model_validate_json(json.dumps(forms.as_dict(found)))


def test_every_form_has_an_example_with_all_that_may_be_said() -> None:
    said: dict[str, set[tuple[str, ...]]] = {
        form.fact: {("why", "stage")} for form in FORMS
    }  # only one rule has stages
    for param in GOLDEN:
        if (found := told(param.values[0])) is not None:
            form, *values = found
            said[form.fact] |= {place for place, value in zip(form.places, values, strict=True) if value is not None}
    for form in FORMS:
        assert said[form.fact] >= {*form.places}, form.fact


def test_what_is_told_is_written_as_an_entry_is_defined() -> None:
    facts = [param.values[0] for param in GOLDEN]
    cause = {"id": "e-1", "type": "pumasi.clock.ticked", "offset": 7}
    draft = Draft(3, 0, GENESIS, -1)
    draft.add("f", parse(AT), "e-1", "pumasi.clock.ticked", 7, [told(fact) or fact for fact in facts])
    draft.add(None, parse(AT), None, None, 8, [])
    [(_, one, digest)] = entries(1, GENESIS, "f", "2026-11-22T10:00:00.500000Z", cause, facts)
    cause = {"id": None, "type": None, "offset": 8}
    [(_, other, _)] = entries(2, digest, None, "2026-11-22T10:00:00.500000Z", cause, [])
    rows = draft.taken().linked()
    assert [value in row for value, row in zip((one, other), rows, strict=True)] == [True, True]
    assert (draft.seq, draft.watermark, draft.bytes) == (2, 8, len(one) + len(other))
