"""Requests that aiokafka doesn't know: about transactions that were left open (KIP-664), and about passwords (KIP-554).

As Kafka's own message definitions have them (`clients/src/main/resources/common/message`), each in one version.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.protocol.admin import CreateAclsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)


class _DescribeTransactionsResponse(Response):
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transactions",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", _TEXT),
                ("state", _TEXT),
                ("timeout_ms", Int32),
                ("begin_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeTransactionsRequest(RequestStruct):
    API_KEY = 65
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeTransactionsResponse
    SCHEMA = Schema(("transactional_ids", CompactArray(_TEXT)), _TAGS)


class DescribeTransactions(Request[_DescribeTransactionsRequest]):
    """Asks a coordinator how a transaction stands."""

    API_KEY = 65

    def __init__(self, transactional_id: str) -> None:
        self._id = transactional_id

    def build(self, request_struct_class: type[_DescribeTransactionsRequest]) -> _DescribeTransactionsRequest:
        return request_struct_class([self._id], {})


class _DescribeProducersResponse(Response):
    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("error_message", _TEXT),
                        (
                            "producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("producer_epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("begin_offset", Int64),
                                _TAGS,
                            ),
                        ),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeProducersRequest(RequestStruct):
    API_KEY = 61
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeProducersResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
        _TAGS,
    )


class DescribeProducers(Request[_DescribeProducersRequest]):
    """Asks a leader who has written to its partitions, and what of it is still open."""

    API_KEY = 61

    def __init__(self, places: Iterable[TopicPartition]) -> None:
        self._topics = _by_topic(places)

    def build(self, request_struct_class: type[_DescribeProducersRequest]) -> _DescribeProducersRequest:
        return request_struct_class(self._topics, {})


class _WriteTxnMarkersResponse(Response):
    API_KEY = 27
    API_VERSION = 1
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                (
                    "topics",
                    CompactArray(
                        ("topic", _TEXT),
                        ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), _TAGS)),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _WriteTxnMarkersRequest(RequestStruct):
    API_KEY = 27
    API_VERSION = 1
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _WriteTxnMarkersResponse
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("commits", Boolean),
                ("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
                ("coordinator_epoch", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class WriteTxnMarkers(Request[_WriteTxnMarkersRequest]):
    """Ends a transaction in the partitions of a leader.

    Args:
        producer_id: whose transaction.
        producer_epoch: the present one, not the transaction's: so its former writer is shut out there, too.
        commits: whether it is committed.
        ended: partitions, and the epoch of the coordinator that last wrote a marker there.
    """

    API_KEY = 27

    def __init__(
        self, producer_id: int, producer_epoch: int, commits: bool, ended: Iterable[tuple[TopicPartition, int]]
    ) -> None:
        by_epoch: dict[int, list[TopicPartition]] = defaultdict(list)
        for place, epoch in ended:
            by_epoch[epoch].append(place)
        self._markers: list[tuple[object, ...]] = [
            (producer_id, producer_epoch, commits, _by_topic(places), epoch, {}) for epoch, places in by_epoch.items()
        ]

    def build(self, request_struct_class: type[_WriteTxnMarkersRequest]) -> _WriteTxnMarkersRequest:
        return request_struct_class(self._markers, {})


class _AlterScramResponse(Response):
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", CompactArray(("user", _TEXT), ("error_code", Int16), ("error_message", _TEXT), _TAGS)),
        _TAGS,
    )


class _AlterScramRequest(RequestStruct):
    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _AlterScramResponse
    SCHEMA = Schema(
        ("deletions", CompactArray(("name", _TEXT), ("mechanism", Int8), _TAGS)),
        (
            "upsertions",
            CompactArray(
                ("name", _TEXT),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class AlterScram(Request[_AlterScramRequest]):
    """Sets users' passwords for SCRAM-SHA-512, or takes them away.

    Args:
        salted: by user, the salt and the salted password.
        iterations: with which it was salted.
        gone: users whose password is taken away.
    """

    API_KEY = 51

    def __init__(self, salted: Mapping[str, tuple[bytes, bytes]], iterations: int, gone: Iterable[str] = ()) -> None:
        self._deletions: list[tuple[object, ...]] = [(user, 2, {}) for user in gone]
        self._upsertions: list[tuple[object, ...]] = [
            (user, 2, iterations, salt, password, {}) for user, (salt, password) in salted.items()
        ]

    def build(self, request_struct_class: type[_AlterScramRequest]) -> _AlterScramRequest:
        return request_struct_class(self._deletions, self._upsertions, {})


class CreateAcls(CreateAclsRequest):
    """Gives several rights at once, in this order; each as `CreateAclsRequest` takes one."""

    def __init__(self, rights: Iterable[tuple[int, str, int, str, str, int, int]]) -> None:
        self._rights = list(rights)

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(self._rights)


def _by_topic(places: Iterable[TopicPartition]) -> list[tuple[str, list[int], dict[int, bytes]]]:
    topics: dict[str, list[int]] = defaultdict(list)
    for place in places:
        topics[place.topic].append(place.partition)
    return [(topic, partitions, {}) for topic, partitions in topics.items()]
