"""The notifier on a real broker: everything committed is told, at least once, under one id; nothing else is.

Entries are written as the matcher writes them, in transactions; what must be told of them is asked of the pure audience.
"""

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faststream.kafka import KafkaBroker
from nacl.public import PrivateKey, SealedBox

from schemas.notices import Notice, Tidings
from services import keys
from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from services.bus.partition import partition_of
from services.bus.produce.publisher import Publisher
from services.bus.topics import CONTACTS, LEDGER, NOTICES
from services.notifier import app, screen, untold
from services.notifier.languages import Languages
from services.notifier.teller import Teller, Told
from services.notifier.untold import TOGETHER_MAX
from services.settings import OPEN, Settings
from tests.broker.raw import put_out
from tests.broker.told_ledger import PARTITIONS, Ledger, delivered, opening, paid, pledged
from tests.telling import Receiver

DEADLINE_S = 60
SOON = {"session_timeout_ms": "6000"}  # the least Kafka takes: how long a killed member's partitions wait for another
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


@pytest.fixture(autouse=True)
def _no_keys_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's notifiers have a data directory, so keys, of their own."""
    monkeypatch.setenv("PUMASI_DATA", str(tmp_path))


class Process:
    """`pumasi notifier --json` as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            line = await self.process.stdout.readline()
        assert line, (await self.process.stderr.read()).decode()
        return json.loads(line)

    async def notices(self, count: int) -> list[dict[str, Any]]:
        return [await self.line() for _ in range(count)]

    async def kill(self) -> list[dict[str, Any]]:
        """kill -9; returns what it had told and nobody had read yet, which is told all the same (a line cut off is not)."""
        self.process.kill()
        rest = await asyncio.wait_for(self.process.stdout.read(), DEADLINE_S)
        await self.process.wait()
        return [json.loads(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """The exit status, and standard error but for what an open installation says at each start."""
        self.process.send_signal(number)
        _, errors = await asyncio.wait_for(self.process.communicate(), DEADLINE_S)
        said = errors.decode().splitlines(keepends=True)
        return self.process.returncode, "".join(line for line in said if OPEN not in line)


@contextlib.asynccontextmanager
async def notifier(bootstrap: str, *arguments: str, wait: bool = True, **settings: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "notifier", "--json", "--kafka", bootstrap, *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 15,  # unread, it stands still half-way
        env={**os.environ, **{f"PUMASI_{name.upper()}": value for name, value in (SOON | settings).items()}},
    )  # fmt: skip
    try:
        started = Process(process)
        if wait:
            assert await started.line() == {"ready": "notifier"}
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.communicate(), DEADLINE_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def recorded(bootstrap: str, until: set[str]) -> list[Any]:
    """The records on the notices topic, read until all ids of `until` are there and nothing is left unread."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest") as consumer:
        places = [TopicPartition(NOTICES, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found: list[Any] = []
        async with asyncio.timeout(DEADLINE_S):
            while until - {dict(record.headers)["ce_id"].decode() for record in found}:
                for part in (await consumer.getmany(timeout_ms=200)).values():
                    found += part
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < ends[place] for place in places]):
                for part in (await consumer.getmany(timeout_ms=200)).values():
                    found += part
    return found


async def group_offset(bootstrap: str, partition: int) -> int | None:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=app.GROUP, enable_auto_commit=False) as consumer:
        place = TopicPartition(LEDGER, partition)
        consumer.assign([place])
        return await consumer.committed(place)


async def test_what_the_ledger_says_is_told_shown_and_recorded(topics_reset: EmbeddedKafka) -> None:
    kafka = topics_reset.bootstrap
    async with Ledger(kafka, "jilin") as ledger, notifier(kafka) as process:
        await ledger.write(opening("jilin", 1000), pledged(1, 300), paid(1, 300))
        await ledger.write(delivered(200))
        lines = await process.notices(len(ledger.expected))
        assert [line["kind"] for line in lines] == [
            "opened", "opened", "matched", "payment-due", "progress", "progress", "settled", "delivered", "delivered", "delivered",
        ]  # fmt: skip
        assert [line["id"] for line in lines] == list(ledger.expected)
        assert lines[2]["text"].startswith("Your pledge goes where it is needed: CNY 3.00 for medicine")
        assert await process.stop() == (0, "")
        for record in await recorded(kafka, set(ledger.expected)):
            headers = {name: value.decode() for name, value in record.headers}
            notice = Notice.model_validate_json(record.value)
            assert headers == {
                "ce_specversion": "1.0", "ce_id": notice.id, "ce_source": "/pumasi/notifier", "ce_type": "pumasi.notice.told",
                "ce_time": headers["ce_time"], "content-type": "application/json",
            }  # fmt: skip
            assert record.key == notice.to.encode()
            assert record.partition == partition_of(notice.to, PARTITIONS)
            assert (
                Tidings(**{name: getattr(notice, name) for name in Tidings.model_fields}) == ledger.expected[notice.id]
            )
            assert (notice.channel, notice.outcome, notice.attempts) == ("terminal", "delivered", 1)


