"""Who may send what: every scope with every command at both doors, keys that count and keys that don't, and how much is too much."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import standardwebhooks
from nacl.public import PrivateKey
from pydantic import ValidationError

from schemas.senders import ANYONE, FOR_NO_COMMAND, KEYS_MAX, SCOPE_OF, Scope, Sender
from schemas.submissions import SUBMISSIONS
from services.bus.deadletters.letter import dead_letter
from services.bus.topics import SENDERS
from services.bus.topics import SUBMISSIONS as SUBMISSIONS_TOPIC
from services.cli import keys
from services.errors import Unauthenticated, Unsigned
from services.intake import sequencer
from services.intake.makers import UNTOLD
from services.intake.opening import Opener
from services.intake.rates import Rates
from services.intake.senders import Senders
from services.senders import Issued, issue, renewed, signed
from tests.records import CommandRecord
from tests.unit.test_intake_events import Desk, World
from tests.unit.test_intake_http import Bench, problem

SECURITY = Path(__file__).parents[2] / "SECURITY.md"
INTAKE = PrivateKey.generate()
CASE = {"fund": "jilin", "case": "c-1"}
PLEDGE = {"fund": "jilin", "pledge": "p-1"}
FUND = {"currency": "CNY", "rule": "urgency-waterfill/1", "vouchers_required": 1}
NEED = {"need": "test", "route": "home", "goal": 100, "priority": "stat", "beneficiary": "b-1"}
DATA: dict[str, dict[str, Any]] = {
    "pumasi.fund.configured": {"fund": "jilin", "currency": "CNY"},
    "pumasi.rate.quoted": {"fund": "jilin", "currency": "KRW", "rate": "0.005"},
    "pumasi.case.submitted": {**CASE, **NEED},
    "pumasi.case.amended": {**CASE, "goal": 200},
    "pumasi.case.thanked": {**CASE, "thanks": "thank-you"},
    "pumasi.case.closed": {**CASE, "outcome": "completed"},
    "pumasi.case.vouched": {**CASE, "voucher": "v-1"},
    "pumasi.pledge.made": {**PLEDGE, "donor": "d-1", "amount": 5, "currency": "CNY"},
    "pumasi.pledge.withdrawn": PLEDGE,
    "pumasi.payment.received": {**PLEDGE, "amount": 5},
    "pumasi.payment.failed": {**PLEDGE, "reason": "bounced"},
    "pumasi.payment.refunded": {**PLEDGE, "amount": 5},
    "pumasi.case.delivered": {**CASE, "amount": 5},
}
CELLS = [(scope, kind) for scope in get_args(Scope) for kind in SUBMISSIONS]


def event(kind: str = "pumasi.pledge.made", number: int = 1, **data: Any) -> dict[str, Any]:
    told = {"specversion": "1.0", "id": f"e-{number}", "source": "/forms", "type": kind}
    return {**told, "data": {**DATA[kind], **data}}


def sender(
    name: str = "clinic", scopes: Sequence[Any] = ("pledges",), funds: Sequence[str] | None = ("jilin",)
) -> Issued:
    return issue(name, scopes, funds, INTAKE.public_key)


@pytest.fixture(autouse=True)
def nobody_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "PATIENCE_SECONDS", 0.01)


async def _nothing_new() -> None:
    pass


class Topic(Senders):
    """The senders, as a topic would tell of them."""

    def __init__(self, *senders: Issued) -> None:
        super().__init__(Opener(lambda: [INTAKE]), _nothing_new)
        self._complete = True
        for one in senders:
            self.put(one.sender)

    def put(self, one: Sender) -> None:
        """Tell of a sender."""
        value = one.model_dump_json().encode()
        self.follow(CommandRecord(SENDERS, 0, 0, one.sender.encode(), value, ()))


Door = Callable[..., Bench]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made: list[Bench] = []

    def make(*senders: Issued, **options: Any) -> Bench:
        made.append(Bench(senders=Topic(*senders), **options))
        return made[-1]

    yield make
    for one in made:
        await one.client.aclose()


async def send(one: Bench, key: str | None, *events: dict[str, Any]) -> httpx.Response:
    one.client.headers.pop("authorization", None)
    if key is not None:
        one.client.headers["authorization"] = f"Bearer {key}"
    return await one.send(*events)


# ---- the table -----------------------------------------------------------------------------------------------------------


def test_every_submission_has_a_scope_and_an_example_here() -> None:
    assert SCOPE_OF.keys() == SUBMISSIONS.keys() == DATA.keys()
    assert {*SCOPE_OF.values()} | FOR_NO_COMMAND == {*get_args(Scope)}, "a scope that nothing asks for"
    assert not {*SCOPE_OF.values()} & FOR_NO_COMMAND


def test_every_scope_is_named_to_those_who_give_keys() -> None:
    told = get_args(inspect.signature(keys.add).parameters["scope"].annotation)[1].help
    assert [one for one in get_args(Scope) if not re.search(rf"\b{one}\b", told)] == [], "in services/cli/keys.py"
    assert f"(`{', '.join(get_args(Scope))}`)" in SECURITY.read_text(), "in *Who may send*"


@pytest.mark.parametrize(("scope", "kind"), CELLS)
async def test_a_scope_lets_its_commands_pass_over_http_and_no_other(door: Door, scope: str, kind: str) -> None:
    who = sender(scopes=[scope])
    response = await send(one := door(who), who.key, event(kind))
    if SCOPE_OF[kind] == scope:
        assert response.status_code == 202, response.text
        [command] = one.kafka.commands()
        assert dict(command.headers)["pumasi_sender"] == b"clinic"
    else:
        assert problem(response) == (403, "forbidden")
        assert response.json()["scope"] == SCOPE_OF[kind]
        assert not one.kafka.records


@pytest.mark.parametrize(("scope", "kind"), CELLS)
async def test_and_on_the_topic(scope: str, kind: str) -> None:
    who = sender(scopes=[scope])
    world = await brought(Topic(who), record(who, event(kind)))
    assert world.desk.taken == (SCOPE_OF[kind] == scope)
    assert codes(world) == ([] if SCOPE_OF[kind] == scope else ["forbidden"])


async def test_a_fund_that_is_not_the_senders_is_named(door: Door) -> None:
    who, everywhere = sender(), sender("bank", funds=None)
    one = door(who, everywhere)
    response = await send(one, who.key, event(fund="yanji"))
    assert problem(response) == (403, "forbidden")
    assert response.json()["fund"] == "yanji"
    assert (await send(one, everywhere.key, event(fund="yanji"))).status_code == 202
    world = await brought(Topic(who), record(who, event(fund="yanji")))
    assert codes(world) == ["forbidden"]


async def test_a_batch_with_one_event_that_may_not_pass_is_refused_whole(door: Door) -> None:
    who = sender()
    response = await send(one := door(who), who.key, event(), event("pumasi.case.vouched", 2), event(number=3))
    assert problem(response) == (403, "forbidden")
    assert (response.json()["event"], response.json()["scope"]) == (1, "vouch")
    assert not one.kafka.records


# ---- bearer keys ---------------------------------------------------------------------------------------------------------


async def test_without_a_key_or_with_one_that_does_not_count_nobody_is_known(door: Door) -> None:
    who, never, cases = sender(), sender(), sender("stranger")
    one = door(who)
    for key in (None, "", never.key, cases.key, "pumasi_clinic_x_y", who.key.upper(), "x" * 10_000):
        response = await send(one, key, event())
        assert problem(response) == (401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"
        assert not key or key not in response.text
    one.client.headers["authorization"] = f"Basic {who.key}"
    assert problem(await one.send(event())) == (401, "unauthenticated")
    assert not one.kafka.records
    assert (await send(one, who.key, event())).status_code == 202


async def test_a_key_that_was_mistyped_is_told_so_and_one_of_nobody_is_not(door: Door) -> None:
    who = sender()
    one = door(who)
    wrong = "a" if who.key[20] != "a" else "b"
    for typed in (who.key[:20] + wrong + who.key[21:], who.key[:-1] + ("a" if who.key[-1] != "a" else "b")):
        response = await send(one, typed, event())
        assert problem(response) == (401, "unauthenticated")
        assert "checksum" in response.json()["detail"]
    assert "checksum" not in (await send(one, sender().key, event())).json()["detail"]


async def test_a_renewed_key_and_the_one_before_it_overlap_and_a_revoked_one_is_refused(door: Door) -> None:
    first = sender()
    second = renewed(first.sender, INTAKE.public_key)
    third = renewed(second.sender, INTAKE.public_key)
    one = door(second)
    topic = one.senders
    for key in (first.key, second.key):
        assert (await send(one, key, event())).status_code == 202
    topic.put(third.sender)
    assert [(await send(one, who.key, event())).status_code for who in (first, second, third)] == [401, 202, 202]
    assert len(third.sender.keys) == KEYS_MAX
    topic.put(third.sender.model_copy(update={"keys": []}))
    assert {(await send(one, who.key, event())).status_code for who in (first, second, third)} == {401}


async def test_a_receipt_needs_no_key_and_health_neither(door: Door) -> None:
    who = sender()
    one = door(who)
    receipt = (await send(one, who.key, event())).json()["accepted"][0]["receipt"]
    one.client.headers.pop("authorization")
    assert (await one.client.get(f"/v1/receipts/{receipt}")).status_code == 200
    assert (await one.client.get("/livez")).status_code == 200


async def test_before_all_senders_are_read_nobody_is_refused_for_being_unknown(door: Door) -> None:
    who = sender()
    one = door()
    one.senders._complete = False
    assert problem(await send(one, who.key, event())) == (503, "kafka_unreachable")


def test_what_cant_be_read_of_a_sender_leaves_it_without_rights(caplog: pytest.LogCaptureFixture) -> None:
    who = sender()
    topic = Topic(who)
    assert topic.bearing(f"Bearer {who.key}").name == "clinic"
    topic.follow(CommandRecord(SENDERS, 0, 7, b"clinic", b'{"sender":"clinic"}', ()))
    with pytest.raises(Unauthenticated):
        topic.bearing(f"Bearer {who.key}")
    assert "offset 7" in caplog.text


def test_a_secret_sealed_for_another_leaves_a_sender_its_bearer_key_alone() -> None:
    who = issue("clinic", ["pledges"], None, PrivateKey.generate().public_key)
    topic = Topic(who)
    assert topic.bearing(f"Bearer {who.key}").name == "clinic"
    with pytest.raises(Unsigned):
        topic.signing(record(who, event()))


async def test_while_it_reads_up_intake_complains_of_no_record_that_a_later_one_put_right(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As after `keys rotate intake` and `keys revoke intake --old`: the former records can't be opened any more."""
    topic, lost = Topic(), PrivateKey.generate().public_key
    topic._complete = False
    for name in ("clinic", "mill"):
        topic.put(issue(name, ["pledges"], None, lost).sender)
    topic.follow(CommandRecord(SENDERS, 0, 7, b"school", b"no sender", ()))
    topic.put(sender("clinic").sender)
    topic.put(sender("school").sender)
    assert not caplog.records
    await topic.catch_up()
    assert [one.message.partition(":")[0] for one in caplog.records] == ["mill can't sign"]
    await topic.catch_up()
    assert len(caplog.records) == 1, "once"
    topic.put(issue("clinic", ["pledges"], None, lost).sender)
    assert caplog.records[-1].message.startswith("clinic can't sign"), "and at once, when all is read"


