"""The soak's checker finds nothing on honest topics, and names whatever is tampered with, also by somebody who hashes anew."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.soak import check
from tests.soak.check.answers import Answers
from tests.soak.check.findings import Findings
from tests.soak.check.records import Raw
from tests.soak.topics import Topics, edited, entries, honest, rechained, that_says

SEED = 63
"""Any will do: what is tampered with is chosen by what it is."""
EVENTS = 1500
Tamper = Callable[[Topics], Any]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return pickle.dumps(honest(tmp_path_factory.mktemp("soak"), SEED, EVENTS))


@pytest.fixture
def topics(untouched: bytes) -> Topics:
    return pickle.loads(untouched)


@pytest.mark.parametrize("seed", [1, 2, SEED])
def test_honest_topics_have_no_finding(seed: int, tmp_path: Path) -> None:
    findings, figures = honest(tmp_path, seed).check()
    assert findings.kept == []
    assert figures["commands"] == figures["entries"] > 1500
    assert (
        min(
            figures[name] for name in ("unreadable", "duplicate", "rejected: id_conflict", "told again", "dead letters")
        )
        > 0
    )


def test_the_checker_shares_no_code_with_what_it_checks() -> None:
    for path in Path(check.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                own = name.startswith("tests.soak.check")
                assert own or name == "aiokafka" or name.partition(".")[0] in sys.stdlib_module_names, (path.name, name)


AT, AT_MS = "2031-01-01T00:00:00Z", 1_924_992_000_000


@pytest.mark.parametrize("kind", ["pumasi.clock.ticked", "pumasi.pledge.withdrawn"])
@pytest.mark.parametrize(
    ("wall", "appended_ms", "facts", "code"),
    [
        ("wall", AT_MS - 120_000, [], None),
        ("wall", AT_MS - 120_001, ["clock_ahead"], None),
        ("wall", AT_MS - 120_001, [], "wrong_clock"),
        ("wall", AT_MS - 120_001, ["clock_ahead", "unknown_fund"], "wrong_clock"),
        ("wall", AT_MS - 120_000, ["clock_ahead"], "wrong_clock"),
        ("else", 0, [], None),
        ("else", 0, ["clock_ahead"], "wrong_clock"),
    ],
)
def test_what_a_clock_that_was_ahead_stamped_is_refused_and_nothing_else(
    kind: str, wall: str, appended_ms: int, facts: list[str], code: str | None
) -> None:
    tick = kind == "pumasi.clock.ticked"
    data: dict[str, Any] = {} if tick else {"fund": "f", "pledge": "p"}
    names = {"ce_id": "e", "ce_source": "/s", "ce_type": kind, "ce_time": AT, "pumasi_clock": wall}
    record = Raw(0, 0, None, json.dumps(data).encode(), [(n, v.encode()) for n, v in names.items()], appended_ms)
    said = [{"fact": "rejected", "code": one} for one in facts] or (
        [] if tick else [{"fact": "pledge_withdrawn", "pledge": "p"}]
    )
    entry = {"seq": 1, "fund": data.get("fund"), "cause": {"id": "e", "type": kind, "offset": 0}, "facts": said}
    findings = Findings()
    [answered] = Answers(0, findings, lambda _: False).pair([record], [entry])
    assert [one.code for one in findings.kept] == ([code] if code else [])
    assert answered.became == ("?" if code else "rejected: clock_ahead" if facts else "ticked" if tick else "effect")


# ---- the ledger, tampered with by somebody who can't hash


def drop_an_entry(t: Topics) -> None:
    del t.ledger[0][40]


def drop_the_last_entry(t: Topics) -> None:
    t.ledger[0].pop()


def double_an_entry(t: Topics) -> None:
    t.ledger[0].insert(41, t.ledger[0][40])


def swap_two_entries(t: Topics) -> None:
    t.ledger[0][40:42] = reversed(t.ledger[0][40:42])


def in_bytes(t: Topics, fact: str, old: bytes, new: bytes) -> None:
    at, raw = next((at, raw) for at, raw in enumerate(t.ledger[0]) if fact.encode() in raw.value and old in raw.value)
    t.ledger[0][at] = raw._replace(value=raw.value.replace(old, new, 1))


def change_an_amount(t: Topics) -> None:
    in_bytes(t, "pledge_accepted", b'"amount":', b'"amount":1')


def break_the_chain(t: Topics) -> None:
    raw = t.ledger[0][40]
    flipped = raw.value[:-3] + (b"0" if raw.value[-3:-2] != b"0" else b"1") + raw.value[-2:]
    t.ledger[0][40] = raw._replace(value=flipped)


def add_a_blank(t: Topics) -> None:
    in_bytes(t, "pledge_accepted", b'"seq":', b'"seq": ')


def change_a_header(t: Topics) -> None:
    t.ledger[0][40] = t.ledger[0][40]._replace(headers=[("ce_id", b"0-1"), *t.ledger[0][40].headers[1:]])


def put_an_entry_out_of_reading(t: Topics) -> None:
    t.ledger[0][40] = t.ledger[0][40]._replace(value=b"{")


# ---- by somebody who hashes anew


def lose_an_answer(t: Topics) -> None:
    edited(t, lambda ledger: ledger.pop(40))


def answer_twice(t: Topics) -> None:
    edited(t, lambda ledger: ledger.insert(41, copy.deepcopy(ledger[40])))


def tear_an_answer(t: Topics) -> None:
    edited(t, lambda ledger: ledger[40].update(more=True))


def leave_the_last_answer_torn(t: Topics) -> None:
    edited(t, lambda ledger: ledger[-1].update(more=True))


def name_another_cause(t: Topics) -> None:
    edited(t, lambda ledger: that_says(ledger, "pledge_accepted")[0]["cause"].update(id="e-other"))


def on_fact(
    fact: str,
    change: Callable[[dict[str, Any], dict[str, Any]], Any],
    which: Callable[[dict[str, Any], dict[str, Any]], Any] = lambda _entry, _fact: True,
) -> Tamper:
    """Change the last such fact of the first partition that has one of which `which` is true."""

    def tamper(t: Topics) -> None:
        for partition, ledger in t.ledger.items():
            changed = list(entries(ledger))
            if found := [(e, f) for e in changed for f in e["facts"] if f["fact"] == fact and which(e, f)]:
                change(*found[-1])
                t.ledger[partition] = rechained(partition, changed)
                return
        pytest.fail(
            f"the load says no {fact} to tamper with: raise EVENTS, or have tests/soak/load.py say it more often"
        )

    return tamper


def by(*commands: str) -> Callable[[dict[str, Any], dict[str, Any]], bool]:
    return lambda entry, _fact: entry["cause"]["type"].removeprefix("pumasi.") in commands


def valued(_entry: dict[str, Any], fact: dict[str, Any]) -> bool:
    """Of a pledge that has a rate."""
    return fact["amount"] is not None


def wholly_matched(entry: dict[str, Any], _fact: dict[str, Any]) -> bool:
    """To claims that lack more."""
    return {fact["fact"] for fact in entry["facts"]} == {"pledge_accepted", "awarded"}


def without(entry: dict[str, Any], fact: dict[str, Any]) -> None:
    entry["facts"].remove(fact)


def twice(entry: dict[str, Any], fact: dict[str, Any]) -> None:
    entry["facts"].insert(entry["facts"].index(fact), dict(fact))


def more_of_it(_entry: dict[str, Any], fact: dict[str, Any]) -> None:
    fact["amount"] += 1


def and_a_refund(entry: dict[str, Any], fact: dict[str, Any]) -> None:
    entry["facts"].append({**fact, "fact": "refunded", "amount": 10**9})


def instead(name: str, **members: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(entry: dict[str, Any], _fact: dict[str, Any]) -> None:
        entry["facts"] = [{"fact": name, **members}]

    return change


def an_award_more(_entry: dict[str, Any], fact: dict[str, Any]) -> None:
    fact["amount"] += 1
    fact["why"]["after"] += 1


def apply_a_repeat(t: Topics) -> None:
    """The second copy of a pledge takes effect as the first did."""
    said = [entry for ledger in t.ledger.values() for entry in entries(ledger)]
    first = {e["cause"]["id"]: f for e in said for f in e["facts"] if f["fact"] == "pledge_accepted"}

    def apply(entry: dict[str, Any], fact: dict[str, Any]) -> None:
        entry["facts"][entry["facts"].index(fact)] = first[entry["cause"]["id"]]

    on_fact("duplicate", apply, lambda entry, _fact: entry["cause"]["id"] in first)(t)


def told_a_repeat(code: str) -> Tamper:
    """A refusal is told a repeat instead."""

    def change(_entry: dict[str, Any], fact: dict[str, Any]) -> None:
        fact.clear()
        fact["fact"] = "duplicate"

    return on_fact("rejected", change, lambda _entry, fact: fact["code"] == code)


def keep_money_from_a_claim(t: Topics) -> None:
    """A pledge for anybody is accepted and matched to nothing although there is a claim: its entry's awards are left out."""

    def for_anybody(entry: dict[str, Any], _fact: dict[str, Any]) -> bool:
        return any(fact["fact"] == "pledge_accepted" and "designation" not in fact for fact in entry["facts"])

    def change(entry: dict[str, Any], _fact: dict[str, Any]) -> None:
        entry["facts"] = [f for f in entry["facts"] if f["fact"] not in ("awarded", "case_funded", "award_settled")]

    on_fact("awarded", change, for_anybody)(t)


