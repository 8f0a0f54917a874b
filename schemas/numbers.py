"""Somebody's number: no word may hold one, since to anybody with a telephone it names a person.

Without its separators a number is

    + or 00, and 8 to 15 digits      any country's; after 00 not a 0: no country's code begins so, but counters do
    1, 3 to 9, nine digits           a mobile of mainland China; also after 86
    01, one of 016789, 7 or 8 more   a Korean mobile; also after 82, with or without its 0

    0 or 17951 and such a number     as it is dialled within the country

It is looked for in *runs*. A text falls into groups of digits; groups with nothing but separators between them are neighbours,
and a letter ends the run. A number is one whole group, or a join of neighbouring whole groups of few digits each, as people write
it. So `1-138.0013.8000` holds one; a counter of thirteen digits, or Unix seconds with a counter behind, hold none. UUIDs and
calendar days are taken out first: ids that machines make of them would otherwise be refused now and then, for no visible reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate, takewhile

DIGITS_MANY = 10
"""Digits of the shortest number without a plus before it; fewer with no letter between are nobody's."""
_FEW = 8  # digits behind a plus
_GROUPS_MAX = 17  # 00 and 15 digits, one in each group
_LETTERS = re.compile(r"[^\W\d_]+")
_OPENING = re.compile(r"\+[\W_]+")
_GROUP = re.compile(r"\+?[0-9]+")
_SEPARATORS = bytes(code for code in range(256) if code > 127 or not chr(code).isalnum())
_KINDS = bytes(ord("0" if chr(code).isdigit() else "a") for code in range(128)) + b"a" * 128
_MAYBE = re.compile(rb"1[3-9][0-9]{9}|00[1-9][0-9]{7}|01[016789][0-9]{7}|821[016789][0-9]{7}")  # in whatever holds one
_MANY, _SOME = b"0" * DIGITS_MANY, b"0" * _FEW
_JOINED_MAX = 8  # digits of a group that is a part of a number
_NUMBER = re.compile(
    r"\+[0-9]{8,15}|00[1-9][0-9]{7,14}|(?:0|86|17951)?1[3-9][0-9]{9}|(?:82)?01[016789][0-9]{7,8}|821[016789][0-9]{7,8}"
)
_MADE_BY_MACHINES = re.compile(
    r"(?<![0-9a-f])(?=[0-9-]{0,35}[a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])"  # a UUID
    r"|(?<![0-9])(?:19|20|21)[0-9]{2}([-._]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])(?![0-9])",  # a day
    re.IGNORECASE,
)


def holds_number(text: str) -> bool:
    """True if a text holds a number by which somebody could be called. Takes time in proportion to its length.

    >>> [word for word in ("tel-138-0013-8000", "p-1732960800123", "+86 138 0013 8000", "2026-11-30") if holds_number(word)]
    ['tel-138-0013-8000', '+86 138 0013 8000']
    """
    if not text.isascii():
        text = "".join(map(_plain, unicodedata.normalize("NFKC", text)))
    kinds = text.encode().translate(_KINDS, _SEPARATORS)
    if _MANY not in kinds and ("+" not in text or _SOME not in kinds):
        return False
    if "+" not in text and not _MAYBE.search(text.encode().translate(None, _SEPARATORS)):
        return False
    for run in _LETTERS.split(_MADE_BY_MACHINES.sub("x", text)):
        groups = _GROUP.findall(_OPENING.sub("+", run))
        for start in range(len(groups)):
            if _NUMBER.fullmatch(groups[start]) or any(
                map(_NUMBER.fullmatch, _joins(groups[start : start + _GROUPS_MAX]))
            ):
                return True
    return False


def _joins(groups: list[str]) -> Iterator[str]:
    """The first group and its neighbours: of any country's number whatever comes, else as long as each is short."""
    if not groups[0].startswith(("+", "00")):
        groups = list(takewhile(lambda group: len(group.removeprefix("+")) <= _JOINED_MAX, groups))
    return accumulate(groups, lambda before, group: before + group.removeprefix("+"))  # a form sends a blank as +


def _plain(character: str) -> str:
    """A digit of whatever script as ours."""
    digit = unicodedata.digit(character, None)
    return character if digit is None else str(digit)