def test_a_sender_sealed_anew_counts_only_if_nothing_came_between() -> None:
    who = sender()
    topic, value = Topic(), who.sender.model_dump_json().encode()

    def come(offset: int, value: bytes, replaces: int | None = None) -> None:
        headers = () if replaces is None else (("pumasi_replaces", b"%d" % replaces),)
        topic.follow(CommandRecord(SENDERS, 0, offset, b"clinic", value, headers))

    come(1, value)
    come(2, who.sender.model_copy(update={"keys": []}).model_dump_json().encode())  # revoked
    come(3, value, replaces=1)
    with pytest.raises(Unauthenticated):
        topic.bearing(f"Bearer {who.key}")
    come(4, value, replaces=2)
    assert topic.bearing(f"Bearer {who.key}").name == "clinic"


def test_nothing_of_a_key_stands_on_the_topic() -> None:
    who = sender()
    told = who.sender.model_dump_json()
    assert who.key.split("_")[2] not in told
    assert who.secret.removeprefix("whsec_") not in told
    assert re.fullmatch(r"pumasi_clinic_[a-z2-7]{52}_[a-z2-7]{7}", who.key)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a" * 33, ANYONE, "13800138000", "김"])
def test_what_is_no_name_of_a_sender(name: str) -> None:
    with pytest.raises(ValidationError):
        sender(name)


