"""A produce request in pieces is the one that aiokafka would send."""

import gc
import weakref

import pytest
from aiokafka.protocol.produce import ProduceRequest

from services.bus.client.sending import Unjoined, _Produce, encoded

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


def test_nothing_of_a_request_is_left_when_it_is_over() -> None:
    """A ring would be left to the collector, which may never look at it again."""

    gc.collect()
    gc.disable()
    try:
        batch = b"a batch"
        gone = weakref.ref(request := _Produce("pumasi-matcher-0", -1, 40_000, [("pumasi.ledger", [(0, batch)])]))
        struct = request.prepare({0: (0, 8)})
        assert batch in b"size" + (b"header" + struct.encode())
        left = weakref.ref(struct)
        del struct, request
        assert (gone(), left()) == (None, None)
    finally:
        gc.enable()
