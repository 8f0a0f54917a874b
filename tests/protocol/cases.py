"""What SPIN is asked: the protocol as it is, and the protocol with one safeguard removed.

A case is the model under some flags and what must come of it. `HOLDS` means that every state was looked at and none is wrong; else
the case names which assertion must fail. A check that could not fail would be worth nothing; so nearly all cases are failures.
"""

from __future__ import annotations

from dataclasses import dataclass

HOLDS = "holds"
STANDS_STILL = "stands still"
"""Commands stay unanswered though nobody rests for ever: a cycle without progress, or nothing left to do."""


@dataclass(frozen=True)
class Case:
    """One question to SPIN.

    Attributes:
        name: for people and for pytest.
        expected: `HOLDS`, `STANDS_STILL`, or the assertion of the model that must fail first.
        means: what is checked, or what is missing, in a sentence.
        flags: of the model.
        faults: how many it takes at least to come about.
    """

    name: str
    expected: str
    means: str
    flags: tuple[str, ...] = ()
    faults: int = 1

    @property
    def progress(self) -> bool:
        """Whether cycles without progress are looked for, instead of wrong states."""
        return "PROGRESS" in self.flags


def _without(flag: str, expected: str, means: str, *more: str) -> Case:
    return Case(flag.lower(), expected, means, (flag, *more))


CASES = (
    Case("protocol", HOLDS, "Nothing is lost, doubled, torn, out of order or decided on a stale state."),
    Case("protocol-progress", HOLDS, "In the end every command is answered, if nobody rests for ever.", ("PROGRESS",)),
    # What Pumasi does.
    _without("NO_FENCE", "not_doubled", "A transactional id of its own for each process: nobody is shut out."),
    _without("READ_BACK_BEFORE_FENCE", "not_doubled", "The ledger is read, and the former owner shut out only then."),
    _without("NO_WAIT_FOR_EPOCH", "not_doubled", "The ledger is read while InitProducerId is still under way."),
    _without("READ_UNCOMMITTED", "not_lost", "The ledger is read with what is open and what was aborted."),
    _without("OFFSETS_FROM_GROUP", "not_doubled", "The watermark is the group's offset instead of the ledger's."),
    _without("NO_WATERMARK_CHECK", "not_lost", "Whatever a poll brings is answered, from whatever position."),
    _without("GOES_ON_AS_IF_APPENDED", "not_lost", "After an unknown outcome memory is kept as if it had succeeded."),
    _without("GOES_ON_AS_IF_NOT_APPENDED", "not_doubled", "After an unknown outcome the same is tried once more."),
    _without("SAME_EPOCH_AFTER_SILENCE", "not_torn", "A producer whose EndTxn went unanswered is used again."),
    _without("SEND_NOT_AWAITED", "not_torn", "A transaction is committed though a send of it failed."),
    _without("TRANSACTION_PER_ENTRY", "not_torn", "A split answer is not kept within one transaction."),
    _without("NO_RETAKE", STANDS_STILL, "A partition that failed is not taken anew.", "PROGRESS"),
    Case(
        "waits_for_ever",
        STANDS_STILL,
        "Reading back waits for another's open transaction without end.",
        ("WAITS_FOR_EVER",),
        faults=2,
    ),
    # What Kafka does.
    _without("BROKER_NO_IDEMPOTENCE", "not_doubled", "A batch that comes twice is appended twice."),
    _without("BROKER_EARLY_FENCE", HOLDS, "InitProducerId is answered before the former transaction is settled."),
    _without("NO_LSO_WAIT", HOLDS, "Reading back ends at the last stable offset, not at the high watermark."),
    Case(
        "no_lso_wait+broker_early_fence",
        "not_doubled",
        "Both at once: each alone is made good by the other.",
        ("NO_LSO_WAIT", "BROKER_EARLY_FENCE"),
    ),
    _without(
        "BROKER_NO_VERIFICATION", HOLDS, "The leader takes batches without asking the coordinator (before KIP-890)."
    ),
)
BY_NAME = {case.name: case for case in CASES}
