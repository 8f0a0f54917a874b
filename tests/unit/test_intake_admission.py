"""Checking and filling in: what becomes a command, what is refused and how that is told, and what never gets through."""

import base64
import json
from collections.abc import Iterator

import pytest
from nacl.public import PrivateKey, SealedBox

from schemas.commands import COMMANDS
from schemas.submissions import SUBMISSIONS, Contact
from services.errors import InvalidSubmission
from services.intake.admission import Admitted, admit, derived_id
from services.intake.contacts import Sealer, is_sealed, normalised
from services.intake.findings import PATTERNS
from services.intake.reading import Event, Malformed

NOTIFIER = PrivateKey.generate()
SEALER = Sealer(b"k" * 32, NOTIFIER.public_key)
ADDRESS = "mailto://Neighbour@Example.org"
CASE = {"fund": "jilin", "need": "test", "route": "home", "goal": 10000, "priority": "stat", "beneficiary": "b-1"}
PLEDGE = {"fund": "jilin", "donor": "d-1", "amount": 500, "currency": "CNY"}
SEALED = base64.b64encode(SealedBox(NOTIFIER.public_key).encrypt(b'{"address":"mailto://a@b.org"}' * 4)).decode()


def event(kind: str, told: object, /, **attributes: object) -> Event:
    given = {
        "id": "e-1",
        "source": "/forms/case",
        "type": f"pumasi.{kind}",
        "time": None,
        "data": json.dumps(told).encode(),
    }
    return Event(**{**given, **attributes})


def without(data: dict, *names: str, **more: object) -> dict:
    return {**{name: value for name, value in data.items() if name not in names}, **more}


def admitted(kind: str, told: object, /, *, clear_contact: bool = True, **attributes: object) -> Admitted:
    return admit(event(kind, told, **attributes), SEALER, clear_contact=clear_contact)


def findings(kind: str, told: object, /, *, clear_contact: bool = True, **attributes: object) -> set[tuple[str, str]]:
    with pytest.raises(InvalidSubmission) as caught:
        admitted(kind, told, clear_contact=clear_contact, **attributes)
    return {(finding["pointer"], finding["code"]) for finding in caught.value.findings}


def test_every_command_but_the_tick_may_be_submitted() -> None:
    assert set(SUBMISSIONS) == set(COMMANDS) - {"pumasi.clock.ticked"}


OWN_IDS = [
    ("case.submitted", CASE, "case", "c-"),
    ("pledge.made", PLEDGE, "pledge", "p-"),
    ("payment.received", {"fund": "jilin", "pledge": "p-1", "amount": 5}, "payment", "y-"),
    ("payment.failed", {"fund": "jilin", "pledge": "p-1", "reason": "no-funds"}, "payment", "y-"),
    ("payment.refunded", {"fund": "jilin", "pledge": "p-1", "amount": 5}, "payment", "y-"),
    ("case.delivered", {"fund": "jilin", "case": "c-1", "amount": 5}, "delivery", "d-"),
]


@pytest.mark.parametrize(("kind", "data", "field", "prefix"), OWN_IDS)
def test_an_id_left_out_is_derived_from_source_and_id(kind: str, data: dict, field: str, prefix: str) -> None:
    first, again = admitted(kind, data), admitted(kind, data)
    other_id, other_source = admitted(kind, data, id="e-2"), admitted(kind, data, source="/forms/other")
    assert first.names[field] == derived_id(prefix, "/forms/case", "e-1")
    assert (first.value, first.digest) == (again.value, again.digest)
    assert len({one.names[field] for one in (first, other_id, other_source)}) == 3
    COMMANDS[first.type].model_validate_json(first.value)  # complete: the matcher can read it


@pytest.mark.parametrize(("kind", "data", "field", "prefix"), OWN_IDS)
def test_an_id_given_is_kept(kind: str, data: dict, field: str, prefix: str) -> None:
    assert admitted(kind, {**data, field: "mine-1"}).names[field] == "mine-1"


def test_a_command_leaves_out_what_is_none_and_keeps_its_defaults() -> None:
    told = json.loads(admitted("pledge.made", {**PLEDGE, "expires_at": "2026-12-01T08:00:00+08:00"}).value)
    assert told["expires_at"] == "2026-12-01T00:00:00Z"
    assert told["fallback"] == "pool"
    assert "designation" not in told


