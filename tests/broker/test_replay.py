"""Putting dead letters back, on a real broker: each once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.bus.consume.scan import TopicReader
from services.bus.deadletters.box import Box, Mark, mark_row, read, read_box
from services.bus.deadletters.letter import PREFIX, REPLAY_OF, WITHHELD, Place, dead_letter
from services.bus.deadletters.put_back import Outcome, Result, replay
from services.bus.produce.transaction import FencedWriter
from tests.broker.poison import POISON, TOLD_WITHOUT
from tests.broker.raw import COMMANDS, DEADLETTERS, LEDGER, PARTITION, Client, headers, kinds
from tests.broker.test_matcher import assert_audit_holds, running

SUBMISSIONS = "pumasi.submissions.v1"
JILIN = PARTITION["jilin"]
DEADLINE_SECONDS = 90


@dataclass
class Rec:
    """A record as a service consumed it."""

    value: bytes | None
    key: bytes | None = b"jilin"
    headers: list[tuple[str, bytes | None]] = field(default_factory=lambda: headers("pumasi.pledge.made", "x"))
    topic: str = COMMANDS
    partition: int = JILIN
    offset: int = 0


@pytest.fixture
async def client(topics_reset) -> AsyncIterator[Client]:
    async with Client(topics_reset.bootstrap) as client:
        yield client


async def letters_of(client: Client, records: Iterable[Rec]) -> None:
    """Put the records' dead letters where their service would."""
    writer = FencedWriter(client.bootstrap, "some-service")
    await writer.fence()
    for record in records:
        async with writer.transaction() as transaction:
            await transaction.append(
                DEADLETTERS, record.partition, [dead_letter(record, "unreadable", "value: not JSON")]
            )
    await writer.close()


async def many_letters(client: Client, number: int, partition: int = JILIN) -> list[Rec]:
    """Letters of commands, as quickly as they go."""
    records = [Rec(b'{"fund":"jilin","amount":%d}' % (n + 1), offset=n, partition=partition) for n in range(number)]
    writer = FencedWriter(client.bootstrap, "some-service")
    await writer.fence()
    for start in range(0, number, 500):
        async with writer.transaction() as transaction:
            rows = [dead_letter(one, "unreadable", "ce_type: not a command") for one in records[start : start + 500]]
            await transaction.append(DEADLETTERS, partition, rows)
    await writer.close()
    return records


async def box_of(client: Client) -> Box:
    async with TopicReader(client.bootstrap) as reader:
        return await read_box(reader)


async def put_back(client: Client, box: Box | None = None) -> list[Result]:
    box = box or await box_of(client)
    return await replay(client.bootstrap, list(box.letters.values()))


def outcomes(results: Iterable[Result]) -> Counter[str]:
    return Counter(result.outcome.value for result in results)


async def assert_each_once(client: Client, records: list[Rec]) -> None:
    """Each record lies on its topic once more, and has one mark, which says where."""
    assert len({record.partition for record in records}) == 1
    partition = records[0].partition
    marks = [m for m in map(read, await client.read(DEADLETTERS, partition, 2 * len(records))) if isinstance(m, Mark)]
    there = {record.offset: record for record in await client.read(records[0].topic, partition, len(records))}
    assert sorted(mark.letter for mark in marks) == sorted(str(Place(r.topic, r.partition, r.offset)) for r in records)
    assert sorted(mark.to.offset for mark in marks) == sorted(there)
    came_from = {mark.letter: there[mark.to.offset] for mark in marks}
    for record in records:
        now = came_from[str(Place(record.topic, record.partition, record.offset))]
        assert (now.key, now.value) == (record.key, record.value)


# ---- one after the other --------------------------------------------------------------------------------------------------


async def test_what_a_letter_keeps_whole_is_put_back_byte_by_byte_with_a_header_that_names_the_letter(
    client: Client,
) -> None:
    parts = [one for name, one in POISON.items() if name not in TOLD_WITHOUT]
    parts += [
        (b"jilin", b' { "fund" : "jilin" }\n', headers("pumasi.pledge.made", "x")),
        (None, b'{"fund":"jilin","pledge":"\\u0070-1"}', headers("pumasi.pledge.withdrawn", "x")),
        (b"jilin", b'{"case":"c-1","fund":"jilin","thanks":"blessing"}', headers("pumasi.case.thanked", "x")[::-1]),
    ]
    records = [Rec(value, key, heads, offset=7 * n) for n, (key, value, heads) in enumerate(parts)]
    records.append(Rec(None, None, [], offset=700))  # neither key nor value
    await letters_of(client, records)
    results = await put_back(client)
    assert outcomes(results) == {"replayed": len(records)}
    found = await client.read(COMMANDS, JILIN, len(records))
    for record, now, result in zip(records, found, results, strict=True):
        name = str(Place(COMMANDS, JILIN, record.offset))
        assert (result.letter.id, result.to) == (name, Place(COMMANDS, JILIN, now.offset))
        assert (now.key, now.value) == (record.key, record.value)
        assert list(now.headers) == [*record.headers, (REPLAY_OF, name.encode())]
    await assert_each_once(client, records)