# ---- commands, submissions, dead letters


def drop_a_command(t: Topics) -> None:
    """The only copy of an acknowledged command is gone, and so is its entry."""
    ids = [dict(raw.headers).get("ce_id") for raw in t.commands[0]]
    at = next(at for at, name in enumerate(ids) if name and name.startswith(b"e-") and ids.count(name) == 1)
    ledger = list(entries(t.ledger[0]))
    del t.commands[0][at], ledger[at]
    t.ledger[0] = rechained(0, ledger)


def add_a_command(t: Topics) -> None:
    raw = next(raw for raw in t.commands[0] if raw.header("ce_type") == "pumasi.pledge.made")
    headers = [(name, b"e-none" if name == "ce_id" else value) for name, value in raw.headers]
    t.commands[0].append(raw._replace(offset=len(t.commands[0]), headers=headers))


def alter_a_command(t: Topics) -> None:
    at, raw = next((at, raw) for at, raw in enumerate(t.commands[0]) if raw.header("ce_type") == "pumasi.pledge.made")
    t.commands[0][at] = raw._replace(value=raw.value.replace(b'"amount":', b'"amount":1'))


def take_a_foreign_key(t: Topics) -> None:
    at, raw = next((at, raw) for at, raw in enumerate(t.commands[0]) if raw.header("ce_type") == "pumasi.pledge.made")
    t.commands[0][at] = raw._replace(key=b"another")