def sealed(key: PrivateKey, subject: str, language: str) -> bytes:
    content = json.dumps({"address": f"mailto://{subject}@example.org", "language": language}).encode()
    box = base64.b64encode(SealedBox(key.public_key).encrypt(content)).decode()
    return json.dumps({"subject": subject, "sealed_contact": box}).encode()


async def give(bootstrap: str, subject: str, value: bytes | None, **headers: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        partition = partition_of(subject.partition("/")[0], PARTITIONS)
        said = [(name, text.encode()) for name, text in headers.items()]
        await producer.send_and_wait(CONTACTS, value, subject.encode(), partition, headers=said)


async def test_each_is_told_in_the_language_of_their_contact(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    kafka, stranger = topics_reset.bootstrap, PrivateKey.generate()
    key = keys.notifier_private_key(Settings(data=tmp_path))
    await give(kafka, "v-1", sealed(key, "v-1", "zh"))
    await give(kafka, "d-1", sealed(key, "d-1", "ko"))
    await give(kafka, "d-2", sealed(stranger, "d-2", "ko"))
    async with Ledger(kafka, "jilin") as ledger:
        await ledger.write(opening("jilin", 10_000), pledged(1), pledged(2))  # there before the notifier
        async with notifier(kafka, data=str(tmp_path)) as process:
            lines = await process.notices(len(ledger.expected))
            texts = {(line["to"], line["kind"]): line["text"] for line in lines}
            assert texts["v-1", "opened"].startswith("个案 c-1 已开始募集")
            assert texts["d-1", "matched"].startswith("약정하신 마음이")
            assert texts["d-2", "matched"].startswith("Your pledge")  # sealed for somebody else
            await give(kafka, "d-3", sealed(key, "d-3", "zh"))  # as with a pledge: contact and command at once
            await ledger.write(pledged(3))
            matched, _ = await process.notices(2)
            assert matched["text"].startswith("您的认捐已找到")
            await give(kafka, "d-1", None)
            await give(kafka, "d-4", sealed(key, "d-4", "ko"))  # unknown: all that was given by then is read first
            await ledger.write(pledged(4), paid(1))
            matched, _, settled = await process.notices(3)
            assert (matched["to"], matched["text"][:3]) == ("d-4", "약정하")
            assert (settled["to"], settled["text"][:20]) == ("d-1", "Your payment has arr")
            status, said = await process.stop()
            assert (status, said.count("ERROR"), "can't be opened" in said) == (0, 1, True)  # d-2's box is an alarm
        assert not [record for record in await recorded(kafka, set(ledger.expected)) if b"example.org" in record.value]


async def test_a_machine_without_the_private_key_speaks_the_language_of_the_settings(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    kafka, elsewhere = topics_reset.bootstrap, PrivateKey.generate()
    await give(kafka, "v-1", sealed(elsewhere, "v-1", "zh"))
    public = base64.b64encode(bytes(elsewhere.public_key)).decode()
    async with (
        Ledger(kafka, "jilin") as ledger,
        notifier(kafka, data=str(tmp_path), notifier_public_key=public, language="ko") as process,
    ):
        await ledger.write(opening("jilin", 1000))
        assert (await process.line())["text"].startswith("사례 c-1 모금이")
        assert await process.stop() == (0, "")
    assert not list(tmp_path.rglob("notifier.key"))  # a new one would open nothing


async def test_a_clean_restart_tells_nothing_again_and_remembers_all(topics_reset: EmbeddedKafka) -> None:
    kafka = topics_reset.bootstrap
    async with Ledger(kafka, "jilin") as ledger:
        await ledger.write(opening("jilin", 1000), pledged(1, 300), pledged(2, 100))
        async with notifier(kafka) as process:  # a new group tells an old ledger from its beginning
            await process.notices(len(ledger.expected))
            assert (await process.stop(signal.SIGINT))[0] == 0
        before = set(ledger.expected)
        async with notifier(kafka) as process:
            await ledger.write(paid(2), paid(1, 300), delivered(350))
            lines = await process.notices(len(ledger.expected) - len(before))
        assert {line["id"] for line in lines} == set(ledger.expected) - before
        assert [(line["to"], line.get("delivered")) for line in lines if line["kind"] == "delivered"] == [
            ("b-1", 350), ("v-1", None), ("d-1", 300), ("d-2", 50),
        ]  # fmt: skip


async def test_what_was_aborted_is_never_told(topics_reset: EmbeddedKafka) -> None:
    kafka = topics_reset.bootstrap
    async with Ledger(kafka, "jilin") as ledger, notifier(kafka) as process:
        await ledger.write(opening("jilin", 1000))
        await ledger.write_and_abort(pledged(666))
        await ledger.write(pledged(1))
        await ledger.write_and_abort(pledged(667))
        await ledger.write_and_abort(pledged(668))
        await ledger.write(pledged(2))
        lines = await process.notices(len(ledger.expected))
        assert [line["id"] for line in lines] == list(ledger.expected)
        records = await recorded(kafka, set(ledger.expected))
        assert len(records) == len(ledger.expected)
        assert not [record for record in records if b"d-66" in record.value]


async def test_kill_9_half_way_loses_nothing_and_repeats_under_the_same_ids(topics_reset: EmbeddedKafka) -> None:
    kafka = topics_reset.bootstrap
    async with Ledger(kafka, "jilin") as ledger:
        await ledger.write(opening("jilin", 100_000))
        for start in range(0, 900, 100):
            await ledger.write(*(pledged(number) for number in range(start, start + 100)))
        told: list[str] = []
        for part in (1, 900):
            async with notifier(kafka) as process:
                told += [line["id"] for line in await process.notices(part) + await process.kill()]
            await put_out(kafka, app.GROUP)
        await ledger.write(paid(0), delivered(100))
        async with notifier(kafka) as process:
            while set(ledger.expected) - set(told):
                told.append((await process.line())["id"])
            assert (await process.stop())[0] == 0
        assert set(told) == set(ledger.expected)
        records = await recorded(kafka, set(ledger.expected))
        notices = [Notice.model_validate_json(record.value) for record in records]
        assert {notice.id for notice in notices} == set(ledger.expected)
        for notice in notices:
            assert (
                Tidings(**{name: getattr(notice, name) for name in Tidings.model_fields}) == ledger.expected[notice.id]
            )


async def test_two_notifiers_share_the_partitions_and_one_that_dies_is_replaced(topics_reset: EmbeddedKafka) -> None:
    kafka = topics_reset.bootstrap
    funds = ["jilin", "yanji", "shenyang", "incheon"]
    assert {partition_of(fund, PARTITIONS) for fund in funds} == {0, 1, 2, 3}
    async with contextlib.AsyncExitStack() as stack:
        ledgers = [await stack.enter_async_context(Ledger(kafka, fund)) for fund in funds]
        first = await stack.enter_async_context(notifier(kafka))
        for ledger in ledgers:
            await ledger.write(opening(ledger.fund, 10_000), pledged(1), pledged(2))
        await first.notices(1)
        await stack.enter_async_context(notifier(kafka))
        for ledger in ledgers:
            await ledger.write(pledged(3), paid(1))
        first.process.kill()
        for ledger in ledgers:
            await ledger.write(pledged(4), delivered(50))
        expected = {name: one for ledger in ledgers for name, one in ledger.expected.items()}
        found = {dict(record.headers)["ce_id"].decode() for record in await recorded(kafka, set(expected))}
        assert found == set(expected)


async def test_a_gap_stops_its_partition_and_no_other(topics_reset: EmbeddedKafka) -> None:
    kafka = topics_reset.bootstrap
    async with Ledger(kafka, "jilin") as broken, Ledger(kafka, "yanji") as whole, notifier(kafka) as process:
        assert broken.partition != whole.partition
        await broken.write(opening("jilin", 1000))
        assert [line["kind"] for line in await process.notices(len(broken.expected))] == ["opened", "opened"]
        broken.seq += 1
        await broken.write(pledged(1))
        await whole.write(opening("yanji", 1000), pledged(1))
        assert {line["fund"] for line in await process.notices(len(whole.expected))} == {"yanji"}
        status, errors = await process.stop()
        assert status == 1
        assert f"partition {broken.partition} STOPPED" in errors
        assert await group_offset(kafka, whole.partition) is not None


async def test_a_notifier_waits_for_kafka_with_clear_words(kafka: EmbeddedKafka) -> None:
    async with notifier("127.0.0.1:1", wait=False) as process:
        async with asyncio.timeout(DEADLINE_S):
            said = OPEN
            while OPEN in said:
                said = (await process.process.stderr.readline()).decode()
        assert said.startswith("Waiting for Kafka: no Kafka broker answers at 127.0.0.1:1")
        assert await process.stop() == (0, "")


async def test_telling_goes_on_when_kafka_comes_back(new_kafka: Callable[..., EmbeddedKafka]) -> None:
    broker = new_kafka()
    kafka = await broker.start()
    await topics.ensure(kafka)
    async with notifier(kafka) as process:
        async with Ledger(kafka, "jilin") as ledger:
            await ledger.write(opening("jilin", 1000), pledged(1))
            told = {line["id"] for line in await process.notices(len(ledger.expected))}
        await broker.kill()
        await new_kafka(port=int(kafka.rpartition(":")[2])).start()
        async with ledger:
            await ledger.write(paid(1), delivered(100))
            while set(ledger.expected) - told:
                told.add((await process.line())["id"])
        assert told == set(ledger.expected)


async def test_a_hanging_webhook_holds_up_no_stop_and_what_was_not_told_is_told_later(
    topics_reset: EmbeddedKafka,
) -> None:
    kafka = topics_reset.bootstrap
    asked: asyncio.Queue[bytes] = asyncio.Queue()
    hanging = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.put_nowait(await reader.readuntil(b"\r\n\r\n"))
            if not hanging.is_set():
                await hanging.wait()
            writer.write(b"HTTP/1.1 204 Thanks\r\nconnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, Ledger(kafka, "jilin") as ledger:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        settings = {"webhook_url": url, "webhook_secret": SECRET, "webhook_allow_private": "1"}
        await ledger.write(opening("jilin", 1000))
        async with notifier(kafka, **settings) as process:
            async with asyncio.timeout(DEADLINE_S):
                first = await asked.get()
            assert await process.stop() == (0, "")
        assert f"webhook-id: {next(iter(ledger.expected))}".encode() in first
        hanging.set()
        async with notifier(kafka, **settings) as process:
            line = await process.line()
            assert (line["id"], line["channel"], line["outcome"]) == (
                next(iter(ledger.expected)),
                "webhook",
                "delivered",
            )
        async with notifier(kafka, webhook_url=url, webhook_secret=SECRET, wait=False) as process:
            _, errors = await asyncio.wait_for(process.process.communicate(), DEADLINE_S)
            assert process.process.returncode == 2
            assert json.loads(errors.splitlines()[-1])["code"] == "invalid_setting"


async def refuses(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        writer.write(b"HTTP/1.1 200 ")
        while not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)


async def puts_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Later\r\nretry-after: 20\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("receiver", [refuses, drips, puts_off])
async def test_no_receiver_holds_up_a_stop(receiver: Any, topics_reset: EmbeddedKafka) -> None:
    """Whatever it does, and with all that is logged."""
    kafka, asked = topics_reset.bootstrap, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await receiver(reader, writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, Ledger(kafka, "jilin") as ledger:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await ledger.write(opening("jilin", 100_000), *(pledged(number) for number in range(40)))
        settings = {"webhook_url": url, "webhook_secret": SECRET, "webhook_allow_private": "1", "log_level": "DEBUG"}
        async with notifier(kafka, **settings) as process:
            await asyncio.wait_for(asked.wait(), DEADLINE_S)
            async with asyncio.timeout(15):
                assert (await process.stop())[0] == 0


class ByPerson:
    """A receiver that doesn't answer about people in `slow`; `took` is what it has answered, by its id."""

    def __init__(self, *slow: str) -> None:
        self.slow, self.took, self.hung = {*slow}, asyncio.Queue[str](), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            notice = json.loads(await reader.readexactly(int(re.search(r"content-length: (\d+)", head)[1])))["data"]
            if notice["to"] in self.slow:
                self.hung.set()
                await reader.read()  # until the notifier gives up
            else:
                self.took.put_nowait(notice["id"])
                writer.write(b"HTTP/1.1 204 Thanks\r\nconnection: close\r\n\r\n")
                await writer.drain()
        writer.close()

    async def takes(self, ids: set[str]) -> list[str]:
        """All that it takes until it has these."""
        took: list[str] = []
        async with asyncio.timeout(DEADLINE_S):
            while ids - {*took}:
                took.append(await self.took.get())
        return took


async def test_one_whose_receiver_hangs_holds_up_nobody_and_loses_nothing(topics_reset: EmbeddedKafka) -> None:
    kafka, receiver = topics_reset.bootstrap, ByPerson("d-1")
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", 0) as server, Ledger(kafka, "jilin") as ledger:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        settings = {"webhook_url": url, "webhook_secret": SECRET, "webhook_allow_private": "1"}
        await ledger.write(opening("jilin", 10_000), pledged(1), pledged(2))
        async with notifier(kafka, **settings) as process:
            await asyncio.wait_for(receiver.hung.wait(), DEADLINE_S)
            await ledger.write(pledged(3), paid(1), paid(2))
            others = {one.id for one in ledger.expected.values() if one.to != "d-1"}
            await receiver.takes(others)
            await recorded(kafka, others)
            assert await group_offset(kafka, ledger.partition) in (None, 0, 1, 2, 3), (
                "what d-1 is to hear stays before it"
            )
            await process.kill()
        await put_out(kafka, app.GROUP)
        receiver.slow.clear()
        late = [one.id for one in ledger.expected.values() if one.to == "d-1"]
        assert len(late) > 1
        async with notifier(kafka, **settings) as process:
            again = await receiver.takes({*late})
            assert [one for one in again if one in late] == late, "in order"
            assert not others & {*again}, "what is recorded is not told again"
            assert (await process.stop())[0] == 0
        assert {dict(record.headers)["ce_id"].decode() for record in await recorded(kafka, {*late})} == {
            *ledger.expected
        }


# ---- inside the service: what a process from outside can't be made to do --------------------------------------------------


class Flaky(Teller):
    """Records, but for when it is to fail, as nobody foresaw; `fails` says after how many times, once each."""

    def __init__(self, *arguments: Any, fails: list[int]) -> None:
        super().__init__(*arguments)
        self.fails, self.recorded = fails, list[str]()
        self.defects: list[Exception] = []

    async def deliver(self, notice: Notice, trace: bytes | None = None) -> Notice:
        try:
            return await super().deliver(notice, trace)
        except Exception as error:
            self.defects.append(error)
            raise

    async def record(self, told: Sequence[Told]) -> None:
        if self.fails and not self.fails[0]:
            self.fails.pop(0)
            raise RuntimeError("as the test wants it")
        self.fails[:1] = [one - 1 for one in self.fails[:1]]
        await super().record(told)
        self.recorded += [one.id for one, _, _ in told]


@contextlib.asynccontextmanager
async def service(
    bootstrap: str, fails: Sequence[int] = (), webhook: Any = None
) -> AsyncIterator[tuple[KafkaBroker, Flaky]]:
    publisher = Publisher(lambda: bootstrap, [NOTICES, CONTACTS], "test")
    publisher.start()
    teller = Flaky(publisher, webhook, screen.quiet(), Languages("ko"), fails=list(fails))
    notifier = app.Notifier(lambda: bootstrap, teller)
    broker = notifier.broker(Settings().session_timeout_ms, publisher.in_reach.wait)
    await broker.start()
    try:
        yield broker, teller
    finally:
        await notifier.finish()
        await broker.stop()
        await publisher.stop()


async def until_so(teller: Flaky, condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            if teller.defects:  # such as a fake that a channel no longer fits: the notifier would try it for ever
                raise teller.defects[0]
            await asyncio.sleep(0.01)


async def until_told(teller: Flaky, ids: set[str]) -> None:
    await until_so(teller, lambda: not ids - {*teller.recorded})


async def test_whatever_fails_what_was_not_recorded_is_told_again_from_the_last_commit(
    topics_reset: EmbeddedKafka,
) -> None:
    kafka = topics_reset.bootstrap
    async with Ledger(kafka, "jilin") as ledger:
        await ledger.write(opening("jilin", 10_000), *(pledged(number) for number in range(100)))
        async with service(kafka, fails=[0, 1, 2]) as (_, teller):
            await until_told(teller, set(ledger.expected))
            await ledger.write(paid(1), delivered(100))
            await until_told(teller, set(ledger.expected))
        assert not teller.fails
        records = await recorded(kafka, set(ledger.expected))
        assert {dict(record.headers)["ce_id"].decode() for record in records} == set(ledger.expected)
        assert {Notice.model_validate_json(record.value).outcome for record in records} == {"suppressed"}


async def test_a_group_without_offsets_tells_only_what_was_never_recorded(
    topics_reset: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = topics_reset.bootstrap
    async with Ledger(kafka, "jilin") as ledger:
        await ledger.write(opening("jilin", 1000), pledged(1))
        async with service(kafka) as (_, teller):
            await until_told(teller, set(ledger.expected))
        before = set(ledger.expected)
        await ledger.write(pledged(2), paid(1), delivered(100))
        monkeypatch.setattr(app, "GROUP", "pumasi-notifier-that-forgot")
        async with service(kafka) as (_, teller):
            await until_told(teller, set(ledger.expected) - before)
        assert not before & {*teller.recorded}


async def test_a_consumer_that_stands_too_far_on_skips_nothing(topics_reset: EmbeddedKafka) -> None:
    kafka = topics_reset.bootstrap
    async with Ledger(kafka, "jilin") as ledger:
        await ledger.write(opening("jilin", 10_000))
        async with service(kafka) as (broker, teller):
            await until_told(teller, set(ledger.expected))
            consumer, place = broker.subscribers[0].consumer, TopicPartition(LEDGER, ledger.partition)
            consumer.pause(place)
            await ledger.write(pledged(1), pledged(2))
            ends = await consumer.end_offsets([place])
            consumer.seek(place, ends[place])
            consumer.resume(place)
            await ledger.write(pledged(3))
            await until_told(teller, set(ledger.expected))
            late = [one.id for one in ledger.expected.values() if one.to in ("d-1", "d-2", "d-3")]
            assert teller.recorded[-len(late) :] == late


async def test_a_flood_for_one_person_beyond_all_room_holds_up_no_other_partition_and_loses_nothing(
    topics_reset: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untold, "AHEAD_MAX", 20)
    kafka, receiver = topics_reset.bootstrap, Receiver("d-1")
    other = next(
        name
        for name in map("fund-{}".format, range(99))
        if partition_of(name, PARTITIONS) != partition_of("jilin", PARTITIONS)
    )
    async with Ledger(kafka, "jilin") as flooded, Ledger(kafka, other) as neighbour:
        flood = [pledged(number) for number in range(300)]
        for facts in flood:
            facts[0]["donor"] = "d-1"
        await flooded.write(opening("jilin", 1_000_000), *flood)
        async with service(kafka, webhook=receiver) as (broker, teller):
            [subscriber] = broker.subscribers
            await until_so(teller, lambda: subscriber.consumer and subscriber.consumer.paused())
            for number in range(3):  # and it goes on being told, again and again
                await neighbour.write(*([opening(other, 1000)] if not number else []), pledged(1000 + number))
                await until_told(teller, {*neighbour.expected})
            assert {place.partition for place in subscriber.consumer.paused()} == {flooded.partition}
            assert len({*teller.recorded} & {*flooded.expected}) < 2 * 20 + TOGETHER_MAX, (
                "reading runs ahead only so far"
            )
            receiver.answers.set()
            await until_told(teller, {*flooded.expected})
        to_them = [one.id for one in flooded.expected.values() if one.to == "d-1"]
        assert len(to_them) >= 300
        assert [one for one in teller.recorded if one in {*to_them}] == to_them, "in order, each once"