async def test_a_second_call_finds_the_mark_and_does_nothing(client: Client) -> None:
    records = await many_letters(client, 3)
    stale = await box_of(client)
    first = await put_back(client, stale)
    again = await put_back(client, stale)  # as a second operator who had looked before
    assert outcomes(again) == {"already_replayed": 3}
    assert [result.to for result in again] == [result.to for result in first]
    box = await box_of(client)
    assert {name: mark.to for name, mark in box.marks.items()} == {r.letter.id: r.to for r in first}
    await assert_each_once(client, records)


async def test_submissions_go_back_to_their_own_topic_and_partition(client: Client) -> None:
    value = b'{"fund":"jilin","donor":"d-1","amount":5,"currency":"CNY"}'
    heads = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e-1"),
        ("ce_source", b"/forms"),
        ("ce_type", b"pumasi.pledge.made"),
    ]
    records = [Rec(value, None, heads, SUBMISSIONS, 3, offset) for offset in range(2)]
    await letters_of(client, records)
    assert outcomes(await put_back(client)) == {"replayed": 2}
    await assert_each_once(client, records)
    assert await client.read(COMMANDS, 3, 0) == []


async def test_what_was_withheld_is_refused_and_nothing_is_made_up(client: Client) -> None:
    telling = [
        Rec(b'{"fund":"jilin","contact":"kakao:kim"}', offset=1),
        Rec(b'{"fund":"jilin"}', b"Kim Yongsun", offset=2),
        Rec(b'{"fund":"jilin"}', headers=[*headers("pumasi.pledge.made", "x"), ("note", "김영선".encode())], offset=3),
        Rec(b"\xff\xfe", offset=4),
        Rec(b"j" * (3_500_000), offset=5),
    ]
    await letters_of(client, [*telling, Rec(b'{"fund":"jilin"}', topic=LEDGER, offset=6)])
    results = await put_back(client)
    assert outcomes(results) == {"withheld": len(telling), "not_replayable": 1}
    for topic in (COMMANDS, LEDGER):
        assert await client.read(topic, JILIN, 0) == []
    assert not (await box_of(client)).marks


async def test_a_letter_that_does_not_say_what_it_withholds_is_not_taken_for_whole(client: Client) -> None:
    key, value, heads = dead_letter(Rec(b"{}"), "unreadable", "x")
    await client.producer.send_and_wait(DEADLETTERS, value, key, JILIN, headers=[h for h in heads if h[0] != WITHHELD])
    assert outcomes(await put_back(client)) == {"withheld": 1}


async def test_what_is_neither_letter_nor_mark_is_passed_over(client: Client) -> None:
    forged = mark_row(Mark("pumasi.commands.v1-0-0", Place(COMMANDS, 0, 9), 0, "x"))
    odd: list[tuple[bytes | None, bytes | None, list]] = [
        (b"k", b"v", []),
        (b"k", None, [(PREFIX + "topic", b"orders"), (PREFIX + "partition", b"0"), (PREFIX + "offset", b"1")]),
        (b"k", b"v", [(PREFIX + "topic", None)]),
        (forged[0], b"{}", list(forged[2])),
        (forged[0], b'{"topic":"pumasi.commands.v1","partition":-1,"offset":9,"run":"x"}', list(forged[2])),
    ]
    for key, value, heads in odd:
        await client.producer.send_and_wait(DEADLETTERS, value, key, JILIN, headers=heads)
    records = await many_letters(client, 1)
    assert list((await box_of(client)).letters) == ["pumasi.commands.v1-0-0"]
    assert outcomes(await put_back(client)) == {"replayed": 1}
    assert len(await client.read(COMMANDS, JILIN, 1)) == len(records)