# ---- signatures ----------------------------------------------------------------------------------------------------------


def record(who: Issued, told: dict[str, Any], **changed: bytes | None) -> CommandRecord:
    """An event as its sender signed it; `changed` headers, or `value`."""
    body = json.dumps(told).encode()
    headers = dict(signed(who.sender.sender, who.secret, told["id"], body))
    value = changed.pop("value", body)
    headers |= {name.replace("_", "-"): told for name, told in changed.items()}  # type: ignore[misc]
    return CommandRecord(
        SUBMISSIONS_TOPIC, 0, 0, None, value, tuple((n, v) for n, v in headers.items() if v is not None)
    )


async def brought(topic: Senders, *records: CommandRecord) -> World:
    world = World(Desk(), topic)
    async with world.running() as poll:
        await poll(*(one._replace(offset=offset) for offset, one in enumerate(records)))
    return world


def codes(world: World) -> list[str]:
    return [dict(letter.headers)["__streams.errors.exception"].decode() for letter in world.letters.values()]


async def test_the_letter_of_what_is_forbidden_keeps_a_key_that_is_a_fund_of_its_sender() -> None:
    who, everywhere = sender(funds=["jilin"]), sender("bank", funds=None)
    sent = [record(who, event(fund="yanji")), record(who, event(fund="yanji")), record(everywhere, event(amount=0))]
    keys = [b"jilin", b"Kim", b"tumen"]
    world = await brought(Topic(who, everywhere), *(one._replace(key=key) for one, key in zip(sent, keys, strict=True)))
    assert codes(world) == ["forbidden", "forbidden", "invalid_submission"]
    assert [letter.key for letter in world.letters.values()] == [b"jilin", b"[removed]", b"[removed]"]


