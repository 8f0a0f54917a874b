"""Checking and filling in: what becomes a command, what is refused and how that is told, and what never gets through."""

import base64
import json
import logging
import re
import zlib
from collections.abc import Iterator
from typing import get_args

import pytest
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox
from pydantic import ValidationError

from schemas.commands import COMMANDS
from schemas.provinces import PROVINCES
from schemas.submissions import SUBMISSIONS, Contact
from schemas.values import ID_PATTERN, PLEDGE_PATTERN, Access, AccessStatus
from schemas.violations import PATTERNS
from services.bus.attributes import TELLABLE
from services.errors import InvalidSubmission
from services.intake.admission import Admitted, admit
from services.intake.cloudevents import Event, Malformed
from services.intake.contacts import Sealer
from services.intake.findings import CODES
from services.intake.opening import Opener
from services.intake.senders import NOBODY_ASKED

NOTIFIER, INTAKE, REPORTER = (PrivateKey.generate() for _ in range(3))
SEALER = Sealer(b"k" * 32, NOTIFIER.public_key, Opener(lambda: [INTAKE]), reporter_key=REPORTER.public_key)
ADDRESS = "mailto://Neighbour@Example.org"
CANONICAL = "mailto:neighbour@example.org"
CASE = {"fund": "jilin", "need": "test", "route": "home", "goal": 10000, "priority": "stat", "beneficiary": "b-1"}
PLEDGE = {"fund": "jilin", "donor": "d-1", "amount": 500, "currency": "CNY"}


def sealed(content: bytes, key: PrivateKey = INTAKE) -> str:
    return base64.b64encode(SealedBox(key.public_key).encrypt(content)).decode()


def opened(box: str, key: PrivateKey) -> object:
    return json.loads(SealedBox(key).decrypt(base64.b64decode(box)))


SEALED = sealed(json.dumps({"address": ADDRESS, "language": "ko"}).encode())
NUMBER = "wx-138.0013.8000"
HASH = re.compile(r"~[a-z2-7]{26}")


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
    ("payment.received", {"fund": "jilin", "pledge": "p-1", "amount": 5}, "payment", "~"),
    ("payment.failed", {"fund": "jilin", "pledge": "p-1", "reason": "no-funds"}, "payment", "~"),
    ("payment.refunded", {"fund": "jilin", "pledge": "p-1", "amount": 5}, "payment", "~"),
    ("case.delivered", {"fund": "jilin", "case": "c-1", "amount": 5}, "delivery", "d-"),
]


@pytest.mark.parametrize(("kind", "data", "field", "prefix"), OWN_IDS)
def test_an_id_left_out_is_derived_from_source_and_id(kind: str, data: dict, field: str, prefix: str) -> None:
    first, again = admitted(kind, data), admitted(kind, data)
    other_id, other_source = admitted(kind, data, id="e-2"), admitted(kind, data, source="/forms/other")
    assert re.fullmatch(prefix + "[a-z2-7]{26}", first.names[field])
    assert (first.value, first.mac) == (again.value, again.mac)
    assert len({one.names[field] for one in (first, other_id, other_source)}) == 3
    COMMANDS[first.type].model_validate_json(first.value)  # complete: the matcher can read it
    elsewhere = Sealer(b"o" * 32, NOTIFIER.public_key)
    assert (
        admit(event(kind, data), elsewhere, clear_contact=True).names[field] != first.names[field]
    )  # not to be guessed


@pytest.mark.parametrize(("kind", "data", "field", "prefix"), OWN_IDS)
def test_an_id_given_is_kept_but_a_payments_reference_is_hashed(kind: str, data: dict, field: str, prefix: str) -> None:
    kept = admitted(kind, {**data, field: "mine-1"}).names[field]
    assert HASH.fullmatch(kept) if field == "payment" else kept == "mine-1"


PAYMENTS = [(kind, data) for kind, data, field, _ in OWN_IDS if field == "payment"]


