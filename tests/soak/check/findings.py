"""Findings: what is wrong, each with a stable code, where, and in words; never with a person's data.

submissions   lost_submission kept_submission invented_command altered_command wrong_partition
the ledger    unreadable_entry entry_gap broken_chain entry_not_compact entry_too_large wrong_headers
answers       no_answer torn_answer unexplained_entry wrong_cause wrong_effect wrong_clock
identity      applied_twice false_duplicate missed_conflict false_conflict
money         not_conserved over_allocated impossible_fact waits_beside_claim
dead letters  lost_letter doubled_letter invented_letter wrong_letter read_poison unread_command
notices       untold told_without_entry wrong_notice_id two_ids altered_notice notice_not_delivered
checkpoints   wrong_checkpoint
privacy       leak
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

KEPT_OF_EACH = 50


class Finding(NamedTuple):
    """One thing that is wrong: `code` as above, `where` such as `ledger 2, entry 41`, `text` in words."""

    code: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.where}: {self.text}"


class Findings:
    """All of a check. Of each code the first fifty are kept; all are counted."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.counts: Counter[str] = Counter()

    def add(self, code: str, where: str, text: str) -> None:
        """Note one."""
        self.counts[code] += 1
        if self.counts[code] <= KEPT_OF_EACH:
            self.kept.append(Finding(code, where, text))

    @property
    def codes(self) -> set[str]:
        """Which kinds there are."""
        return set(self.counts)

    def __bool__(self) -> bool:
        return bool(self.counts)
