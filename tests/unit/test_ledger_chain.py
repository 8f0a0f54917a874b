"""A ledger that breaks is broken for all who read it, at the same entry and in the same words."""

import json
from types import SimpleNamespace

import pytest

from schemas.ledger import GENESIS, encode, link
from services.console.readmodel.model import ReadModel
from services.console.readmodel.reading import PartitionRead
from services.errors import LedgerTampered
from services.matcher.ledger.replay import Replay
from services.notifier.ledger import Reading


def chain(*given: dict) -> list[bytes]:
    """Entries, rightly linked."""
    values, last = [], GENESIS
    for number, one in enumerate(given, 1):
        told = {
            "seq": number,
            "fund": None,
            "at": "2026-11-22T10:00:00Z",
            "cause": {"id": None, "type": None},
            "facts": [],
        }
        told["cause"] = told["cause"] | {"offset": one.pop("offset", number - 1)}
        value, last = link(last, encode(told | one))
        values.append(value)
    return values


def changed(value: bytes) -> bytes:
    return json.dumps(json.loads(value) | {"at": "2026-11-22T11:00:00Z"}, separators=(",", ":")).encode()


def spoken(values: list[bytes | None]) -> list[str]:
    """What each reader says of a ledger that breaks."""
    said = []
    replay, reading, console = Replay(0), Reading(0), PartitionRead(0)
    with pytest.raises(LedgerTampered) as tampered:
        for value in values:
            replay.feed(value)
    said.append(tampered.value.message)
    with pytest.raises(LedgerTampered) as tampered:
        for offset, value in enumerate(values):
            assert reading.precedes(value) is replay_of(values[:offset]).precedes(value)
            reading.take(SimpleNamespace(offset=offset, value=value))
    said.append(tampered.value.message)
    for value in values:
        console.take(ReadModel(), value)
    return [*said, console.finding]


def replay_of(values: list[bytes]) -> Replay:
    replay = Replay(0)
    for value in values:
        replay.feed(value)
    return replay


@pytest.mark.parametrize(
    ("values", "said"),
    [([*chain({}, {}), None], "entry 3: it is not an entry"),
     ([*chain({}), b'{"seq":2}'], "entry 2: it is not an entry"),
     (chain({}, {"facts": 1}), "entry 2: it is not an entry"),
     (chain({}, {"offset": "1"}), "entry 2: it is not an entry"),
     (chain({}, {"seq": 3}), "entry 2: it has number 3"),
     (chain({}, {}, {})[:1] + chain({}, {}, {})[2:], "entry 2: it has number 3"),
     ([*chain({}), changed(chain({}, {})[1])], "entry 2: its hash does not follow from the entry before"),
     (chain({}, {"offset": 0}), "entry 2: its command's offset 0 does not follow 0"),
     (chain({"more": True, "offset": 4}, {"offset": 5}), "entry 2: its command's offset 5 does not follow 4")],
)  # fmt: skip
def test_all_readers_of_the_ledger_say_the_same_of_one_that_breaks(values: list[bytes | None], said: str) -> None:
    assert spoken(values) == [f"ledger partition 0, {said}"] * 3


def test_an_answer_in_several_entries_is_whole_with_the_last() -> None:
    replay = replay_of(chain({}, {"more": True, "offset": 4}))
    assert (replay.watermark, replay.unfinished) == (0, 4)
    with pytest.raises(LedgerTampered, match="the answer before it is not whole"):
        replay.finish()