@pytest.mark.parametrize(("kind", "data"), PAYMENTS)
def test_a_payments_reference_may_be_any_word_and_stands_on_the_bus_as_its_hash(kind: str, data: dict) -> None:
    one = admitted(kind, {**data, "payment": "13800138000"})
    name = one.names["payment"]
    assert HASH.fullmatch(name)
    assert json.loads(one.value)["payment"] == name
    assert "138" not in repr(one)
    assert (
        admitted(kind, {**data, "payment": "13800138000"}, id="e-2").names["payment"] == name
    )  # of fund and reference alone
    assert admitted(kind, {**data, "payment": "13800138000", "fund": "yanji"}).names["payment"] != name
    assert admitted(kind, {**data, "payment": name}).names["payment"] == name  # what the answer said is taken as it is
    assert findings(kind, {**data, "payment": "~13800138000"}) == {("/data/payment", "looks_like_contact")}
    assert findings(kind, {**data, "payment": "a b"}) == {("/data/payment", "wrong_form")}


def test_a_payment_is_found_again_by_the_name_that_was_told_of_one_left_out() -> None:
    _, data = PAYMENTS[0]
    told = admitted("payment.received", data).names["payment"]
    assert admitted("payment.refunded", {**data, "payment": told}).names["payment"] == told


def test_a_command_leaves_out_what_is_none_and_keeps_its_defaults() -> None:
    told = json.loads(admitted("pledge.made", {**PLEDGE, "expires_at": "2026-12-01T08:00:00+08:00"}).value)
    assert told["expires_at"] == "2026-12-01T00:00:00Z"
    assert told["fallback"] == "pool"
    assert "designation" not in told


def test_a_retired_provinces_code_is_todays_on_the_bus_and_the_same_submission() -> None:
    old, new = (
        admitted("case.submitted", {**CASE, "access": {"province": code, "status": "unknown"}})
        for code in ("CN-22", "CN-JL")
    )
    assert opened(json.loads(old.value)["access_box"], REPORTER) == {"province": "CN-JL", "status": "unknown"}
    assert old.mac == new.mac


def test_access_is_in_a_box_of_one_length_that_only_the_reporter_opens() -> None:
    lengths = set()
    for province in PROVINCES:
        for status in get_args(AccessStatus):
            lengths.add(len(SEALER.seal_access(Access(province=province, status=status))))
    assert lengths == {160}
    told = admitted("case.submitted", {**CASE, "access": {"province": "CN-JL", "status": "family-register"}})
    data = json.loads(told.value)
    assert "access" not in data and b"CN-JL" not in told.value and b"family" not in told.value
    with pytest.raises(CryptoError):
        opened(data["access_box"], NOTIFIER)
    again = admitted("case.submitted", {**CASE, "access": {"province": "CN-JL", "status": "family-register"}})
    assert json.loads(again.value)["access_box"] != data["access_box"]
    assert again.mac == told.mac != admitted("case.submitted", CASE).mac
    assert told.sealed_for == {"reporter": SEALER.sealed_for["reporter"]}
    assert admitted("case.submitted", CASE).sealed_for == {}


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
    assert json.loads(one.value)[person] == one.contact.subject
    assert HASH.fullmatch(one.contact.subject)
    opened = json.loads(SealedBox(NOTIFIER).decrypt(base64.b64decode(one.contact.sealed_contact)))
    assert opened == {"address": CANONICAL, "language": "ko"}
    assert "neighbour" not in repr(one).lower()


def test_the_length_of_a_box_does_not_tell_the_length_of_an_address() -> None:
    short, long = (
        SEALER.reached(Contact(address=address)) for address in ("tgram:kim_1", "mailto:a.very.long.name@example.org")
    )
    assert len(SEALER.seal(short)) == len(SEALER.seal(long))


PERSONS = [
    ("case.submitted", without(CASE, "beneficiary"), "beneficiary"),
    ("pledge.made", without(PLEDGE, "donor"), "donor"),
    ("case.vouched", {"fund": "jilin", "case": "c-1"}, "voucher"),
]


@pytest.mark.parametrize(("kind", "data", "person"), PERSONS)
def test_a_contact_sealed_for_intake_is_as_good_as_one_in_the_clear_at_both_doors(
    kind: str, data: dict, person: str
) -> None:
    clear = admitted(kind, {**data, "contact": {"address": ADDRESS, "language": "ko"}})
    for door in (True, False):
        one = admitted(kind, {**data, "sealed_contact": SEALED}, clear_contact=door)
        assert (one.value, one.contact.subject) == (clear.value, json.loads(clear.value)[person])
        opened = json.loads(SealedBox(NOTIFIER).decrypt(base64.b64decode(one.contact.sealed_contact)))
        assert opened == {"address": CANONICAL, "language": "ko"}
        assert "neighbour" not in repr(one).lower()


