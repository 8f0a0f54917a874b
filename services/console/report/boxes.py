"""The join: cases from the ledger, and the box that came with each one's command. Only the reporter's keys open them: one in use, and
those before it (`services.succession`).

If a case was submitted twice, the box of the command that the ledger answers by `case_submitted` counts.
"""

import base64
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey
from pydantic import ValidationError

from schemas.times import parse
from schemas.values import Access
from services.bus.consume.scan import Progress, TopicReader
from services.bus.topics import COMMANDS
from services.console.readmodel.reading import hold, read_ledger
from services.console.report.access import CaseAsked, FundAsked
from services.errors import KeyOther, UnknownId
from services.keys import fingerprint, opened
from services.readmodel.books import FactDict, Fund, Pledge
from services.readmodel.fold import Fold


class Asked(NamedTuple):
    """What was asked for in each fund, and how many boxes could not be opened."""

    funds: list[FundAsked]
    unopened: int


async def asked_in(
    bootstrap: str, ring: Sequence[PrivateKey], fund: str | None = None, progress: Progress | None = None
) -> Asked:
    """Read ledger and commands, as a user who may read both, and join them, of one `fund` or all; `ring` begins with the key in use.

    Raises:
        KeyOther: if no key opens any of the boxes that there are.
        UnknownId: if there is no such fund.
        LedgerTampered: if the ledger does not hold.
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: if they can't be read.
    """
    cases = _Cases()
    async with TopicReader(bootstrap) as reader:
        chains = await read_ledger(reader, cases, fund, progress)
        hold(chains)
        if fund is not None and fund not in cases.funds:
            raise UnknownId(f"there is no fund {fund}", hint="Names are case-sensitive; `pumasi status` lists them.")
        opened, unopened = 0, 0
        async for record in reader.records(COMMANDS, chains.keys(), progress):
            case = cases.told_by.get((record.partition, record.offset))
            if case is None or (box := msgspec.json.decode(record.value or b"{}").get("access_box")) is None:
                continue
            case.access = _opened(box, ring)
            opened, unopened = opened + (case.access is not None), unopened + (case.access is None)
    if unopened and not opened:
        raise KeyOther(
            f"reporter.key ({fingerprint(ring[0].public_key)}) opens none of {unopened} boxes: they are sealed for another",
            hint="Put the key whose public half intake has (reporter.pub) into PUMASI_KEYS, and the former ones (reporter-….key).",
        )
    return Asked([one for name, one in sorted(cases.funds.items()) if fund in (None, name)], unopened)


class _Cases(Fold[FundAsked]):
    """Every fund's cases; `told_by`: which command submitted which case, by partition and offset."""

    def __init__(self) -> None:
        super().__init__(lambda name: Fund(name, CaseAsked, Pledge))
        self.told_by: dict[tuple[int, int], CaseAsked] = {}
        self._place, self._at = (0, 0), 0

    def feed(self, partition: int, entry: dict[str, Any]) -> None:
        self._place, self._at = (partition, entry["cause"]["offset"]), parse(entry["at"])
        super().feed(partition, entry)

    def change(self, fund: FundAsked, fact: FactDict) -> Any:
        about = super().change(fund, fact)
        match fact["fact"]:
            case "case_submitted":
                self.told_by[self._place] = about
            case "case_opened":
                about.opened_at = self._at
            case "case_funded":
                funded = fund.cases[fact["case"]]
                funded.funded_at = funded.funded_at or self._at
        return about


def _opened(box: str, ring: Sequence[PrivateKey]) -> Access | None:
    """What is in a box; None if it is for another, or holds something else."""
    with suppress(CryptoError, ValueError, ValidationError):
        return Access.model_validate_json(opened(base64.b64decode(box), ring))
    return None
