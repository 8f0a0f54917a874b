"""The embedded broker's promises: it answers when it says so, keeps its data through anything, and is never left behind."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.bus import topics
from services.bus.embedded import EmbeddedKafka, classes, keep_up, running_broker
from services.bus.embedded.ports import Reservation
from services.errors import BrokerFailed, DataDirForeign, DataDirLocked, PortTaken
from services.settings import OPEN
from tests.waiting import is_gone, until

NewKafka = Callable[..., EmbeddedKafka]
DEADLINE_S = 60


async def put(bootstrap: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topics.COMMANDS, value, partition=0)


async def get(bootstrap: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None) as consumer:
        partition = TopicPartition(topics.COMMANDS, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        async with asyncio.timeout(DEADLINE_S):
            return [(await consumer.getone()).value for _ in range(count)]


@contextlib.asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict]]:
    """`pumasi kafka --json …` as a process of its own, once its line has come."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "kafka", "--json", "--kafka-port", "0", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE_S):
            line = await process.stdout.readline()
        assert line, (await process.stderr.read()).decode()
        yield process, json.loads(line)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def test_what_was_written_is_there_after_a_clean_stop_on_another_port(
    new_kafka: NewKafka, data_dir: Path
) -> None:
    first = new_kafka()
    before = await first.start()
    assert running_broker(data_dir).bootstrap == before
    await topics.ensure(before)
    await put(before, [b"one", b"two"])
    jvm = first.pid
    await first.stop()
    assert is_gone(jvm)
    assert running_broker(data_dir) is None
    assert (data_dir / "kafka" / "log" / ".kafka_cleanshutdown").exists(), "Kafka's own mark: nothing to recover"

    after = await new_kafka().start()
    assert after != before
    assert await get(after, 2) == [b"one", b"two"]


async def test_what_was_acknowledged_survives_kill_9_of_the_broker(new_kafka: NewKafka, data_dir: Path) -> None:
    first = new_kafka()
    await topics.ensure(await first.start())
    values = [str(number).encode() for number in range(200)]
    await put(first.bootstrap, values)
    jvm = first.pid
    await first.kill()
    assert is_gone(jvm)
    assert running_broker(data_dir) is None, "a broker.json left by a crash is not believed"

    second = new_kafka()
    await second.start()
    assert await get(second.bootstrap, 200) == values
    assert not [report for report in await topics.check(second.bootstrap) if report.is_finding]


async def test_a_broker_that_ends_by_itself_is_told(fresh_kafka: EmbeddedKafka) -> None:
    os.kill(fresh_kafka.pid, signal.SIGKILL)
    with pytest.raises(BrokerFailed, match="ended by itself, by SIGKILL") as told:
        async with asyncio.timeout(DEADLINE_S):
            await fresh_kafka.wait()
    assert "INFO" not in told.value.message


async def test_a_broker_that_is_kept_comes_back_at_its_address_with_all_it_had(new_kafka: NewKafka) -> None:
    broker, told = new_kafka(), []
    before = await broker.start()
    await topics.ensure(before)
    await put(before, [b"one"])
    keeping = asyncio.create_task(keep_up(broker, told.append))
    await asyncio.sleep(0)  # it watches by now: of an end before that it would have nothing to tell
    try:
        killed = broker.pid
        os.kill(killed, signal.SIGKILL)
        await until(lambda: len(told) == 2, "it is back")
        assert "SIGKILL" in told[0]
        assert (broker.bootstrap, broker.pid != killed) == (before, True)
        assert running_broker(broker.data).pid == broker.pid
        assert await get(before, 1) == [b"one"]
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_a_broker_whose_port_another_program_took_is_given_up_in_the_end(fresh_kafka: EmbeddedKafka) -> None:
    os.kill(fresh_kafka.pid, signal.SIGKILL)
    await until(lambda: not fresh_kafka.running, "it has ended")
    told = []
    with (
        socket.create_server(("127.0.0.1", fresh_kafka.port)),
        pytest.raises(PortTaken, match=r"taken by .*3 times in a row"),
    ):
        await asyncio.wait_for(keep_up(fresh_kafka, told.append, failures_in_a_row=3), DEADLINE_S)
    assert len(told) == 2
    await fresh_kafka.stop()
    assert running_broker(fresh_kafka.data) is None


async def test_no_other_pumasi_gets_the_port_of_a_broker_that_is_just_restarting(
    new_kafka: NewKafka, tmp_path: Path
) -> None:
    port = 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    holder = Reservation()
    holder.take(port)
    other = new_kafka(tmp_path / "other", port)
    with pytest.raises(PortTaken):
        await other.start()
    assert not other.running
    holder.release()
    assert await other.start() == f"127.0.0.1:{port}"