ADDRESS_AS_TEXT = "전화 010-1234-5678 김철수, 吉林省延吉市人民路12号 " * 3
LEGIBLE = [
    base64.b64encode(content).decode()
    for content in (
        ADDRESS_AS_TEXT.encode(), ADDRESS_AS_TEXT.encode("utf-16"), zlib.compress((ADDRESS_AS_TEXT * 9).encode()) + b"\xff" * 20,
        "전화번호 김철수".encode("euc-kr") * 8, b"mailto://a@b " * 8,
    )
]  # fmt: skip
NOT_OPENED = [*LEGIBLE, sealed(b'{"address":"mailto://a@b.org"}', NOTIFIER), SEALED[:-4], "A" * 64]


@pytest.mark.parametrize("box", NOT_OPENED)
def test_a_box_that_intake_cant_open_is_refused_and_an_alarm(box: str, caplog: pytest.LogCaptureFixture) -> None:
    before = SEALER.unopened
    for door in (True, False):
        data = without(PLEDGE, "donor", sealed_contact=box)
        assert findings("pledge.made", data, clear_contact=door) == {("/data/sealed_contact", "not_sealed")}
    thanks = {"fund": "jilin", "case": "c-1", "thanks": box}
    assert findings("case.thanked", thanks) == {("/data/thanks", "not_sealed")}
    wrong_in_more = {**thanks, "fund": "x y"}
    assert ("/data/thanks", "not_sealed") in findings("case.thanked", wrong_in_more)
    assert SEALER.unopened == before + 4
    told = [number for number in range(before + 1, before + 5) if number & (number - 1) == 0]
    assert [(line.levelno, line.args["count"], line.args["sender"]) for line in caplog.records] == [
        (logging.ERROR, number, NOBODY_ASKED.name) for number in told
    ]
    assert box[:20] not in caplog.text


@pytest.mark.parametrize(
    "content",
    [b"", b"mailto://a@b.org", b"{}", b'{"address":"x"}', b'{"address":"mailto://a@b.org","name":1}', b"\xff"],
)
def test_a_box_without_a_contact_in_it_is_refused_and_nothing_of_it_told(content: bytes) -> None:
    data = without(PLEDGE, "donor", sealed_contact=sealed(content))
    [(pointer, code)] = findings("pledge.made", data)
    assert pointer == "/data/sealed_contact"
    assert code in ("invalid_content", "wrong_form")


@pytest.mark.parametrize("text", ["Dear Kim, thank you", "S2lt"])
def test_one_wrong_field_is_told_once(text: str) -> None:
    assert findings("case.thanked", {**THANKED, "thanks": text}) == {("/data/thanks", "wrong_form")}
    assert findings("pledge.made", without(PLEDGE, "donor", sealed_contact=text)) == {
        ("/data/sealed_contact", "wrong_form")
    }


@pytest.mark.parametrize("word", ["+8613812345678", "+86 138 1234 5678", "8613812345678"])
def test_a_number_where_a_word_belongs_is_told_as_one_however_it_is_written(word: str) -> None:
    assert findings("pledge.made", {**PLEDGE, "donor": word}) == {("/data/donor", "looks_like_contact")}
    withdrawn = {"fund": "jilin", "pledge": word}
    assert findings("pledge.withdrawn", withdrawn) == {("/data/pledge", "looks_like_contact")}
    if not word.isdecimal():  # a bank's number may be any, but in its form
        paid = {"fund": "jilin", "pledge": "p-1", "amount": 5, "payment": word}
        assert findings("payment.received", paid) == {("/data/payment", "wrong_form")}


THANKED = {"fund": "jilin", "case": "c-1"}
WORDS = "고맙습니다. 덕분에 살았습니다."


@pytest.mark.parametrize("phrase", ["thank-you", "recovering", "not-alone", "blessing"])
def test_thanks_by_a_phrase_are_taken_as_they_are(phrase: str) -> None:
    one = admitted("case.thanked", {**THANKED, "thanks": phrase})
    assert (json.loads(one.value)["thanks"], one.contact) == (phrase, None)


