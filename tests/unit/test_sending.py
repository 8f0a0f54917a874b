"""A produce request in pieces is the one that aiokafka would send."""

import pytest
from aiokafka.protocol.produce import ProduceRequest

from services.bus.sending import Unjoined, encoded

TOPICS = [
    [("pumasi.ledger", [(0, b"a batch" * 1000)])],
    [("pumasi.ledger", [(0, b"one"), (1, None)]), ("pumasi.checkpoints", [(2, b"")])],
    [],
]


@pytest.mark.parametrize("topics", TOPICS)
@pytest.mark.parametrize("version", [3, 5, 7])
@pytest.mark.parametrize("transaction", [None, "pumasi-matcher-0"])
def test_the_bytes_are_aiokafkas(topics: list, version: int, transaction: str | None) -> None:
    struct = ProduceRequest(transaction, -1, 40_000, topics).prepare({0: (version, version)})
    pieces = encoded(struct.SCHEMA, [struct.get_item(name) for name in struct.SCHEMA.names])
    assert b"".join(pieces) == struct.encode()
    theirs, ours = b"header" + struct.encode(), b"header" + Unjoined(pieces)
    assert len(ours) == len(theirs)
    assert b"size" + ours == b"size" + theirs
