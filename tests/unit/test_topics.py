"""Topics as data: what the contract fixes, and how a cluster's answer becomes findings. The real cluster answers in the last test."""

import time
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from services.bus.topics import Found, State, Topic, plan, wanted_topics
from services.cli.topics import _kept
from services.errors import KafkaUnreachable, TopicsMismatch

BY_NAME = {topic.name: topic for topic in wanted_topics()}


def as_wanted(topic: Topic) -> Found:
    return Found(topic.partitions, {"segment.bytes": "1073741824", **topic.config, **topic.tuning})


def test_the_contracts_topics_are_all_there() -> None:
    assert list(BY_NAME) == [
        f"pumasi.{name}.v1"
        for name in (
            "submissions",
            "commands",
            "ledger",
            "checkpoints",
            "contacts",
            "notices",
            "deadletters",
            "services",
            "senders",
        )
    ]
    for kept in (topics.COMMANDS, topics.LEDGER):
        assert BY_NAME[kept].config["retention.ms"] == "-1"
        assert BY_NAME[kept].config["cleanup.policy"] == "delete"
    for compacted in (topics.CHECKPOINTS, topics.CONTACTS, topics.SENDERS):
        assert BY_NAME[compacted].config["cleanup.policy"] == "compact"


@pytest.mark.parametrize(("replication", "in_sync"), [(1, "1"), (2, "1"), (3, "2"), (5, "4")])
def test_a_write_reaches_all_replicas_but_one(replication: int, in_sync: str) -> None:
    assert {topic.config["min.insync.replicas"] for topic in wanted_topics(4, replication)} == {in_sync}


def test_a_cluster_as_wanted_has_no_finding() -> None:
    assert {report.state for report in plan(wanted_topics(), {t.name: as_wanted(t) for t in wanted_topics()})} == {
        State.OK
    }


@pytest.mark.parametrize(
    ("partitions", "config", "detail"),
    [(8, {}, "partitions: 8, wanted 4"),
     (4, {"retention.ms": "604800000"}, "retention.ms: 604800000, wanted -1"),
     (4, {"max.message.bytes": "1048588"}, "max.message.bytes: 1048588, wanted at least 4194304")],
)  # fmt: skip
def test_what_differs_is_said(partitions: int, config: dict[str, str], detail: str) -> None:
    ledger = BY_NAME[topics.LEDGER]
    found = replace(as_wanted(ledger), partitions=partitions, config={**ledger.config, **config})
    (report,) = plan((ledger,), {ledger.name: found})
    assert (report.state, report.details) == (State.DIFFERS, (detail,))
    assert report.found == found, "what is there can be shown beside what is wanted"


def test_more_room_than_asked_for_is_no_finding() -> None:
    ledger = BY_NAME[topics.LEDGER]
    found = replace(as_wanted(ledger), config={**ledger.config, "max.message.bytes": "9999999"})
    assert plan((ledger,), {ledger.name: found})[0].state is State.OK


def test_what_would_only_be_quicker_to_read_is_advice_and_no_finding() -> None:
    checkpoints = BY_NAME[topics.CHECKPOINTS]
    made_before = replace(as_wanted(checkpoints), config={**checkpoints.config, "segment.bytes": "1073741824"})
    (report,) = plan((checkpoints,), {checkpoints.name: made_before})
    assert (report.state, report.is_finding, report.details) == (State.OK, False, ())
    assert "segment.bytes: 1073741824, quicker to read with 16777216" in report.advice
    assert len(report.advice) == len(checkpoints.tuning)
    assert plan((checkpoints,), {checkpoints.name: as_wanted(checkpoints)})[0].advice == ()


def test_a_topic_that_writers_stamp_is_advice_and_no_finding() -> None:
    ledger = BY_NAME[topics.LEDGER]
    made_before = replace(as_wanted(ledger), config={**ledger.config, "message.timestamp.type": "CreateTime"})
    (report,) = plan((ledger,), {ledger.name: made_before})
    assert (report.state, report.is_finding) == (State.OK, False)
    assert report.advice == ("message.timestamp.type: CreateTime, safe from a writer's wrong clock with LogAppendTime",)


