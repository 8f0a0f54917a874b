"""Each private part of aiokafka that `services.bus.client` relies on, by name: a release that moves one is told of here, in a sentence.

aiokafka is pinned to one release. Who raises the pin sees here first where to look.
"""

import ast
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.consumer import consumer, fetcher
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import Subscription, SubscriptionState, TopicPartitionState
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.producer import sender
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator, MessageBatch
from aiokafka.producer.sender import Sender
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.types import Array, Schema
from aiokafka.record.memory_records import MemoryRecords

ROOT = Path(__file__).parents[2]
RELIED_ON: dict[Any, str] = {
    AIOKafkaProducer: "_closed _message_accumulator _sender _txn_manager client",
    Sender: "_coordinator_dead _do_init_pid _find_coordinator close sender_task",
    TransactionManager: "is_in_transaction producer_epoch producer_id wait_for_pid",
    MessageAccumulator: "_batches _exception _pending_batches",
    MessageBatch: "_msg_futures",
    BatchBuilder: "_build _set_producer_state close closed record_count size",
    AIOKafkaConsumer: "_client _coordinator _fetcher _group_id _subscription",
    GroupCoordinator: "_group_instance_id generation",
    StickyPartitionAssignor: "generation",
    SubscriptionState: "subscription",
    Subscription: "assignment",
    TopicPartitionState: "_position await_reset has_valid_position highwater lso paused position timestamp",
    Fetcher: "_check_crcs _client _closed _create_fetch_waiter _default_reset_strategy _fetch_max_wait_ms _fetch_requests_routine "
    "_fetch_task _fetch_waiters _in_flight _isolation_level _key_deserializer _loop _notify _pending_tasks "
    "_prefetch_backoff _proc_fetch_request _records _retry_backoff _select_read_replica _subscriptions _value_deserializer "
    "_update_fetch_positions _wait_consume_future fetched_records next_record seek_to",
    FetchRequest: "_max_wait_ms topics",
    FetchResult: "_partition_records _topic_partition _update_position check_assignment getall has_more",
    PartitionRecords: "_aborted_producers _check_crcs _consume_aborted_up_to _consumer_record _contains_abort_marker "
    "_isolation_level _records _records_iterator _tp _unpack_records next_fetch_offset",
    MemoryRecords: "next_batch",
    AIOKafkaAdminClient: "_client find_coordinator",
    AIOKafkaClient: "_conns add_topic bootstrap close cluster force_metadata_update get_random_node ready send",
    ConnectionGroup: "COORDINATION",
    CoordinationType: "TRANSACTION",
    Request: "prepare",
    RequestStruct: "SCHEMA encode get_item",
    Response: "SCHEMA",
    Schema: "fields names",
    Array: "array_of",
    sender: "BACKOFF_OVERRIDE",
    consumer: "Fetcher",
    fetcher: "READ_COMMITTED FetchResult OffsetResetStrategy",
}
COPIED = [
    (AIOKafkaConsumer.start, "Fetcher"),
    (Fetcher.fetched_records, "FetchResult"),
    (Fetcher.next_record, "FetchResult"),
]
"""Methods that are taken over but for one global name, which must be one that they look up."""


def known(owner: Any) -> set[str]:
    """The names of a module or a class; those that its objects get when they are made, too."""
    found = set(dir(owner)) | set(getattr(owner, "__annotations__", ()))
    for kind in () if isinstance(owner, ModuleType) else inspect.getmro(owner):
        made = vars(kind).get("__init__")
        found |= set(made.__code__.co_names) if isinstance(made, FunctionType) else set()
    return found


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in RELIED_ON.items() for name in names.split()],
    ids=lambda one: getattr(one, "__name__", one),
)  # fmt: skip
def test_a_name_that_the_client_relies_on_is_there(owner: Any, name: str) -> None:
    assert name in known(owner), (
        f"aiokafka {version('aiokafka')} has moved or renamed {owner.__name__}.{name}, which services/bus/client relies on: "
        f"mend what uses it there before the pin is raised"
    )


@pytest.mark.parametrize(("method", "name"), COPIED, ids=lambda one: getattr(one, "__qualname__", one))
def test_a_method_that_is_taken_over_looks_up_the_name_that_is_replaced(method: Any, name: str) -> None:
    assert name in method.__code__.co_names, (
        f"aiokafka {version('aiokafka')}: {method.__qualname__} makes no {name} any more, so services/bus/client gives it ours in vain"
    )


def test_no_private_name_is_relied_on_that_is_not_listed_here() -> None:
    touched, own = set(), set()
    for path in (ROOT / "services" / "bus" / "client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own.add(node.name)
            elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                (own if isinstance(node.ctx, ast.Store) else touched).add(node.attr)
    listed = {name for names in RELIED_ON.values() for name in names.split()}
    assert touched - own <= listed


def test_aiokafka_is_pinned_to_the_release_that_is_installed() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"aiokafka=={version('aiokafka')}" in wanted