def keep_a_submission(t: Topics) -> None:
    t.submissions.append(Raw(1, 0, None, b"", [("pumasi.empty", b"")]))  # nothing is said there
    t.submissions.append(Raw(1, 1, None, b"{}", []))


def drop_a_submissions_command(t: Topics) -> None:
    """It was taken on the topic, and is neither a command nor a dead letter."""
    told = [json.loads(line) for line in t.sent]
    by_topic = {f"{one['source']} {one['id']}" for one in told if one.get("door") == "topic" and one["as"] == "first"}
    ledger = list(entries(t.ledger[0]))
    ids = [f"{raw.header('ce_source')} {raw.header('ce_id')}" for raw in t.commands[0]]
    at = next(at for at, name in enumerate(ids) if name in by_topic and ids.count(name) == 1)
    del t.commands[0][at], ledger[at]
    t.ledger[0] = rechained(0, ledger)


def drop_a_commands_letter(t: Topics) -> None:
    t.letters.remove(next(raw for raw in t.letters if raw.header("__streams.errors.topic") == "pumasi.commands.v1"))


def drop_a_submissions_letter(t: Topics) -> None:
    letters = [raw for raw in t.letters if raw.header("__streams.errors.topic") == "pumasi.submissions.v1"]
    t.letters.remove(next(raw for raw in letters if raw.header("__streams.errors.exception") != "id_conflict"))