@pytest.mark.parametrize(
    ("kind", "data", "person"),
    [
        ("case.submitted", without(CASE, "beneficiary"), "beneficiary"),
        ("pledge.made", without(PLEDGE, "donor"), "donor"),
        ("case.vouched", {"fund": "jilin", "case": "c-1"}, "voucher"),
    ],
)
def test_a_contact_becomes_a_pseudonym_and_a_sealed_box(kind: str, data: dict, person: str) -> None:
    one = admitted(kind, {**data, "contact": {"address": ADDRESS, "language": "ko"}})
    assert one.contact is not None
    assert json.loads(one.value)[person] == one.contact.subject == SEALER.pseudonym(Contact(address=ADDRESS))
    opened = json.loads(SealedBox(NOTIFIER).decrypt(base64.b64decode(one.contact.sealed_contact)))
    assert opened == {"address": ADDRESS, "language": "ko"}
    assert "neighbour" not in repr(one).lower()


def test_the_pseudonym_does_not_depend_on_how_the_address_is_written_but_on_the_key() -> None:
    ways = (ADDRESS, "  mailto://neighbour@example.org/", "MAILTO://NEIGHBOUR@EXAMPLE.ORG")
    assert len({normalised(way) for way in ways}) == 1
    assert len({SEALER.pseudonym(Contact(address=way)) for way in ways}) == 1
    other = Sealer(b"o" * 32, NOTIFIER.public_key)
    assert other.pseudonym(Contact(address=ADDRESS)) != SEALER.pseudonym(Contact(address=ADDRESS))


def test_the_length_of_a_box_does_not_tell_the_length_of_an_address() -> None:
    short, long = Contact(address="tgram://b/1"), Contact(address="mailto://somebody.with.a.long.name@example.org")
    assert len(SEALER.seal(short)) == len(SEALER.seal(long))


def test_a_sealed_contact_passes_both_doors_with_its_pseudonym() -> None:
    for clear in (True, False):
        one = admitted("pledge.made", {**PLEDGE, "sealed_contact": SEALED}, clear_contact=clear)
        assert one.contact is not None
        assert (one.contact.subject, one.contact.sealed_contact) == ("d-1", SEALED)


CLEAR = {"address": ADDRESS}
WRONG = [
    ("case.submitted", without(CASE, "beneficiary"), {("/data/beneficiary", "missing")}),
    ("pledge.made", without(PLEDGE, "donor", sealed_contact=SEALED), {("/data/donor", "missing")}),
    ("pledge.made", {**PLEDGE, "contact": CLEAR}, {("/data/contact", "both_given")}),
    ("pledge.made", {**PLEDGE, "donor": "13812345678"}, {("/data/donor", "looks_like_contact")}),
    ("pledge.made", {**PLEDGE, "sealed_contact": base64.b64encode(b"mailto://a@b " * 8).decode()},
     {("/data/sealed_contact", "not_sealed")}),
    ("pledge.made", {**PLEDGE, "amount": 1.5, "currency": "XXQ", "bogus": 1},
     {("/data/amount", "int_type"), ("/data/currency", "value_error"), ("/data/bogus", "unknown_field")}),
    ("pledge.made", {**PLEDGE, "amount": "5"}, {("/data/amount", "int_type")}),
    ("pledge.made", {**PLEDGE, "amount": True}, {("/data/amount", "int_type")}),
    ("pledge.made", {**PLEDGE, "amount": 0}, {("/data/amount", "greater_than_equal")}),
    ("pledge.made", {**PLEDGE, "expires_at": "tomorrow"}, {("/data/expires_at", "invalid_time")}),
    ("pledge.made", {**PLEDGE, "designation": {"need": "gold"}}, {("/data/designation/need", "literal_error")}),
    ("case.submitted", {**CASE, "passport": "x", "goal": -1},
     {("/data/passport", "unknown_field"), ("/data/goal", "greater_than_equal")}),
    ("case.submitted", {**CASE, "a/b~c": 1}, {("/data/a~1b~0c", "unknown_field")}),
    ("case.submitted", {**CASE, "13812345678": 1}, {("/data/[removed]", "unknown_field")}),
    ("case.amended", [], {("/data", "model_type")}),
    ("fund.configured", {"fund": "x y", "currency": "CNY"}, {("/data/fund", "string_pattern_mismatch")}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "expected"), WRONG)
def test_every_wrong_field_is_pointed_at(kind: str, data: object, expected: set[tuple[str, str]]) -> None:
    assert findings(kind, data) == expected


