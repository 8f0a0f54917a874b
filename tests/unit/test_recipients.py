"""One person is one word: however an address is written it names one recipient, and what could be two is refused."""

import base64
import doctest
import json
import unicodedata
from random import Random
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey, SealedBox

from schemas.values import SCHEMES
from services.errors import InvalidSubmission, SettingError
from services.intake import recipients
from services.intake.admission import Admitted, admit
from services.intake.cloudevents import Event
from services.intake.contacts import Sealer
from services.intake.opening import Opener
from services.intake.recipients import NoRecipient, recipient_of
from services.settings import load

NOTIFIER, INTAKE = PrivateKey.generate(), PrivateKey.generate()
SEALER = Sealer(b"k" * 32, NOTIFIER.public_key, Opener(lambda: [INTAKE]))
CASE = {"fund": "jilin", "case": "c-1", "need": "test", "route": "home", "goal": 10000, "priority": "stat"}
VOUCH = {"fund": "jilin", "case": "c-1"}
PLEDGE = {"fund": "jilin", "amount": 500, "currency": "CNY"}
ROLES = [("case.submitted", CASE, "beneficiary"), ("case.vouched", VOUCH, "voucher"), ("pledge.made", PLEDGE, "donor")]
PHONE = "tel:+86 138 0013 8000"


def sent(kind: str, data: dict[str, object], address: str = "", *, sealer: Sealer = SEALER) -> Admitted:
    told = {**data, "contact": {"address": address}} if address else data
    event = Event(id="e-1", source="/forms/x", type=f"pumasi.{kind}", time=None, data=json.dumps(told).encode())
    return admit(event, sealer, clear_contact=True)


def refusal(kind: str, data: dict[str, object], address: str = "", sealer: Sealer = SEALER) -> set[tuple[str, str]]:
    with pytest.raises(InvalidSubmission) as caught:
        sent(kind, data, address, sealer=sealer)
    return {(found["pointer"], found["code"]) for found in caught.value.findings}


def person(address: str) -> str:
    return recipient_of(address, SCHEMES).person


# ---- spellings ---------------------------------------------------------------------------------------------------------


def wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def written(r: Random, text: str) -> str:
    """The same, as people, forms and attackers write it."""
    for _ in range(r.randrange(3)):  # what nobody sees
        place = r.randrange(len(text) + 1)
        text = text[:place] + r.choice("\u200b\u200d\u2060\ufeff\u00ad\u202e\ufe0f\u034f\u3164") + text[place:]
    text = r.choice([text, text, text.upper(), text.title(), wide(text)])
    return r.choice(["", " ", "\u3000"]) + text + r.choice(["", " ", "/"])


def a_phone(r: Random) -> str:
    digits = list("13800138000")
    for place in sorted(r.sample(range(1, 11), r.randrange(6)), reverse=True):
        digits.insert(place, r.choice([" ", "-", ".", "\u2011", "\u00a0", "("]))
    prefix = r.choice(["+86", "0086", "+86 ", "00 86-", "+86 (0)", "+86-0", "(+86)", "+8617951 "])
    scheme = r.choice(["tel:", "tel:", "tel://", "sms:", "signal:", "whatsapp:", "tgram:", "wechat:"])
    return written(r, scheme + prefix + "".join(digits))


def a_mail(r: Random) -> str:
    text = "Kim.Cholsu+help@" + r.choice(
        ["ex-ample.例え.jp", "ex-ample.xn--r8jz45g.jp", "EX-ample。例え.jp", "ex-ample.例え.jp."]
    )
    if r.random() < 0.3:
        text = text.replace("@", "%40", 1).replace("i", "%69", 1)
        return r.choice(["mailto:", "MAILTO://"]) + text
    return written(r, r.choice(["mailto:", "mailto://"]) + text)


def encoded(r: Random, text: str, *, keep: str) -> str:
    """Some of it percent-encoded, and what nobody sees put between."""
    unseen = ["", "", "", "\u200b", "\u2060", "\ufe0f", "\u00ad", "\U000e0101"]
    whole = "".join(r.choice(unseen) + c for c in text)
    return "".join(
        c if c in keep or r.random() < 0.5 else "".join(r.choice([f"%{b:02X}", f"%{b:02x}"]) for b in c.encode())
        for c in whole
    )


