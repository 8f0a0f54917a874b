"""What a look at a cluster finds: what needs somebody's attention, and what waits as it should, each with a stable code."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        code: stable, for programs.
        message: one line: what, and where.
        hint: one line: what to do about it.
    """

    code: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Oldest:
    """One case or pledge of those that have waited longest.

    Attributes:
        kind: `case` or `pledge`.
        id: its id.
        since: since when, RFC 3339, by its fund's time.
        explain: the command that tells more.
    """

    kind: str
    id: str
    since: str
    explain: str


@dataclass(frozen=True)
class Waits:
    """Something that waits as it should, for somebody outside.

    Attributes:
        code: `voucher`, `rate` or `case`: what it waits for.
        fund: where.
        number: how many cases or pledges wait.
        message: one line.
        oldest: those that have waited longest.
    """

    code: str
    fund: str
    number: int
    message: str
    oldest: Sequence[Oldest] = ()