async def test_letters_that_kafka_has_forgotten_meanwhile_are_told_gone(client: Client) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

    await many_letters(client, 4)
    box = await box_of(client)
    admin = AIOKafkaAdminClient(bootstrap_servers=client.bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(DEADLETTERS, JILIN): RecordsToDelete(2)})
    await admin.close()
    assert [r.outcome for r in await put_back(client, box)] == [Outcome.GONE] * 2 + [Outcome.REPLAYED] * 2


# ---- and all at once ------------------------------------------------------------------------------------------------------


async def test_a_crash_in_the_middle_leaves_nothing_behind_and_holds_nobody_up(client: Client) -> None:
    records = await many_letters(client, 3)
    dying = FencedWriter(client.bootstrap, f"pumasi-replay-{JILIN}")
    await dying.fence()
    opened = dying.transaction()
    transaction = await opened.__aenter__()
    half = [(record.key, record.value, record.headers) for record in records[:2]]
    offsets = await transaction.append(COMMANDS, JILIN, half)
    mark = Mark("pumasi.commands.v1-0-0", Place(COMMANDS, JILIN, offsets[0]), 0, "dying")
    await transaction.append(DEADLETTERS, JILIN, [mark_row(mark)])
    assert outcomes(await put_back(client)) == {"replayed": 3}
    with contextlib.suppress(Exception):  # what it had begun is over
        await opened.__aexit__(None, None, None)
    await assert_each_once(client, records)


async def test_a_mark_behind_another_services_open_transaction_is_waited_for(client: Client) -> None:
    records = await many_letters(client, 1)
    stale = await box_of(client)
    matcher, operator = (
        FencedWriter(client.bootstrap, "some-matcher"),
        FencedWriter(client.bootstrap, f"pumasi-replay-{JILIN}"),
    )
    await matcher.fence()
    opened = matcher.transaction()
    letters = await opened.__aenter__()
    await letters.append(DEADLETTERS, JILIN, [dead_letter(Rec(b"{", offset=9), "unreadable", "x")])
    await operator.fence()
    async with operator.transaction() as transaction:
        [offset] = await transaction.append(COMMANDS, JILIN, [(b"jilin", records[0].value, records[0].headers)])
        mark = Mark("pumasi.commands.v1-0-0", Place(COMMANDS, JILIN, offset), 0, "another")
        await transaction.append(DEADLETTERS, JILIN, [mark_row(mark)])
    await operator.close()
    asking = asyncio.create_task(put_back(client, stale))
    _, waiting = await asyncio.wait({asking}, timeout=2)
    assert waiting, "nobody can know yet whether the letter has its mark"
    await opened.__aexit__(None, None, None)
    await matcher.close()
    assert outcomes(await asking) == {"already_replayed": 1}
    await assert_each_once(client, records)


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_lost_reply_to_the_commit_is_looked_up_in_the_log(client: Client, monkeypatch, arrived: bool) -> None:
    records = await many_letters(client, 250)
    commit, calls = FencedWriter._commit, []

    async def lose_the_second_reply(writer: FencedWriter, producer: Any) -> None:
        calls.append(producer)
        if len(calls) == 2 and not arrived:
            raise TimeoutError
        await commit(writer, producer)
        if len(calls) == 2:
            raise TimeoutError

    monkeypatch.setattr(FencedWriter, "_commit", lose_the_second_reply)
    results = await put_back(client)
    assert outcomes(results) == {"replayed": 250}, "we did it, and found out"
    await assert_each_once(client, records)