def a_matrix(r: Random) -> str:
    name, server = (
        r.choice(["kim.01", "KIM.01", wide("Kim.01")]),
        r.choice(["ex-ample.org", "EX-ample.org", "ex-ample.org."]),
    )
    text = (
        r.choice(["@", "%40", "u/"])
        + encoded(r, f"{name}:{server}", keep="")
        + r.choice([":8448", ":08448", "%3A8448"])
    )
    return r.choice(["matrix:", "MATRIX:", " matrix:"]) + text + r.choice(["", " ", "/"])


def a_url(r: Random) -> str:
    host = r.choice(["ex-ample.org", "EX-ample.org", "ex-ample.org.", "ex-ample.org:443", "ex-ample.org:0443"])
    names = [r.choice(["Kím", "Ki\u0301m", wide("K") + "ím", "Kím ", "\u00a0Kím"]), "a/b", r.choice(["~+", "~\uff0b"])]
    path = "".join(
        r.choice(["/", "//", "/%20/", "/%E2%80%8B/"]) + encoded(r, name, keep=" ").replace("/", "%2F") for name in names
    )
    return r.choice(["https://", "HTTPS://", "https:\u200b//"]) + host + path + r.choice(["", "/", "/%20", " "])


@pytest.mark.parametrize("spelling", [a_phone, a_mail, a_matrix, a_url])
def test_a_thousand_spellings_are_one_person(spelling) -> None:
    r = Random(7)
    spellings = set()
    while len(spellings) < 1000:
        spellings.add(spelling(r))
    assert len({person(one) for one in spellings}) == 1