def double_a_letter(t: Topics) -> None:
    t.letters.append(t.letters[3])


def change_a_letter(name: str, value: bytes | None) -> Tamper:
    def tamper(t: Topics) -> None:
        at, raw = next(
            (at, raw)
            for at, raw in enumerate(t.letters)
            if raw.header("__streams.errors.topic") == "pumasi.commands.v1"
        )
        kept = [(n, v) for n, v in raw.headers if n != name]
        t.letters[at] = raw._replace(headers=[*kept, *([] if value is None else [(name, value)])])

    return tamper


# ---- notices, checkpoints


def lose_a_notice(t: Topics) -> None:
    name = json.loads(t.notices[9].value)["id"]
    t.notices = [raw for raw in t.notices if json.loads(raw.value)["id"] != name]


def lose_a_delivery(t: Topics) -> None:
    del t.told[9]


def on_notice(**members: Any) -> Tamper:
    """Change members of a record on the notices topic, and its `ce_id` with its id."""

    def tamper(t: Topics) -> None:
        at = next(at for at, raw in enumerate(t.notices) if json.loads(raw.value)["kind"] == "matched" and at > 20)
        notice = {**json.loads(t.notices[at].value), **members}
        headers = [(n, notice["id"].encode() if n == "ce_id" else v) for n, v in t.notices[at].headers]
        t.notices.append(t.notices[at]._replace(value=json.dumps(notice).encode(), headers=headers))

    return tamper


def on_delivery(**members: Any) -> Tamper:
    def tamper(t: Topics) -> None:
        at = next(at for at, line in enumerate(t.told) if json.loads(line)["data"]["kind"] == "matched")
        told = json.loads(t.told[at])
        t.told[at] = json.dumps({**told, "data": {**told["data"], **members}})

    return tamper


def forget_a_record(t: Topics) -> None:
    t.checkpoints[0] = [raw for raw in t.checkpoints[0] if not raw.key.startswith(b"pledge/")]


def keep_an_old_record(t: Topics) -> None:
    raw = next(raw for raw in t.checkpoints[0] if raw.key.startswith(b"pledge/"))
    t.checkpoints[0].append(raw._replace(value=raw.value.replace(b"1", b"2", 1)))


def stand_for_another_entry(t: Topics) -> None:
    raw = t.checkpoints[0][-1]
    head = json.loads(raw.value)
    t.checkpoints[0][-1] = raw._replace(value=json.dumps({**head, "seq": head["seq"] - 1}).encode())


def tell_on_somebody(t: Topics) -> None:
    t.letters[0] = t.letters[0]._replace(value=b'{"reason":"leak-marker"}')