def test_a_text_of_thanks_is_sealed_for_the_notifier_and_its_command_says_its_id() -> None:
    for door in (True, False):
        one = admitted("case.thanked", {**THANKED, "thanks": sealed(WORDS.encode())}, clear_contact=door)
        again = admitted("case.thanked", {**THANKED, "thanks": sealed(WORDS.encode())})
        assert HASH.fullmatch(json.loads(one.value)["thanks"])
        assert (one.value, one.mac) == (
            again.value,
            again.mac,
        )  # sealed anew each time, and a repeat all the same
        assert one.contact.subject == json.loads(one.value)["thanks"]
        assert SealedBox(NOTIFIER).decrypt(base64.b64decode(one.contact.sealed_text)).decode().rstrip() == WORDS
        assert WORDS not in repr(one)
    elsewhere = admitted("case.thanked", {**THANKED, "case": "c-2", "thanks": sealed(WORDS.encode())})
    assert elsewhere.contact.subject != one.contact.subject
    longest = admitted("case.thanked", {**THANKED, "thanks": sealed(("𠮷" * 1000).encode())})
    assert len(longest.contact.sealed_text) < 8188


@pytest.mark.parametrize("content", [b"  \n", ("x" * 1001).encode(), "안녕".encode("euc-kr")])
def test_what_is_no_text_of_thanks_is_refused(content: bytes) -> None:
    assert findings("case.thanked", {**THANKED, "thanks": sealed(content)}) == {("/data/thanks", "invalid_content")}


@pytest.mark.parametrize(
    "thanks", ["thanks.1", "I.am-Kim", "tel:+8613800138000", "~abcdefghijklmnopqrstuvwxyz", "Thank-You", ""]
)
def test_thanks_are_no_words_of_ones_own(thanks: str) -> None:
    assert ("/data/thanks", "wrong_form") in findings("case.thanked", {**THANKED, "thanks": thanks})