def test_commands_must_carry_their_append_time() -> None:
    """By it the matcher tells which of them a wrong clock stamped; who can't go on without does not begin."""
    found = {topic.name: as_wanted(topic) for topic in wanted_topics()}
    topics.require(plan(wanted_topics(), found), list(found), "here")
    commands = BY_NAME[topics.COMMANDS]
    by_writers = {**commands.config, "message.timestamp.type": "CreateTime"}
    found[commands.name] = replace(found[commands.name], config=by_writers)
    reports = plan(wanted_topics(), found)
    assert [r.details for r in reports if r.is_finding] == [
        ("message.timestamp.type: CreateTime, wanted LogAppendTime",)
    ]
    topics.require(reports, [topics.LEDGER], "here")
    with pytest.raises(TopicsMismatch, match=r"pumasi\.commands\.v1 at here does not carry append times"):
        topics.require(reports, [topics.COMMANDS, topics.LEDGER], "here")
    del found[topics.LEDGER]
    with pytest.raises(TopicsMismatch, match=r"pumasi\.ledger\.v1 missing at here"):
        topics.require(plan(wanted_topics(), found), [topics.COMMANDS, topics.LEDGER], "here")


async def test_a_writer_with_a_wrong_clock_can_write_to_every_topic(topics_reset: EmbeddedKafka) -> None:
    """By default a broker refuses what is stamped more than an hour ahead of its own clock."""
    producer = AIOKafkaProducer(bootstrap_servers=topics_reset.bootstrap)
    await producer.start()
    try:
        for name in BY_NAME:
            for off_ms in (86_400_000, -86_400_000):
                stamp = int(time.time() * 1000) + off_ms
                told = await producer.send_and_wait(name, b"{}", b"k", partition=0, timestamp_ms=stamp)
                assert abs(told.timestamp - time.time() * 1000) < 3_600_000, "stamped by the broker"
    finally:
        await producer.stop()


def test_one_copy_on_several_brokers_is_warned_of() -> None:
    one, three = ({t.name: replace(as_wanted(t), replicas=copies) for t in wanted_topics()} for copies in (1, 3))
    warning = topics.one_copy(plan(wanted_topics(), one), 3)
    assert warning is not None
    assert warning.startswith("there is one copy of the topics, though Kafka has 3 brokers")
    assert "PUMASI_REPLICATION=3" in warning
    assert topics.one_copy(plan(wanted_topics(), one), 1) is None
    assert topics.one_copy(plan(wanted_topics(), three), 3) is None
    mixed = {**three, topics.LEDGER: one[topics.LEDGER]}
    assert "one copy of pumasi.ledger.v1," in (topics.one_copy(plan(wanted_topics(), mixed), 2) or "")


async def test_no_broker_is_said_plainly() -> None:
    with pytest.raises(KafkaUnreachable, match=r"127\.0\.0\.1:1"):
        await topics.check("127.0.0.1:1")


async def test_apply_makes_what_is_missing_once_and_never_alters(kafka: EmbeddedKafka) -> None:
    await topics.remove(kafka.bootstrap)
    assert {report.state for report in await topics.check(kafka.bootstrap)} == {State.MISSING}
    assert {report.state for report in await topics.apply(kafka.bootstrap)} == {State.CREATED}
    again = await topics.apply(kafka.bootstrap)
    assert {(report.state, report.advice) for report in again} == {(State.OK, ())}
    with pytest.raises(TopicsMismatch, match="partitions: 4, wanted 8"):
        await topics.ensure(kafka.bootstrap, partitions=8)
    assert {report.state for report in await topics.check(kafka.bootstrap)} == {State.OK}
    with pytest.raises(TopicsMismatch, match="refused"):
        await topics.remove(kafka.bootstrap)
        await topics.apply(kafka.bootstrap, replication=3)


async def test_a_rebuilding_that_was_cut_short_is_finished_by_the_next_with_as_many_partitions(
    kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    await topics.remove(kafka.bootstrap)
    await topics.ensure(kafka.bootstrap, partitions=2)
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(topics, "_create", lambda *_: 1 / 0)
        await topics.rebuild(kafka.bootstrap)
    with pytest.raises(TopicsMismatch, match=r"ledger\.v1 can't be made with 4 partitions .*commands\.v1 has 2"):
        await topics.apply(kafka.bootstrap)
    assert topics.LEDGER not in await topics.partition_counts(kafka.bootstrap)
    await topics.rebuild(kafka.bootstrap)
    assert {report.state for report in await topics.check(kafka.bootstrap, partitions=2)} == {State.OK}
    await topics.remove(kafka.bootstrap)
    with pytest.raises(TopicsMismatch, match=r"commands\.v1 missing"):
        await topics.rebuild(kafka.bootstrap)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (topics.SUBMISSIONS, "until answered"),
        (topics.LEDGER, "for ever"),
        (topics.DEADLETTERS, "90 days"),
        (topics.CONTACTS, "latest of each key"),
    ],
)
def test_the_table_says_how_long_a_topics_records_are_kept(name: str, kept: str) -> None:
    wanted = BY_NAME[name]
    [report] = plan((wanted,), {name: Found(wanted.partitions, wanted.config)})
    assert _kept(report) == kept