def test_a_clear_contact_is_refused_where_the_door_is_a_topic() -> None:
    data = without(PLEDGE, "donor", contact=CLEAR)
    assert findings("pledge.made", data, clear_contact=False) == {("/data/contact", "clear_contact")}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"id": "a b"}, ("/id", "invalid_id")),
        ({"id": "x" * 65}, ("/id", "invalid_id")),
        ({"id": "x\n"}, ("/id", "invalid_id")),
        ({"source": "mailto:a@b.org"}, ("/source", "looks_like_contact")),
        ({"source": "/phone/+86 138 1234 5678"}, ("/source", "invalid_source")),
        ({"source": "/phone/13812345678"}, ("/source", "looks_like_contact")),
        ({"source": "/" + "x" * 300}, ("/source", "invalid_source")),
        ({"type": "pumasi.clock.ticked"}, ("/type", "unknown_type")),
        ({"data": None}, ("/data", "missing")),
    ],
)
def test_attributes_are_checked_too(attributes: dict, expected: tuple[str, str]) -> None:
    assert expected in findings("pledge.made", PLEDGE, **attributes)


def test_a_uuid_and_a_url_are_good_sources() -> None:
    for source in ("urn:uuid:550e8400-e29b-41d4-a716-446655440000", "https://partner.example.org/forms?v=2"):
        assert admitted("pledge.made", PLEDGE, source=source).source == source


def test_no_finding_repeats_what_was_sent() -> None:
    secret = "Kim-Cholsu-010-1234-5678"
    data = {"fund": secret + "/", "need": secret, "route": secret, "goal": secret, "priority": secret, "needed_by": secret,
            "recurrence": {"every": secret}, "access": {"province": secret, "status": secret},
            "contact": {"address": secret, "language": secret}}  # fmt: skip
    with pytest.raises(InvalidSubmission) as caught:
        admitted("case.submitted", data)
    assert len(caught.value.findings) >= 10
    assert "Cholsu" not in json.dumps(caught.value.to_dict())


def test_data_that_are_not_json_are_malformed() -> None:
    with pytest.raises(Malformed):
        admit(event("pledge.made", None, data=b"{nonsense"), SEALER, clear_contact=True)


def test_what_is_sealed_is_told_from_what_is_only_encoded() -> None:
    assert is_sealed(SEALED)
    assert not is_sealed(base64.b64encode("전화번호를 여기에 적어 두었습니다. 도와주세요.".encode()).decode())
    assert not is_sealed(base64.b64encode(b"\xff\xfe").decode())
    assert not is_sealed("no base64!")


def messages(kind: str, told: object, **attributes: object) -> dict[str, str]:
    with pytest.raises(InvalidSubmission) as caught:
        admitted(kind, told, **attributes)
    return {found["pointer"]: found["message"] for found in caught.value.findings}


def test_a_message_tells_the_words_the_form_and_the_bound() -> None:
    told = messages("case.submitted", {**CASE, "fund": "x y", "need": "gold", "goal": 0, "own_contribution": 2**60,
                    "needed_by": "noon", "recurrence": {"every": "monthly", "times": "3"},
                    "access": {"province": "Jilin", "status": "unknown"}})  # fmt: skip
    assert told["/data/fund"] == "must be 1–64 characters of [A-Za-z0-9._~-]"
    assert told["/data/need"] == (
        "must be one of: treatment, admission, medication, surgery, test, vaccine, consultation, psychosocial, other"
    )
    assert told["/data/goal"] == "must be at least 1"
    assert told["/data/own_contribution"] == "must be at most 9007199254740991"
    assert "RFC 3339" in told["/data/needed_by"]
    assert "P1M" in told["/data/recurrence/every"]
    assert told["/data/recurrence/times"] == "must be an integer, without quotes or fraction"
    assert "CN-22" in told["/data/access/province"]
    assert messages("case.submitted", {**CASE, "recurrence": 5})["/data/recurrence"] == "must be a JSON object"
    assert "pumasi.case.submitted" in messages("case.submittd", CASE)["/type"]


def test_every_form_of_the_contract_is_told_in_words() -> None:
    def patterns(schema: object) -> Iterator[str]:
        if isinstance(schema, dict):
            for name, inner in schema.items():
                if name == "not":  # the rate's: told by its own rule
                    continue
                if name == "pattern":
                    yield inner
                else:
                    yield from patterns(inner)
        elif isinstance(schema, list):
            for inner in schema:
                yield from patterns(inner)

    assert {p for model in SUBMISSIONS.values() for p in patterns(model.model_json_schema())} == set(PATTERNS)
