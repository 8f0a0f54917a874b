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
_NEVER, _NONE = 1 << 30, 9_999  # digits to come, and those that came last: no number begins so
_GROUPS_MAX = 17  # 00 and 15 digits, one in each group
_LETTERS = re.compile(r"[^\W\d_]+")
_OPENING = re.compile(r"\+[\W_]+")
_GROUP = re.compile(r"\+?[0-9]+")
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
    if not _may_hold(text):
        return False
    for run in _LETTERS.split(_MADE_BY_MACHINES.sub("x", text)):
        groups = _GROUP.findall(_OPENING.sub("+", run))
        for start in range(len(groups)):
            if _NUMBER.fullmatch(groups[start]) or any(
                map(_NUMBER.fullmatch, _joins(groups[start : start + _GROUPS_MAX]))
            ):
                return True
    return False


def _may_hold(text: str) -> bool:
    """Whether it is worth a closer look: without a letter between are digits enough, the first of which a number begins with."""
    few = _FEW if "+" in text else _NEVER
    digits, last, lacks = 0, _NONE, _NEVER
    for character in text:
        if "0" <= character <= "9":
            digits, last, lacks = digits + 1, (10 * last + ord(character) - 48) % 10_000, lacks - 1
            begins, kind = last % 1000, last % 10
            if lacks > 9 and 13 <= last % 100 <= 19:
                lacks = 9
            if lacks > 7 and (0 < begins < 10 or ((begins // 10 == 1 or last // 10 == 821) and (kind < 2 or kind > 5))):
                lacks = 7
            if lacks == 0 or digits >= few:
                return True
        elif "a" <= character <= "z" or "A" <= character <= "Z":
            digits, last, lacks = 0, _NONE, _NEVER
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