async def test_a_signature_of_another_secret_or_of_nobody_is_no_signature() -> None:
    who, never, other = sender(), sender(), sender("bank")
    binary = {"ce_specversion": b"1.0", "ce_id": b"e-1", "ce_source": b"/f", "ce_type": b"pumasi.pledge.made"}
    good = record(who, event())
    data = json.dumps(DATA["pumasi.pledge.made"]).encode()
    forged = [
        record(never, event()),
        record(other, event(), pumasi_sender=b"clinic"),
        record(who, event(), pumasi_sender=b"bank"),
        record(who, event(), pumasi_sender=b"nobody"),
        record(who, event(), pumasi_sender=b"\xff"),
        record(who, event(), webhook_signature=b"v1,"),
        record(who, event(), webhook_signature=b"\xff\xfe"),
        record(who, event(), webhook_timestamp=b"1"),
        record(who, event(), webhook_id=b"e-2"),
        *(
            record(who, event(), **{name: None})
            for name in ("pumasi_sender", "webhook_id", "webhook_timestamp", "webhook_signature")
        ),
        good._replace(headers=tuple(signed("clinic", who.secret, "e-2", good.value or b""))),
        good._replace(headers=(*good.headers, ("pumasi-sender", b"clinic"))),
        good._replace(headers=()),
        good._replace(value=None),
        CommandRecord(SUBMISSIONS_TOPIC, 0, 0, None, data, tuple(binary.items())),
    ]
    world = await brought(Topic(who, other), *forged)
    assert codes(world) == ["unsigned"] * len(forged)
    assert world.desk.taken == 0
    assert (await brought(Topic(who, other), good)).desk.taken == 1