async def cli(client: Client, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "deadletters", *arguments, "--json",
        env={**os.environ, "PUMASI_KAFKA": client.bootstrap},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def told(client: Client, *arguments: str, status: int = 0) -> dict[str, Any]:
    """What the command prints as JSON: on standard output, or on standard error if it fails."""
    process = await cli(client, *arguments)
    async with asyncio.timeout(DEADLINE_SECONDS):
        out, errors = await process.communicate()
    assert process.returncode == status, errors.decode()
    assert bool(out) != bool(errors), errors.decode()
    return json.loads(out or errors)


async def test_a_filter_that_can_match_nothing_is_told_with_what_there_is_and_one_that_matches_nothing_today_is_none(
    client: Client,
) -> None:
    await many_letters(client, 2)
    assert (await told(client, "list", "--code", "unreadable"))["matched"] == 2
    for today in (["--code", "id_conflict"], ["--fund", "nobody"], ["--partition", "3"], ["--source", "submissions"]):
        assert (await told(client, "list", *today))["matched"] == 0
    for never, hint in (
        (["--code", "nope"], "There are: unreadable."),
        (["--partition", "4"], "0 to 3 are there."),
        (["--partition", "9", "--source", "commands"], "0 to 3 are there."),
        (["--fund", "no fund"], "It is 1 to 64 of A-Z a-z 0-9 . _ ~ -"),
    ):
        for command in ("list", "replay"):
            refused = await told(client, command, *never, status=2)
            assert (refused["code"], refused["hint"]) == ("usage", hint)


async def until_some_are_put_back(client: Client, partition: int = JILIN) -> None:
    async with AIOKafkaConsumer(bootstrap_servers=client.bootstrap, isolation_level="read_committed") as consumer:
        place = TopicPartition(COMMANDS, partition)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (await consumer.end_offsets([place]))[place] == 0:
                await asyncio.sleep(0.002)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
async def test_a_replay_that_is_killed_or_stopped_half_way_is_finished_by_the_next(
    client: Client, blow: signal.Signals
) -> None:
    number = 4000
    records = await many_letters(client, number)
    first = await cli(client, "replay", "--all")
    await until_some_are_put_back(client)
    first.send_signal(blow)
    await first.communicate()
    assert first.returncode in (-signal.SIGKILL, 128 + signal.SIGINT)
    counts = (await told(client, "replay", "--source", "commands"))["counts"]
    assert 0 < counts["replayed"] < number, "it was hit half-way"
    await assert_each_once(client, records)
    assert (await told(client, "replay", "--all"))["letters"] == []


async def test_two_operators_at_once_put_each_letter_back_once(client: Client) -> None:
    number = 1000
    records = await many_letters(client, number)
    answers = await asyncio.gather(*(told(client, "replay", "--all") for _ in range(2)))
    assert sum(answer["counts"]["replayed"] for answer in answers) == number
    assert all(answer["ok"] for answer in answers)
    await assert_each_once(client, records)


async def test_an_operator_who_was_asleep_wakes_up_to_find_it_done(client: Client) -> None:
    number = 4000
    records = await many_letters(client, number)
    asleep = await cli(client, "replay", "--all")
    await until_some_are_put_back(client)
    asleep.send_signal(signal.SIGSTOP)
    others = (await told(client, "replay", "--all"))["counts"]["replayed"]
    asleep.send_signal(signal.SIGCONT)
    async with asyncio.timeout(DEADLINE_SECONDS):
        out, errors = await asleep.communicate()
    assert (asleep.returncode, errors) == (0, b"")
    answer = json.loads(out)
    assert answer["counts"]["replayed"] + others == number
    assert answer["counts"]["already_replayed"] == others
    await assert_each_once(client, records)


# ---- with a matcher -------------------------------------------------------------------------------------------------------


async def test_a_command_that_the_matcher_has_learned_to_read_is_applied_once_and_else_a_duplicate(
    client: Client,
) -> None:
    pledge = {"fund": "jilin", "amount": 5, "currency": "CNY"}
    values = [json.dumps({**pledge, "pledge": f"p-{n}", "donor": f"d-p-{n}"}).encode() for n in (1, 2)]
    heads = [headers("pumasi.pledge.made", f"old-{n}") for n in range(2)]
    await letters_of(client, [Rec(value, headers=heads[n], offset=90 + n) for n, value in enumerate(values)])
    await client.fund("jilin")
    await client.pledge("jilin", "p-2", 5)
    await client.flush()
    async with running(client.bootstrap):
        await client.ledger("jilin", 2)
        assert outcomes(await put_back(client)) == {"replayed": 2}
        await client.ledger("jilin", 4)
    entries = await client.ledger("jilin", 4)
    assert [entry["cause"]["id"] for entry in entries[2:]] == ["old-0", "old-1"]
    assert [kinds(entry)[0] for entry in entries[2:]] == ["pledge_accepted", "duplicate"]
    await assert_audit_holds(client.bootstrap)


async def test_what_still_cannot_be_read_becomes_a_letter_of_its_own_that_names_the_first(client: Client) -> None:
    await client.fund("jilin")
    await client.flush()
    await client.raw(JILIN, b"jilin", b'{"fund":"jilin"}', headers("pumasi.pledge.made", "x"))
    async with running(client.bootstrap):
        await client.read(DEADLETTERS, JILIN, 1)
        [first] = await put_back(client)
        await client.ledger("jilin", 3)
        await client.read(DEADLETTERS, JILIN, 3)
    entries = await client.ledger("jilin", 3)
    letters = await client.read(DEADLETTERS, JILIN, 3)
    assert len(letters) == 3, "two letters, and the mark of what was put back"
    await assert_audit_holds(client.bootstrap)
    box = await box_of(client)
    again = box.trail(first.letter)
    assert (first.letter.id, again.id) == ("pumasi.commands.v1-0-1", str(first.to))
    assert (again.replay_of, again.refusal) == (first.letter.id, None)
    assert [entry["facts"][0].get("code") for entry in entries[1:]] == ["unreadable", "unreadable"]
    results = await put_back(client, Box({again.id: again}))  # nothing ends the trail but the operator
    assert outcomes(results) == {"replayed": 1}
    [_, _, _, last] = [dict(record.headers) for record in await client.read(COMMANDS, JILIN, 4)]
    assert last[REPLAY_OF] == again.id.encode()


# ---- by the command line --------------------------------------------------------------------------------------------------


async def test_the_commands_tell_one_document_each_and_their_exit_status_what_they_found(client: Client) -> None:
    contact = Rec(b'{"fund":"jilin","contact":"kakao:kim"}', offset=1)
    await letters_of(client, [Rec(b'{"fund":"jilin"}'), contact])
    await letters_of(client, [Rec(b'{"fund":"yanji"}', topic=SUBMISSIONS, partition=3)])
    first, second, third = "pumasi.commands.v1-0-0", "pumasi.commands.v1-0-1", f"{SUBMISSIONS}-3-0"
    listed = await told(client, "list")
    assert [one["id"] for one in listed["letters"]] == [first, second, third]
    assert (listed["matched"], listed["shown"]) == (3, 3)
    assert [one["replayable"] for one in listed["letters"]] == [True, False, False]
    assert {key: listed["letters"][0][key] for key in ("code", "message", "fund", "withheld", "replay_of", "replayed")} == {
        "code": "unreadable", "message": "value: not JSON", "fund": "jilin", "withheld": [], "replay_of": None, "replayed": None,
    }  # fmt: skip
    shown = await told(client, "show", second)
    assert shown["withheld"] == ["value"]
    assert shown["value"] == '{"fund":"jilin","[removed]":1}'
    assert (shown["key"], shown["headers"][0]) == ("jilin", ["ce_specversion", "1.0"])
    dry = await told(client, "replay", "--source", "commands", "--dry-run", status=1)
    assert [one["outcome"] for one in dry["letters"]] == ["would_replay", "withheld"]
    assert await client.read(COMMANDS, JILIN, 0) == []
    done = await told(client, "replay", first)
    assert (done["ok"], done["counts"]["replayed"]) == (True, 1)
    assert (await told(client, "replay", first, first))["counts"]["already_replayed"] == 1
    refused = await told(client, "replay", second, status=1)
    assert (refused["letters"][0]["outcome"], "send it again" in refused["letters"][0]["hint"]) == ("withheld", True)
    left = await told(client, "list", "--not-replayed", "--limit", "1")
    assert ([one["id"] for one in left["letters"]], left["matched"]) == ([third], 2)
    [replayed] = (await told(client, "list", "--code", "unreadable", "--fund", "jilin", "--partition", "0"))["letters"][
        :1
    ]
    assert replayed["replayed"]["to"] == {"topic": COMMANDS, "partition": 0, "offset": 0}
    assert (await told(client, "list", "--since", "2000-01-01", "--until", "2000-01-02"))["letters"] == []


async def test_what_is_not_there_is_said_with_a_stable_code(client: Client) -> None:
    for name in ("show", "replay"):
        assert (await told(client, name, "pumasi.commands.v1-0-7", status=1))["code"] == "unknown_id"
    assert (await told(client, "list", "--kafka", "127.0.0.1:1", status=1))["code"] == "kafka_unreachable"


async def test_filters_do_not_let_poison_go_round(client: Client) -> None:
    name = "pumasi.commands.v1-0-0"
    await letters_of(
        client,
        [Rec(b'{"fund":"jilin"}', headers=[*headers("pumasi.pledge.made", "x"), (REPLAY_OF, name.encode())], offset=5)],
    )
    over = await told(client, "replay", "--all")
    assert (over["letters"], over["passed_over"]) == ([], 1)
    assert (await told(client, "replay", "--all", "--again"))["counts"]["replayed"] == 1
