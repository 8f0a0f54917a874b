"""One event that is followed through the whole: as it was sent, what its receipt says, and its entry, byte for byte.

Shown to who wants to see what Pumasi is beneath its words. Lines break only where JSON lets a blank stand, so nothing is left out or
put another way.
"""

import re
from dataclasses import dataclass

from services.bus.envelope import Record

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[^",]+|,')
"""A string, a comma between values, or what stands between these."""


@dataclass(frozen=True)
class Followed:
    """`sent`, `answered`: the event and what its receipt tells, as text; `entry`: its record of the ledger."""

    sent: str
    answered: str
    entry: Record

    def parts(self) -> list[tuple[str, str]]:
        """A title and the text below it, three times."""
        place = f"{self.entry.topic}, partition {self.entry.partition}, offset {self.entry.offset}"
        return [
            ("One event, as it was sent to POST /v1/events:", self.sent),
            ("Its receipt, as GET /v1/receipts/… tells it:", self.answered),
            (f"Its entry on {place}:", (self.entry.value or b"").decode()),
        ]


def wrapped(text: str, width: int) -> list[str]:
    """JSON in lines up to `width`, broken between values alone; each further object of a list begins a line.

    >>> wrapped('{"a": 1, "b": [{"c": "x, y"},{"c": 3}]}', 24)
    ['{"a": 1,', '"b": [{"c": "x, y"},', '{"c": 3}]}']
    """
    lines, piece = [""], ""
    for part in [*_TOKENS.findall(text), ","]:
        piece += part
        if part != ",":
            continue
        if lines[-1] and (len(lines[-1]) + len(piece) > width or piece.lstrip().startswith("{")):
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
        piece = ""
    return [*lines[:-1], lines[-1].removesuffix(",")]