async def test_a_data_directory_that_is_a_file_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "services.cli",
        "up",
        "--data",
        str(tmp_path / "file"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert process.returncode == 1
    assert b"can't be used as a data directory" in errors
    assert b"Traceback" not in errors


async def test_kill_9_of_the_parent_leaves_no_jvm(data_dir: Path) -> None:
    async with command("--data", str(data_dir)) as (process, line):
        running = running_broker(data_dir)
        assert running.bootstrap == line["kafka"]
        guard = psutil.Process(running.pid).ppid()
        assert psutil.Process(guard).ppid() == process.pid
        process.kill()
        await until(lambda: is_gone(running.pid) and is_gone(guard), "the JVM and its guard are gone")


async def test_a_start_waits_for_the_broker_of_a_parent_that_was_killed(new_kafka: NewKafka, data_dir: Path) -> None:
    async with command("--data", str(data_dir)) as (process, line):
        await put(line["kafka"], [b"kept"])
        process.kill()
        await process.wait()
        broker = new_kafka()
        assert await get(await broker.start(), 1) == [b"kept"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_kill_9_of_the_guard_leaves_no_jvm(fresh_kafka: EmbeddedKafka) -> None:
    jvm = fresh_kafka.pid
    psutil.Process(psutil.Process(jvm).ppid()).kill()
    await until(lambda: is_gone(jvm), "the JVM is gone")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_command_cleanly(data_dir: Path, number: signal.Signals) -> None:
    async with command("--data", str(data_dir)) as (process, line):
        assert list(line) == ["kafka", "kafka_config"]
        jvm = running_broker(data_dir).pid
        process.send_signal(number)
        output, errors = await asyncio.wait_for(process.communicate(), DEADLINE_S)
        assert (process.returncode, output, errors) == (0, b"", f"{OPEN}\n".encode())
        assert is_gone(jvm)


async def test_a_port_asked_for_that_is_taken_is_said_with_its_holder(new_kafka: NewKafka, data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} .* taken") as told:
            await new_kafka(port=port).start()
    assert "--kafka-port" in told.value.hint
    assert not list(data_dir.iterdir()), "nothing was made"


async def test_the_usual_port_taken_and_nothing_asked_gives_a_free_one(new_kafka: NewKafka) -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # something else holds it: as good
            stack.enter_context(socket.create_server(("127.0.0.1", 9092)))
        assert not (await new_kafka(port=None).start()).endswith(":9092")


async def test_a_directory_in_use_is_refused_with_the_owner(fresh_kafka: EmbeddedKafka, new_kafka: NewKafka) -> None:
    with pytest.raises(DataDirLocked, match=str(os.getpid())):
        await new_kafka().start()
    assert fresh_kafka.running


async def test_a_directory_of_other_files_is_refused_and_left_alone(new_kafka: NewKafka, data_dir: Path) -> None:
    (data_dir / "thesis.txt").write_text("mine")
    with pytest.raises(DataDirForeign, match=r"thesis\.txt"):
        await new_kafka().start()
    assert [entry.name for entry in data_dir.iterdir()] == ["thesis.txt"]


async def test_another_clusters_log_is_refused_and_a_format_cut_short_is_redone(
    new_kafka: NewKafka, data_dir: Path
) -> None:
    (data_dir / "pumasi.json").write_text('{"pumasi": 1, "cluster": "AAAAAAAAAAAAAAAAAAAAAA"}')
    log = data_dir / "kafka" / "log"
    log.mkdir(parents=True)
    (log / "meta.properties").write_text("version=1\ncluster.id=BBBBBBBBBBBBBBBBBBBBBB\nnode.id=1\n")
    with pytest.raises(DataDirForeign, match="another Kafka cluster"):
        await new_kafka().start()

    (log / "meta.properties").rename(log / "half-written")
    broker = new_kafka()
    await broker.start()
    assert broker.cluster == "AAAAAAAAAAAAAAAAAAAAAA"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process has mapped")
@pytest.mark.skipif(not classes.home().exists(), reason="Kafka's classes lie ready once all tests were run")
async def test_brokers_of_tests_start_from_classes_that_lie_ready(kafka: EmbeddedKafka) -> None:
    """Java passes over what doesn't fit without a word."""
    assert str(classes.home()) in Path(f"/proc/{kafka.pid}/maps").read_text()


@pytest.mark.skipif(not classes.home().exists(), reason="Kafka's classes lie ready once all tests were run")
async def test_a_broker_starts_although_the_classes_that_lie_ready_are_damaged(
    new_kafka: NewKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a power cut can leave them, in whose midst Java would crash at each start."""
    damaged = Path(shutil.copy(classes.home(), tmp_path))
    third = damaged.stat().st_size // 3
    with damaged.open("r+b") as file:
        file.seek(third)
        file.write(bytes(third))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert classes.home() == damaged
    await new_kafka().start()
    assert not damaged.exists()