CLEAR = {"address": ADDRESS}
WRONG = [
    ("case.submitted", without(CASE, "beneficiary"), {("/data/beneficiary", "missing")}),
    ("pledge.made", {**PLEDGE, "sealed_contact": SEALED}, {("/data/sealed_contact", "both_given")}),
    ("pledge.made", {**PLEDGE, "contact": CLEAR}, {("/data/contact", "both_given")}),
    ("pledge.made", without(PLEDGE, "donor", contact=CLEAR, sealed_contact=SEALED), {("/data/sealed_contact", "both_given")}),
    ("pledge.made", {**PLEDGE, "contact": CLEAR, "sealed_contact": SEALED},
     {("/data/contact", "both_given"), ("/data/sealed_contact", "both_given")}),
    ("pledge.made", {**PLEDGE, "donor": "13812345678"}, {("/data/donor", "looks_like_contact")}),
    ("payment.failed", {"fund": "jilin", "pledge": NUMBER, "reason": NUMBER},
     {("/data/pledge", "looks_like_contact"), ("/data/reason", "looks_like_contact")}),
    ("pledge.withdrawn", {"fund": "jilin", "pledge": NUMBER + "#2"}, {("/data/pledge", "looks_like_contact")}),
    ("pledge.made", {**PLEDGE, "designation": {"case": NUMBER}}, {("/data/designation/case", "looks_like_contact")}),
    ("pledge.made", {**PLEDGE, "amount": 1.5, "currency": "XXQ", "bogus": 1},
     {("/data/amount", "wrong_type"), ("/data/currency", "unknown_currency"), ("/data/bogus", "unknown_field")}),
    ("pledge.made", {**PLEDGE, "amount": "5"}, {("/data/amount", "wrong_type")}),
    ("pledge.made", {**PLEDGE, "amount": True}, {("/data/amount", "wrong_type")}),
    ("pledge.made", {**PLEDGE, "amount": 0}, {("/data/amount", "below_minimum")}),
    ("pledge.made", {**PLEDGE, "expires_at": "tomorrow"}, {("/data/expires_at", "invalid_time")}),
    ("pledge.made", {**PLEDGE, "expires_at": "20301231"}, {("/data/expires_at", "invalid_time")}),
    ("pledge.made", {**PLEDGE, "expires_at": 1924905600}, {("/data/expires_at", "invalid_time")}),
    ("pledge.made", {**PLEDGE, "expires_at": "0001-01-01T00:00:00+09:00"}, {("/data/expires_at", "invalid_time")}),
    ("case.submitted", {**CASE, "needed_by": "9999-12-31T23:59:59-09:00"}, {("/data/needed_by", "invalid_time")}),
    ("case.submitted", {**CASE, "access": {"province": "XX-1", "status": "unknown"}},
     {("/data/access/province", "unknown_province")}),
    ("pledge.made", {**PLEDGE, "designation": {"need": "gold"}}, {("/data/designation/need", "not_one_of")}),
    ("case.submitted", {**CASE, "passport": "x", "goal": -1},
     {("/data/passport", "unknown_field"), ("/data/goal", "below_minimum")}),
    ("case.submitted", {**CASE, "a/b~c": 1}, {("/data/?", "unknown_field")}),
    ("case.submitted", {**CASE, "13812345678": 1}, {("/data/?", "unknown_field")}),
    ("case.amended", [], {("/data", "wrong_type")}),
    ("fund.configured", {"fund": "x y", "currency": "CNY"}, {("/data/fund", "wrong_form")}),
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
        ({"id": ""}, ("/id", "invalid_id")),
        ({"id": "x" * 257}, ("/id", "invalid_id")),
        ({"source": "mailto:a@b.org"}, ("/source", "looks_like_contact")),
        ({"source": "/phone/+86 138 1234 5678"}, ("/source", "looks_like_contact")),
        ({"source": "/phone/13812345678"}, ("/source", "looks_like_contact")),
        ({"source": "/forms/wx-138.1234/5678"}, ("/source", "looks_like_contact")),
        ({"source": "/kim@example.org"}, ("/source", "looks_like_contact")),
        ({"source": "/forms?name=%EA%B9%80%EC%98%81%EC%84%A0"}, ("/source", "invalid_source")),
        ({"source": "/forms/%EA%B9%80"}, ("/source", "invalid_source")),
        ({"source": "/forms?name=Kim"}, ("/source", "invalid_source")),
        ({"source": "Kim/Yongsun"}, ("/source", "invalid_source")),
        ({"source": "signal:kim"}, ("/source", "looks_like_contact")),
        ({"source": "xmpp:kim"}, ("/source", "invalid_source")),
        ({"source": "/forms\n"}, ("/source", "invalid_source")),
        ({"source": "/김"}, ("/source", "invalid_source")),
        ({"source": "/" + "x" * 300}, ("/source", "invalid_source")),
        ({"type": "pumasi.clock.ticked"}, ("/type", "unknown_type")),
        ({"data": None}, ("/data", "missing")),
    ],
)
def test_attributes_are_checked_too(attributes: dict, expected: tuple[str, str]) -> None:
    assert expected in findings("pledge.made", PLEDGE, **attributes)


@pytest.mark.parametrize(
    "source",
    [
        "urn:uuid:550e8400-e29b-41d4-a716-446655440000", "https://partner.example.org:8443/forms/2", "/", "/forms/case", "partner-1",
        "/apis/v1/namespaces/default/kafkasources/forms#submissions",
    ],
)  # fmt: skip
def test_a_path_a_url_a_urn_and_a_word_are_good_sources_and_a_letter_may_keep_them(source: str) -> None:
    assert admitted("pledge.made", PLEDGE, source=source).source == source
    assert TELLABLE["source"](source)


@pytest.mark.parametrize(
    "given",
    [
        "partition:1/offset:24",
        "a b",
        "x" * 65,
        "x" * 256,
        "이벤트 1",
        "x\n",
        "e\0",
        NUMBER,
        "13800138000",
        "😀",
        "'\"<",
    ],
)
def test_any_id_of_an_event_is_taken_and_what_is_none_of_ours_stands_on_the_bus_as_its_hash(given: str) -> None:
    one, again = admitted("pledge.made", PLEDGE, id=given), admitted("pledge.made", PLEDGE, id=given)
    assert HASH.fullmatch(one.id)
    assert (one.key, one.value) == (again.key, again.value)
    assert one.sent_id == given
    assert admitted("pledge.made", PLEDGE, id="." + given[1:]).id != one.id
    assert Sealer(b"o" * 32, NOTIFIER.public_key).ids.event(given) != one.id


@pytest.mark.parametrize("given", ["e-1", "550e8400-e29b-41d4-a716-446655440000", "~", "x" * 64, "1732960800123"])
def test_an_id_of_ours_stays(given: str) -> None:
    assert admitted("pledge.made", PLEDGE, id=given).id == given