async def test_a_signature_is_of_this_body_alone_and_of_a_whole_event() -> None:
    who = sender()
    replayed = record(who, event(), value=json.dumps(event(amount=5_000_000)).encode())
    binary = {"ce_specversion": b"1.0", "ce_id": b"e-1", "ce_source": b"/f", "ce_type": b"pumasi.pledge.made"}
    data = json.dumps(DATA["pumasi.pledge.made"]).encode()
    of_data = [*signed("clinic", who.secret, "e-1", data), ("content-type", b"application/json"), *binary.items()]
    headers = tuple(dict(of_data).items())
    world = await brought(Topic(who), replayed, CommandRecord(SUBMISSIONS_TOPIC, 0, 0, None, data, headers))
    assert codes(world) == ["unsigned", "unsigned"]


async def test_a_record_that_its_sender_signed_and_that_is_no_event_is_malformed() -> None:
    who = sender()
    headers = tuple(signed("clinic", who.secret, "e-1", b"{nonsense"))
    world = await brought(Topic(who), CommandRecord(SUBMISSIONS_TOPIC, 0, 0, None, b"{nonsense", headers))
    assert codes(world) != ["unsigned"]
    assert world.desk.taken == 0


def test_a_signature_is_standard_webhooks_own_and_has_no_age() -> None:
    who = sender()
    body, then = json.dumps(event()), datetime(2026, 1, 1, tzinfo=UTC)
    signature = standardwebhooks.Webhook(who.secret).sign("e-1", then, body)
    old = record(
        who, event(), webhook_timestamp=str(int(then.timestamp())).encode(), webhook_signature=signature.encode()
    )
    assert Topic(who).signing(old)[0].name == "clinic"
    two = record(who, event(), webhook_signature=b"v1,AAAA " + dict(record(who, event()).headers)["webhook-signature"])
    assert Topic(who).signing(two)[0].name == "clinic"


async def test_both_secrets_count_while_they_overlap_and_none_when_revoked() -> None:
    first = sender()
    second = renewed(first.sender, INTAKE.public_key)
    both = record(first, event()), record(second, event(number=2))
    assert (await brought(Topic(second), *both)).letters == {}
    revoked = second._replace(sender=second.sender.model_copy(update={"keys": []}))
    assert codes(await brought(Topic(revoked), *both)) == ["unsigned", "unsigned"]


async def test_a_key_that_was_made_before_its_record_was_sent_counts_for_it() -> None:
    who = sender()
    topic = Topic()

    async def caught_up() -> None:
        topic.put(who.sender)

    topic._caught_up = caught_up
    assert (await brought(topic, record(who, event()))).letters == {}


def test_a_letter_keeps_the_signature_and_can_be_put_back_to_the_last_byte() -> None:
    who = sender()
    one = record(who, event("pumasi.case.vouched"))
    letter = dead_letter(one, "forbidden", "it lacks a scope")
    assert dict(letter.headers)["pumasi.withheld"] == b"nothing"
    assert {*one.headers} <= {*letter.headers}


# ---- whose event it is ---------------------------------------------------------------------------------------------------


async def test_two_senders_events_of_one_id_are_two_and_neither_hears_of_the_others(door: Door) -> None:
    one, other = sender("clinic"), sender("church")
    at = door(one, other)
    first = await send(at, one.key, event(pledge=None))
    second = await send(at, other.key, event(pledge=None, amount=9))
    assert [first.status_code, second.status_code] == [202, 202]
    assert first.json()["accepted"][0]["pledge"] != second.json()["accepted"][0]["pledge"]
    assert len(at.kafka.commands()) == 2
    again = await send(at, one.key, event(pledge=None))
    assert again.json() == first.json()
    assert problem(await send(at, one.key, event(pledge=None, amount=9))) == (409, "id_conflict")
    macs = {dict(command.headers)["pumasi_mac"] for command in at.kafka.commands()}
    assert len(macs) == 2
    assert all(re.fullmatch(rb"[a-z2-7]{26}", mac) for mac in macs)