TAMPERED: list[tuple[Tamper, str]] = [
    (drop_an_entry, "entry_gap"),
    (drop_an_entry, "no_answer"),
    (drop_the_last_entry, "no_answer"),
    (double_an_entry, "entry_gap"),
    (double_an_entry, "unexplained_entry"),
    (swap_two_entries, "entry_gap"),
    (change_an_amount, "broken_chain"),
    (break_the_chain, "broken_chain"),
    (add_a_blank, "entry_not_compact"),
    (change_a_header, "wrong_headers"),
    (put_an_entry_out_of_reading, "unreadable_entry"),
    (lose_an_answer, "no_answer"),
    (answer_twice, "unexplained_entry"),
    (tear_an_answer, "torn_answer"),
    (leave_the_last_answer_torn, "torn_answer"),
    (name_another_cause, "wrong_cause"),
    (on_fact("pledge_accepted", more_of_it, valued), "impossible_fact"),
    (
        on_fact(
            "pledge_accepted",
            lambda _e, fact: fact.update(amount=fact["amount"] + 1, face=fact["face"] + 1),
            lambda _e, fact: fact["rate"] == "1",
        ),
        "wrong_effect",
    ),
    (on_fact("pledge_accepted", without), "wrong_effect"),
    (on_fact("pledge_accepted", instead("duplicate")), "false_duplicate"),
    (on_fact("pledge_accepted", instead("rejected", code="id_conflict", detail="x")), "false_conflict"),
    (on_fact("pledge_accepted", instead("rejected", code="unreadable", detail="x")), "unread_command"),
    (on_fact("duplicate", without), "wrong_effect"),
    (apply_a_repeat, "applied_twice"),
    (told_a_repeat("id_conflict"), "missed_conflict"),
    (on_fact("awarded", more_of_it), "impossible_fact"),
    (on_fact("awarded", an_award_more, wholly_matched), "not_conserved"),
    (on_fact("awarded", twice), "impossible_fact"),
    (on_fact("award_settled", lambda _e, fact: fact.update(amount=fact["amount"] + 10**9)), "impossible_fact"),
    (on_fact("award_settled", without), "not_conserved"),
    (on_fact("award_voided", without, by("case.amended", "case.closed")), "over_allocated"),
    (on_fact("released", without, by("pledge.withdrawn", "payment.failed")), "not_conserved"),
    (on_fact("released", more_of_it), "not_conserved"),
    (on_fact("payment_received", and_a_refund), "not_conserved"),
    (on_fact("payment_received", more_of_it, valued), "impossible_fact"),
    (on_fact("case_opened", lambda _e, fact: fact.update(claim=fact["claim"] + 1)), "impossible_fact"),
    (on_fact("case_delivered", twice), "wrong_effect"),
    (keep_money_from_a_claim, "waits_beside_claim"),
    (drop_a_command, "lost_submission"),
    (add_a_command, "invented_command"),
    (alter_a_command, "altered_command"),
    (take_a_foreign_key, "wrong_partition"),
    (drop_a_submissions_command, "lost_submission"),
    (keep_a_submission, "kept_submission"),
    (drop_a_commands_letter, "lost_letter"),
    (drop_a_submissions_letter, "lost_letter"),
    (double_a_letter, "doubled_letter"),
    (change_a_letter("__streams.errors.offset", b"0"), "invented_letter"),
    (change_a_letter("__streams.errors.offset", None), "wrong_letter"),
    (change_a_letter("__streams.errors.exception", b"whatever"), "wrong_letter"),
    (change_a_letter("pumasi.withheld", None), "wrong_letter"),
    (told_a_repeat("unreadable"), "read_poison"),
    (lose_a_notice, "untold"),
    (lose_a_delivery, "untold"),
    (on_notice(id="0" * 32), "told_without_entry"),
    (on_notice(id="0" * 32), "two_ids"),
    (on_notice(promised=1), "altered_notice"),
    (on_notice(to="somebody"), "altered_notice"),
    (on_notice(outcome="gave-up"), "notice_not_delivered"),
    (on_delivery(promised=1), "altered_notice"),
    (forget_a_record, "wrong_checkpoint"),
    (keep_an_old_record, "wrong_checkpoint"),
    (stand_for_another_entry, "wrong_checkpoint"),
    (tell_on_somebody, "leak"),
]


@pytest.mark.parametrize(
    ("tamper", "code"), TAMPERED, ids=[f"{number}-{code}" for number, (_, code) in enumerate(TAMPERED)]
)
def test_what_is_tampered_with_is_found_and_named(tamper: Tamper, code: str, topics: Topics) -> None:
    tamper(topics)
    findings, _ = topics.check()
    assert code in findings.codes, dict(findings.counts)


def test_a_finding_says_where(topics: Topics) -> None:
    drop_an_entry(topics)
    findings, _ = topics.check()
    assert "entry_gap: ledger 0, entry 42: entry 41 had to come" in list(map(str, findings.kept))
    assert isinstance(topics.ledger[0][0], Raw)