FREE = [  # each field of each submission in which a sender may say a word
    (kind, name)
    for kind, model in SUBMISSIONS.items()
    for name, field in model.model_json_schema()["properties"].items()
    for branch in field.get("anyOf", [field])
    if branch.get("pattern") in (ID_PATTERN, PLEDGE_PATTERN)
]


@pytest.mark.parametrize(("kind", "name"), FREE)
def test_no_word_of_any_submission_or_command_holds_a_number_but_a_payments_reference(kind: str, name: str) -> None:
    wrong = findings(kind.removeprefix("pumasi."), {name: NUMBER})
    assert ((f"/data/{name}", "looks_like_contact") in wrong) is (name != "payment")
    with pytest.raises(ValidationError) as caught:
        COMMANDS[kind].model_validate_json(json.dumps({name: NUMBER}))
    assert ((name,), "looks_like_contact") in {(found["loc"], found["type"]) for found in caught.value.errors()}


def test_an_instalments_number_is_no_part_of_somebodys() -> None:
    assert (
        admitted("pledge.withdrawn", {"fund": "jilin", "pledge": "p-138001380#10"}).names["pledge"] == "p-138001380#10"
    )


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


def messages(kind: str, told: object, **attributes: object) -> dict[str, str]:
    with pytest.raises(InvalidSubmission) as caught:
        admitted(kind, told, **attributes)
    return {found["pointer"]: found["message"] for found in caught.value.findings}


def test_a_message_tells_the_words_the_form_and_the_bound() -> None:
    told = messages("case.submitted", {**CASE, "fund": "x y", "need": "gold", "goal": 0, "own_contribution": 2**60,
                    "needed_by": "noon", "recurrence": {"every": "monthly", "times": "3"},
                    "access": {"province": "Jilin", "status": "unknown"}})  # fmt: skip
    assert told["/data/fund"] == "must be 1–64 characters of [A-Za-z0-9._~-]"
    assert "number" in messages("case.submitted", {**CASE, "fund": NUMBER})["/data/fund"]
    assert told["/data/need"] == (
        "must be one of: treatment, admission, medication, surgery, test, vaccine, consultation, psychosocial, other"
    )
    assert told["/data/goal"] == "must be at least 1"
    assert told["/data/own_contribution"] == "must be at most 9007199254740991"
    assert "RFC 3339" in told["/data/needed_by"]
    assert "P1M" in told["/data/recurrence/every"]
    assert told["/data/recurrence/times"] == "must be an integer, without quotes or fraction"
    assert "CN-JL" in told["/data/access/province"]
    assert (
        "2000 to 2199" in messages("case.submitted", {**CASE, "needed_by": "2200-01-01T00:00:00Z"})["/data/needed_by"]
    )
    unknown = messages("case.submitted", {**CASE, "access": {"province": "XX-1", "status": "unknown"}})
    assert unknown["/data/access/province"] == "is no province of ISO 3166-2"
    assert messages("case.submitted", {**CASE, "recurrence": 5})["/data/recurrence"] == "must be a JSON object"
    assert "pumasi.case.submitted" in messages("case.submittd", CASE)["/type"]


@pytest.mark.parametrize("kind", SUBMISSIONS)
def test_whatever_is_wrong_with_whichever_field_has_a_code_of_ours(kind: str) -> None:
    """So no name of Pydantic's reaches anybody, in whichever field something is wrong."""
    wrong = [
        None,
        True,
        1.5,
        -1,
        0,
        2**70,
        "",
        " ",
        "x" * 5000,
        NUMBER,
        [],
        {},
        {"x": 1},
        {"every": 5},
        {"case": "c", "need": "test"},
    ]
    for name in SUBMISSIONS[kind].model_fields:
        for value in wrong:
            assert {code for _, code in findings(kind.removeprefix("pumasi."), {name: value})} <= CODES.keys()


def test_an_unknown_field_is_told_with_those_that_there_are() -> None:
    told = messages("pledge.made", {**PLEDGE, "contact": {"adress": "mailto:a@example.org"}, "amont": 5})
    assert told["/data/amont"].startswith(
        "is no field of this event; known here: fund, pledge, donor, amount, currency"
    )
    assert told["/data/contact/adress"] == "is no field of this event; known here: address, language"


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