async def test_what_is_the_matter_with_an_id_is_told_to_who_made_it_and_no_sooner_than_both_topics_tell(
    door: Door,
) -> None:
    maker, other = (sender(name, get_args(Scope)) for name in ("clinic", "church"))
    at = door(maker, other)

    async def verdict(who: Issued, told: dict[str, Any], fact: dict[str, Any]) -> dict[str, Any]:
        """What a receipt says, once intake has heard of the command, and of what became of it."""
        response = await send(at, who.key, told)
        receipt = response.json()["accepted"][0]["receipt"]
        place = at.receipts.read(receipt)
        at.decide(place, fact, told["type"])
        assert (await at.told(receipt))["state"] == "accepted", "whose it is, is not known yet"
        at.read(place)
        said = await at.told(receipt)
        del said["receipt"]
        return said

    made = {"fact": "case_submitted", **CASE, **NEED, "own_contribution": 0}
    conflict = {"fact": "rejected", "code": "id_conflict", "detail": "case c-1"}
    missing = {"fact": "rejected", "code": "unknown_case", "detail": "no case c-9"}
    submitted, vouched = "pumasi.case.submitted", "pumasi.case.vouched"
    configured = await verdict(maker, event("pumasi.fund.configured", 7), {"fact": "fund_configured", **FUND})
    assert configured.pop("configuration")["currency"] == FUND["currency"]
    assert configured == {"state": "applied"}
    assert (await verdict(maker, event(submitted), made))["progress"]["status"] == "submitted"
    again = await verdict(maker, event(submitted, 8), {"fact": "duplicate"})
    assert again == {"state": "applied", "code": "duplicate"}
    mine = await verdict(maker, event(submitted, 2, goal=7), conflict)
    assert mine == {"state": "rejected", "code": "id_conflict", "detail": "case c-1"}
    others = [
        await verdict(other, event(submitted, 1, goal=9), conflict),
        await verdict(other, event(submitted, 2), {"fact": "duplicate"}),
        await verdict(other, event(vouched, 4, case="c-9"), missing),
    ]
    assert others == [UNTOLD] * 3
    assert await verdict(other, event(vouched, 3), {**conflict, "code": "own_voucher"}) == {"state": "applied"}
    assert (await verdict(maker, event(vouched, 5), {**conflict, "code": "own_voucher"}))["code"] == "own_voucher"


# ---- how much ------------------------------------------------------------------------------------------------------------


async def test_a_sender_that_sends_too_much_is_told_429_and_others_are_not(door: Door) -> None:
    one, other = sender("clinic"), sender("church")
    at = door(one, other, rates=Rates(sender_rate=3))
    assert (await send(at, one.key, event(), event(number=2))).status_code == 202
    refused = await send(at, one.key, event(number=3), event(number=4))
    assert problem(refused) == (429, "too_many")
    assert refused.headers["retry-after"] == "1"
    assert (await send(at, one.key, event(number=3))).status_code == 202
    assert (await send(at, other.key, event())).status_code == 202
    assert len(at.kafka.commands()) == 4


async def test_what_is_wrong_counts_too_and_is_not_even_looked_at_beyond_the_rate(door: Door) -> None:
    one = sender("clinic")
    at, wrong = door(one, rates=Rates(sender_rate=3)), event(amount=0)
    told = [await send(at, one.key, wrong, wrong), *[await send(at, one.key, wrong) for _ in range(5)]]
    assert [answer.status_code for answer in told] == [422, 422, 429, 429, 429, 429]


async def test_an_address_that_asks_too_much_is_told_429_with_a_key_or_without(door: Door) -> None:
    who = sender()
    one = door(who, rates=Rates(address_rate=2))
    told = [await send(one, None, event()), await send(one, who.key, event()), await send(one, who.key, event())]
    assert [response.status_code for response in told] == [401, 202, 429]
    assert problem(await one.client.get("/v1/receipts/x")) == (429, "too_many")
    assert (await one.client.get("/livez")).status_code == 200


def test_a_batch_larger_than_the_rate_passes_alone_and_a_network_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.errors import TooMany
    from services.intake import rates

    small = Rates(sender_rate=3, address_rate=1)
    small.sends("clinic", 1000)
    with pytest.raises(TooMany):
        small.sends("clinic", 1)
    small.came("2001:db8::1")
    small.came("2001:db8:0:1::1")
    with pytest.raises(TooMany):
        small.came("2001:db8::2")
    monkeypatch.setattr(rates, "_REMEMBERED", 2)
    for number in range(9):
        small.came(f"10.0.0.{number}")
    assert len(small._storage.events) >= 9, "those that are counted are not forgotten"