def test_a_thousand_people_are_a_thousand() -> None:
    people = [f"tel:+86138{n:08d}" for n in range(0, 10**8, 10**8 // 250)]
    people += [f"tel:+8210{n:08d}" for n in range(20_000_000, 10**8, 8 * 10**7 // 250)]
    people += [f"mailto:kim{n}@example.org" for n in range(100)] + [f"mailto:kim@{n}.example.org" for n in range(100)]
    people += [f"mailto:kim+{n}@example.org" for n in range(50)] + [
        f"mailto:k.i{'m' * n}@example.org" for n in range(50)
    ]
    people += [f"tgram:kim_{n}" for n in range(50)] + [f"signal:kim.{n + 10}" for n in range(50)]
    people += [f"matrix:@kim{n}:example.org" for n in range(50)] + [f"matrix:@kim:{n}.example.org" for n in range(50)]
    people += [f"https://example.org/Kim{n}" for n in range(50)] + [f"https://example.org/kim{n}" for n in range(50)]
    paths = [
        "kim/x",
        "kim%2Fx",
        "kim%252Fx",
        "kim%3Fx",
        "kim%23x",
        "kim%25x",
        "kim;x",
        "kim%20x",
        "kimx",
        "k%C3%ADmx",
        "kim%E2%82%ACx",
    ]
    people += [f"https://example.org{port}/{path}" for path in paths for port in ("", ":444", ":8443")]
    people += [f"matrix:@kim:example.org:{port}" for port in (1, 443, 8448)] + ["matrix:%40k%3Dm:example.org"]
    people += [
        "mailto:a%2541@example.org",
        "mailto:aA@example.org",
        "mailto:a%23b@example.org",
        "mailto:a%2Fb@example.org",
    ]
    assert len(people) > 1000
    assert len({person(one) for one in people}) == len(people)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tgram:@Kim_1", "tgram:kim_1"), ("signal:Kim.01", "signal:kim.01"), ("wechat:Wxid_Kim", "wechat://wxid_kim"),
        ("matrix:@Kim:Example.org", "matrix:u/kim:example.org"), ("tel:+82 010-1234-5678", "kakaotalk:+821012345678"),
        ("https://Example.org:443/a/", "https://example.org//%61"), ("https://example.org/kim", "https://example.org/kim%E2%80%8B"),
        ("https://example.org/kim", "https://example.org/%EF%BD%8Bim"), ("https://example.org/kim", "https://example.org/kim%EF%B8%8F"),
        ("https://example.org/ki%CC%81m", "https://example.org/k%C3%ADm"), ("https://example.org/kim", "https://example.org/kim%20"),
        ("matrix:@kim:example.org.", "matrix:@kim:example.org"), ("matrix:@kim:example.org:0443", "matrix:@kim:example.org:443"),
        ("matrix:@kim:例え.jp", "matrix:@kim:xn--r8jz45g.jp"), ("tel:+٨٦١٣٨٠٠١٣٨٠٠٠", PHONE),
    ],
)  # fmt: skip
def test_other_spellings_of_one_person(one: str, other: str) -> None:
    assert person(one) == person(other)


def test_what_a_name_is_written_with_stays_part_of_it() -> None:
    assert recipient_of("mailto:a%2fb%@example.org", SCHEMES).address == "mailto:a%2Fb%25@example.org"


REFUSED = [
    ("unknown_scheme", ["ftp:kim", "mailtos://u:p@example.org", "tgrams:kim_1", "kim@example.org", "+8613800138000", "x:yz",
                        "matrixs://u:p@example.org/#room"]),
    ("more_than_recipient", ["mailto://u:p@example.org?smtp=mail.example.org&pass=new",
                             "mailto://u:p@example.org/?to=kim@example.org",
                             "mailto:kim@example.org?subject=x", "tel:+8613800138000;ext=5", "tgram://123:token/999",
                             "https://u:p@example.org/", "https://example.org/kim?x=1", "https://example.org/#kim",
                             "matrix:#room:example.org",
                             "signal://localhost:8080/+8613800138000"]),
    ("invalid_recipient", ["tel:13800138000", "tel:8613800138000", "tel:+86", "tel:+1380013800o", "tel:+999123456789", "tel:+",
                           "mailto:kim", "mailto:kim@example", "mailto:a@b.org,c@d.org", "mailto:Kim <kim@example.org>",
                           'mailto:"kim"@example.org', "mailto:kim@[127.0.0.1]", "mailto:u:p@example.org", "mailto:%ff@example.org",
                           "mailto:\ufffd@example.org", "https://127.0.0.1/kim", "https://localhost/kim", "https:kim",
                           "https://[::1/", "https://example.org:99999/", "https://example.org/../kim", "tgram:a", "tgram:13800138000",
                           "kakaotalk:01012345678", "signal:kim",
                           "matrix:kim", "wechat:1a", "matrix:@kim:example.org..", "matrix:@kim:example.org:0", "matrix:@kim:127.0.0.1",
                           "matrix:@kim:example.org:65536", "https://example.org/%2E%2E/kim", "https://example.org/.%E2%80%8B./kim",
                           "https://example.org/kim%00", "https://example.org/kim%EF%BF%BD", "https://example.org/a%5Ckim",
                           "https://example.org/a\\kim", "https://example.org/kim%EE%80%80", "https://example.org/kim%FF"]),
]  # fmt: skip


@pytest.mark.parametrize(("code", "address"), [(code, address) for code, some in REFUSED for address in some])
def test_what_is_more_than_a_recipient_or_none_is_refused(code: str, address: str) -> None:
    with pytest.raises(NoRecipient) as caught:
        recipient_of(address, SCHEMES)
    assert caught.value.code == code
    assert refusal("pledge.made", PLEDGE, address) == {("/data/contact/address", code)}
    box = base64.b64encode(SealedBox(INTAKE.public_key).encrypt(json.dumps({"address": address}).encode())).decode()
    assert refusal("pledge.made", {**PLEDGE, "sealed_contact": box}) == {("/data/sealed_contact", code)}


@pytest.mark.parametrize(
    ("short", "taken", "told"),
    [
        ("kakaotalk:kim", "kakaotalk:kim_", "4–20 of a-z, 0-9 and ._-"),
        ("wechat:kim_", "wechat:kim_mi", "6–20 of a-z, 0-9, _ and -"),
        ("tgram:kim", "tgram:kim_", "4–32 of a-z, 0-9 and _"),
        ("signal:ki.42", "signal:kim.42", "3–32 of a-z, 0-9 and _, then a dot and 2–9 digits"),
    ],
)
def test_who_has_no_name_of_a_service_is_told_how_its_names_are_formed(short: str, taken: str, told: str) -> None:
    with pytest.raises(NoRecipient) as caught:
        recipient_of(short, SCHEMES)
    assert told in caught.value.message
    assert recipient_of(taken, SCHEMES).address == taken


def test_an_operator_may_allow_fewer_schemes() -> None:
    few = load(recipients="signal, MAILTO").recipients.split(",")
    sealer = Sealer(b"k" * 32, NOTIFIER.public_key, schemes=few)
    assert refusal("pledge.made", PLEDGE, PHONE, sealer) == {("/data/contact/address", "unknown_scheme")}
    assert sent("pledge.made", PLEDGE, "signal:+8613800138000", sealer=sealer)
    for wrong in ("ftp", "mailto,x", ","):
        with pytest.raises(SettingError):
            load(recipients=wrong)


def test_the_examples_in_the_module_hold() -> None:
    assert not doctest.testmod(recipients).failed


# ---- words for people --------------------------------------------------------------------------------------------------


def test_one_person_is_another_word_in_each_role_and_fund_and_under_each_key() -> None:
    words = [
        sent(kind, {**data, "fund": fund}, PHONE, sealer=sealer).contact.subject
        for sealer in (SEALER, Sealer(b"o" * 32, NOTIFIER.public_key))
        for fund in ("jilin", "yanji")
        for kind, data, _ in ROLES
    ]
    assert len(set(words)) == len(words) == 12


@pytest.mark.parametrize(("kind", "data", "role"), ROLES)
def test_nobody_can_send_a_persons_word_as_intake_makes_them(kind: str, data: dict, role: str) -> None:
    word = json.loads(sent(kind, data, PHONE).value)[role]
    for guess in (word, "~", "~x"):
        assert refusal(kind, {**data, role: guess}) == {(f"/data/{role}", "wrong_form")}
    own = sent(kind, {**data, role: word.replace("~", "s-")})
    assert own.mac != sent(kind, data, PHONE).mac  # so nothing that is sent in place of a contact is ever the same


@pytest.mark.parametrize(("kind", "data", "role"), ROLES)
def test_a_contact_beside_a_word_is_refused(kind: str, data: dict, role: str) -> None:
    assert refusal(kind, {**data, role: "mine-1"}, PHONE) == {("/data/contact", "both_given")}


# ---- marks -------------------------------------------------------------------------------------------------------------


def mark(kind: str, data: dict, address: str = PHONE, **more: str) -> str | None:
    return json.loads(sent(kind, {**data, **more}, address).value).get("mark")


def test_beneficiary_and_voucher_have_one_mark_if_they_are_one_person_and_another_at_every_other_case() -> None:
    own = mark("case.submitted", CASE)
    assert own == mark("case.vouched", VOUCH, "signal:0086-138-0013-8000")
    others = {
        mark("case.vouched", VOUCH, "tel:+86 138 0013 8001"), mark("case.vouched", VOUCH, case="c-2"),
        mark("case.vouched", VOUCH, fund="yanji"), sent("case.submitted", CASE, PHONE).contact.subject,
    }  # fmt: skip
    assert len(others - {own}) == 4


def test_a_case_without_an_id_of_its_own_has_the_mark_of_the_one_it_gets() -> None:
    case = sent("case.submitted", {name: value for name, value in CASE.items() if name != "case"}, PHONE)
    assert json.loads(case.value)["mark"] == mark("case.vouched", VOUCH, case=case.names["case"])


def test_a_word_of_the_senders_own_has_no_mark_and_nobody_can_send_one() -> None:
    assert "mark" not in json.loads(sent("case.submitted", {**CASE, "beneficiary": "b-1"}).value)
    assert mark("pledge.made", PLEDGE) is None
    own = mark("case.submitted", CASE)
    assert refusal("case.vouched", {**VOUCH, "voucher": "v-1", "mark": own}) == {("/data/mark", "unknown_field")}
    assert refusal("case.submitted", {**CASE, "beneficiary": "b-1", "mark": own}) == {("/data/mark", "unknown_field")}


# ---- whatever is sent --------------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(max_size=40),
    st.text("+0123456789 ()-.@:/?#%;,_kimKİßΣ\u200b\ufeff\u0130例え가é\u0301\ufdfa", max_size=40),
    st.text("Kim/?#%25\\.ﷺ\u200b\u0301\ufe0f\u00b4\uff0f\uff05\ufffd ", max_size=20).map(
        lambda text: f"example.org/{quote(text, safe='')}"
    ),
    st.text("kim%25.:@?#;/", max_size=20).map(lambda text: f"{quote(text, safe='')}@example.org"),
    st.from_regex(r"\+86 ?1[38][0-9]{9}|[a-zé]{1,5}@[a-z例]{1,5}\.(org|jp)|@[a-z]{5}:[a-z]{3}\.org", fullmatch=True),
)


@settings(max_examples=2000, deadline=None)
@given(st.sampled_from([f"{scheme}:" for scheme in SCHEMES] + ["https://", "", "x:"]), TEXTS)
def test_any_text_is_a_recipient_or_refused_and_a_recipient_is_its_own_spelling(scheme: str, text: str) -> None:
    try:
        recipient = recipient_of(scheme + text, SCHEMES)
    except NoRecipient:
        return
    assert recipient_of(recipient.address, SCHEMES) == recipient
    assert recipient.address == unicodedata.normalize("NFKC", recipient.address).strip()
