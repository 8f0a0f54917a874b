"""Brings Kafka's users and rights up to date: at every start of the embedded broker (as its own user), and whenever a password
has changed; on a cluster by `pumasi access --apply`.

A first start, a new password and a table of rights that another version has changed need no code of their own. Rights of users
that aren't ours stay; ours that are not in the table are deleted. A sender's user without a password is deleted, its rights last,
since it is found by them.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Mapping
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DeleteAclsRequest, DescribeAclsRequest

from services.bus.access import BROKER, OF_SENDER, USERS, Grant, Kind, Right, grants_of
from services.bus.client.requests import AlterScram, CreateAcls
from services.bus.security import connection

# aiokafka warns of every PLAIN; here the only one is the embedded broker's with itself, on this machine.
logging.getLogger("aiokafka.conn").addFilter(lambda record: "in the clear" not in str(record.msg))

_ITERATIONS: Final = 4096  # the least that Kafka takes; more would slow down guessing, but these are 32 random bytes
_PRINCIPAL: Final = "User:"
_ANY, _LITERAL, _PREFIXED, _ALLOW = 1, 3, 4, 3
_ANYWHERE: Final = "*"
_NO_SUCH_USER: Final = 91
_LOOK_EVERY_S: Final = 0.02


async def let_in(bootstrap: str, passwords: Mapping[str, str], *, all_senders: bool = True) -> None:
    """Give users their passwords, and all of ours their rights, and take them from senders that are gone; return once all brokers know.

    Args:
        bootstrap: the broker, as somebody who may do so.
        passwords: by user.
        all_senders: a sender's own user without a password among these is gone; else somebody else made it, and it stays.

    Raises:
        KafkaError: if it is refused.
    """
    client = AIOKafkaClient(**connection(bootstrap), client_id="pumasi-users")
    try:
        await client.bootstrap()
        node = client.get_random_node()
        salted = await asyncio.to_thread(lambda: {user: _salted(password) for user, password in passwords.items()})
        found = await rights_of(client, node)
        others = {grant.user for grant in found if grant.user.startswith(OF_SENDER)} - passwords.keys()
        gone = others if all_senders else set[str]()
        wanted = grants_of({*passwords, *others} - gone)
        answer = await client.send(node, AlterScram(salted, _ITERATIONS, gone))
        _hold(code for user, code, *_ in answer.results if not (user in gone and code == _NO_SUCH_USER))
        # A broker learns in the order in which the controller wrote: once it has heard of the mark, it knows all before.
        mark = Grant(BROKER, Right.DESCRIBE, Kind.GROUP, secrets.token_hex(16))
        await asyncio.gather(*(_delete(client, node, grant) for grant in found - wanted))
        made: Any = await client.send(node, CreateAcls([_as_kafka_has_it(one) for one in (*(wanted - found), mark)]))
        _hold(code for code, _message in made.creation_responses)
        for each in client.cluster.brokers():
            while mark not in await rights_of(client, each.nodeId):
                await asyncio.sleep(_LOOK_EVERY_S)
        await _delete(client, node, mark)
    finally:
        await client.close()


async def rights(bootstrap: str) -> frozenset[Grant]:
    """The rights that our users have now, asked as somebody who may know. Raises KafkaError."""
    client = AIOKafkaClient(**connection(bootstrap), client_id="pumasi-users")
    try:
        await client.bootstrap()
        return await rights_of(client, client.get_random_node())
    finally:
        await client.close()


async def rights_of(client: AIOKafkaClient, node: int) -> frozenset[Grant]:
    """The rights that our users have now, and the marks of starts that were cut short."""
    answer: Any = await client.send(node, DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY))  # type: ignore[arg-type]
    _hold([answer.error_code])
    return frozenset(
        Grant(principal.removeprefix(_PRINCIPAL), Right(right), Kind(kind), name, pattern == _PREFIXED)
        for kind, name, pattern, rights in answer.resources
        for principal, _host, right, _permission in rights
        if (user := principal.removeprefix(_PRINCIPAL)) in (*USERS, BROKER) or user.startswith(OF_SENDER)
    )


async def _delete(client: AIOKafkaClient, node: int, grant: Grant) -> None:
    answer: Any = await client.send(node, DeleteAclsRequest(*_as_kafka_has_it(grant)))
    _hold(code for code, _message, _matching in answer.filter_responses)


def _as_kafka_has_it(grant: Grant) -> tuple[int, str, int, str, str, int, int]:
    pattern = _PREFIXED if grant.prefixed else _LITERAL
    return grant.kind, grant.name, pattern, _PRINCIPAL + grant.user, _ANYWHERE, grant.right, _ALLOW


def _salted(password: str) -> tuple[bytes, bytes]:
    salt = secrets.token_bytes(32)
    return salt, hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)


def _hold(codes: Any) -> None:
    for code in codes:
        if code:
            error: KafkaError = for_code(code)()
            raise error
