"""Who may do what in Kafka: one table. The broker's ACLs are made from it, and the tests walk it.

Each service is a Kafka user of its own, with the rights it needs and no others: what isn't here is refused. Only the matcher
writes ledger and checkpoints; only intake, and `deadletters replay`, write commands. `WRITE` and `READ` bring the right to ask
where a topic begins and ends, and every service may ask how its topics are configured, since it looks before it starts.

`ender` alone ends transactions that Kafka has forgotten (`services.bus.client.ending`). Kafka asks `ClusterAction` for that, the right
of a broker over everything, so nobody who reads what others send has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from services.bus.topics import (
    CHECKPOINTS,
    COMMANDS,
    CONTACTS,
    DEADLETTERS,
    LEDGER,
    NOTICES,
    PREFIX,
    SENDERS,
    SERVICES,
    SUBMISSIONS,
)

INTAKE: Final = "pumasi-intake"
MATCHER: Final = "pumasi-matcher"
NOTIFIER: Final = "pumasi-notifier"
REPLAY: Final = "pumasi-replay"
"""`deadletters replay`."""
OPERATOR: Final = "pumasi-operator"
"""Status, explain, audit and an operator's own tools: reads."""
REPORTER: Final = "pumasi-reporter"
"""`pumasi report`: reads, and opens what is sealed for the reporter's key."""
SENDER: Final = "pumasi-sender"
"""Sends submissions on their topic."""
OF_SENDER: Final = f"{SENDER}-"
"""How the names of single senders' own users begin (`services.system.sender_users`)."""
ADMIN: Final = "pumasi-admin"
"""Makes topics."""
KEYS: Final = "pumasi-keys"
"""`pumasi keys` and `forget`, and `up` on their behalf: says which keys are in use, and who may send; seals contacts anew, or lets them
be forgotten."""
ENDER: Final = "pumasi-ender"
BROKER: Final = "pumasi-broker"
"""The embedded broker itself: it may do everything, and is in no table. Nobody else knows its password."""


class Kind(IntEnum):
    """What a right applies to, by Kafka's number."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5


class Right(IntEnum):
    """By Kafka's number."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12


class Grant(NamedTuple):
    """A right of a user. `prefixed`: it applies to everything whose name begins so."""

    user: str
    right: Right
    kind: Kind
    name: str
    prefixed: bool = False


_CLUSTER: Final = "kafka-cluster"
_READS: Final = {
    INTAKE: (SUBMISSIONS, COMMANDS, LEDGER, DEADLETTERS, SENDERS, SERVICES),
    MATCHER: (COMMANDS, LEDGER, CHECKPOINTS, DEADLETTERS, SERVICES),
    NOTIFIER: (LEDGER, CONTACTS, NOTICES, SERVICES),
    REPLAY: (SUBMISSIONS, COMMANDS, DEADLETTERS),
    OPERATOR: (SUBMISSIONS, COMMANDS, LEDGER, CHECKPOINTS, NOTICES, DEADLETTERS, SENDERS, SERVICES),
    REPORTER: (COMMANDS, LEDGER),
    KEYS: (CONTACTS, SENDERS, SERVICES),
    ENDER: (SUBMISSIONS, COMMANDS, LEDGER, CHECKPOINTS, DEADLETTERS, SERVICES),
}
_WRITES: Final = {
    INTAKE: (SUBMISSIONS, COMMANDS, CONTACTS, DEADLETTERS, SERVICES),
    MATCHER: (LEDGER, CHECKPOINTS, DEADLETTERS, SERVICES),
    NOTIFIER: (CONTACTS, NOTICES, SERVICES),
    REPLAY: (SUBMISSIONS, COMMANDS, DEADLETTERS, SERVICES),
    SENDER: (SUBMISSIONS,),
    KEYS: (CONTACTS, SENDERS, SERVICES),
    ENDER: (SERVICES,),
}
GROUPS: Final = {INTAKE: "pumasi-intake", MATCHER: "pumasi-matcher", NOTIFIER: "pumasi-notifier"}
"""The consumer group in which each shares the work with others of its kind."""
_WRITERS: Final = {
    INTAKE: ("pumasi-intake-",),
    MATCHER: ("pumasi-matcher-", "pumasi-replay-"),  # it shuts out a replay that keeps it from reading on
    REPLAY: ("pumasi-replay-",),
}
"""How their transactional ids begin."""
_OURS: Final = "pumasi-"
"""How all our groups and transactional ids begin."""
_TOOLS: Final = "console-consumer-"
"""How the groups begin that Kafka's own console consumer makes up."""


def _grants() -> Iterator[Grant]:
    for user, names in _READS.items():
        yield from (Grant(user, Right.READ, Kind.TOPIC, name) for name in names)
    for user, names in _WRITES.items():
        yield from (Grant(user, Right.WRITE, Kind.TOPIC, name) for name in names)
    for user in {**_READS, **_WRITES}:
        looked_at = dict.fromkeys((*_READS.get(user, ()), *_WRITES.get(user, ())))
        yield from (Grant(user, Right.DESCRIBE_CONFIGS, Kind.TOPIC, name) for name in looked_at)
    yield from (Grant(user, Right.READ, Kind.GROUP, group) for user, group in GROUPS.items())
    for user, beginnings in _WRITERS.items():
        yield from (Grant(user, Right.WRITE, Kind.TRANSACTIONAL_ID, ids, True) for ids in beginnings)
    yield Grant(INTAKE, Right.DELETE, Kind.TOPIC, SUBMISSIONS)  # of records answered; Kafka asks the same for the topic
    yield Grant(OPERATOR, Right.DESCRIBE, Kind.TOPIC, CONTACTS)  # that it is there, and how large
    yield Grant(OPERATOR, Right.DESCRIBE_CONFIGS, Kind.TOPIC, CONTACTS)
    yield Grant(OPERATOR, Right.DESCRIBE, Kind.GROUP, _OURS, True)
    yield Grant(OPERATOR, Right.READ, Kind.GROUP, _TOOLS, True)
    for right in (Right.CREATE, Right.DESCRIBE, Right.DESCRIBE_CONFIGS):
        yield Grant(ADMIN, right, Kind.TOPIC, PREFIX, True)
    for name in (LEDGER, CHECKPOINTS):  # which commands give anew
        yield Grant(ADMIN, Right.DELETE, Kind.TOPIC, name)
    yield Grant(KEYS, Right.DESCRIBE, Kind.GROUP, GROUPS[INTAKE])  # how many have to follow
    yield Grant(KEYS, Right.DESCRIBE, Kind.TOPIC, SUBMISSIONS)  # whether any wait, that may be sealed for a former key
    yield Grant(ENDER, Right.DESCRIBE, Kind.TRANSACTIONAL_ID, _OURS, True)
    yield Grant(ENDER, Right.CLUSTER_ACTION, Kind.CLUSTER, _CLUSTER)


GRANTS: Final = frozenset(_grants())
USERS: Final = (INTAKE, MATCHER, NOTIFIER, REPLAY, OPERATOR, REPORTER, SENDER, ADMIN, KEYS, ENDER)


def of_sender(name: str) -> str:
    """A sender's own user."""
    return OF_SENDER + name


def grants_of(users: Iterable[str]) -> frozenset[Grant]:
    """The rights of all services, and of those among these users that are senders' own."""
    own = (user for user in users if user.startswith(OF_SENDER))
    return GRANTS | {
        Grant(user, right, Kind.TOPIC, SUBMISSIONS) for user in own for right in (Right.WRITE, Right.DESCRIBE)
    }
