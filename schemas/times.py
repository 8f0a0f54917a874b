"""Time as the contract has it: RFC 3339 UTC on the wire, integer microseconds since 1970 inside.

There is one way to read a time, `parse`. A time from outside is read by `parse_given`, which also holds it to the years 2000 to
2199, so that no sum of times and periods nears the calendar's ends. An entry of the ledger may well be of 1970: a record that can't
be read has no time of its own, and may be a partition's first.

Integers keep the engine exact and quick. Calendar steps are counted from their origin (opening, acceptance), never from the step
before, so that the 31st comes back after February.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
PERIOD_PATTERN = r"^P[1-9][0-9]{0,3}[DWMY]$"

_WITH_SECONDS, _WITH_MICROS = len("2026-11-22T10:00:00Z"), len("2026-11-22T10:00:00.123456Z")
_SECOND, _MINUTE = SECOND, MINUTE  # in C's numbers, where this is compiled
_told = (0, "1970-01-01T00:00:")  # a minute, and its text
_T, _Z, _DASH, _COLON, _DOT = b"TZ-:."
_DAYS_TO_1970 = 719_469  # from 1 March of year 0, and the first day of a month is 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def datetime_of(micros: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


_FIRST, _LAST = micros_of(datetime.min.replace(tzinfo=UTC)), micros_of(datetime.max.replace(tzinfo=UTC))
_GIVEN_FROM, _GIVEN_UNTIL = (micros_of(datetime(year, 1, 1, tzinfo=UTC)) for year in (2000, 2200))


def text_of_datetime(moment: datetime) -> str:
    """RFC 3339 with `Z`: no fraction when it is zero, else six digits."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def text_of(micros: int) -> str:
    """RFC 3339 with `Z` of microseconds since 1970."""
    global _told
    minute, rest = micros // _MINUTE, micros % _MINUTE
    told = _told
    if told[0] != minute:  # what is told one after the other mostly shares its minute
        _told = told = (minute, text_of_datetime(datetime_of(minute * MINUTE))[: -len("00Z")])
    text, second, fraction = told[1], rest // _SECOND, rest % _SECOND
    return f"{text}{second:02d}.{fraction:06d}Z" if fraction else f"{text}{second:02d}Z"


def parse(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time; digits beyond the microsecond are cut.

    Raises:
        ValueError: if the text is not an RFC 3339 date-time with an offset, or lies in no year from 1 to 9999 of UTC.
    """
    given, fraction = text.encode(), 0
    length = len(given)
    if length not in (_WITH_SECONDS, _WITH_MICROS) or given[10] != _T or given[length - 1] != _Z:
        return _parse(text)
    if given[4] != _DASH or given[7] != _DASH or given[13] != _COLON or given[16] != _COLON:
        return _parse(text)
    century, year, month, day = _number(given, 0), _number(given, 2), _number(given, 5), _number(given, 8)
    hour, minute, second = _number(given, 11), _number(given, 14), _number(given, 17)
    if length == _WITH_MICROS:
        high, middle, low = _number(given, 20), _number(given, 22), _number(given, 24)
        fraction = -1 if given[19] != _DOT or max(high, middle, low) > 99 else 10_000 * high + 100 * middle + low
    if max(century, year) > 99 or century + year == 0 or hour > 23 or minute > 59 or second > 59 or fraction < 0:
        return _parse(text)
    if not 1 <= month <= 12 or not 1 <= day <= 30 - (month == 2) * 2:
        return _parse(text)  # so do ends of months: which there are, the calendar says
    year += 100 * century - (month < 3)  # years that begin in March end with their leap day
    day += 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 - _DAYS_TO_1970
    return (((day * 24 + hour) * 60 + minute) * 60 + second) * _SECOND + fraction


def _number(given: bytes, at: int) -> int:
    """The two digits at a place; 100 if there are none."""
    tens, ones = given[at] - 48, given[at + 1] - 48
    return 10 * tens + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else 100


def _parse(text: str) -> int:
    match = _RFC3339.fullmatch(text)  # `$` alone would let a newline through
    if not match:
        raise ValueError("not an RFC 3339 time with an offset")
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = match.groups()
    moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    micros = micros_of(moment) + int(((fraction or "") + "000000")[:6])
    if sign:
        if int(off_hour) > 23 or int(off_minute) > 59:
            raise ValueError("not an RFC 3339 offset")
        offset = (int(off_hour) * 60 + int(off_minute)) * 60 * SECOND
        micros += -offset if sign == "+" else offset
    if not _FIRST <= micros <= _LAST:
        raise ValueError("its offset leads out of the calendar")
    return micros


def parse_given(text: str) -> int:
    """`parse`, for a time from outside: in UTC it lies in the years 2000 to 2199.

    Raises:
        ValueError: if it does not, or is none.
    """
    micros = parse(text)
    if not _GIVEN_FROM <= micros < _GIVEN_UNTIL:
        raise ValueError("not in the years 2000 to 2199")
    return micros


def add_periods(origin: int, every: str, count: int) -> int | None:
    """`origin` plus `count` periods, in microseconds; calendar months clamp to the month's end.

    Args:
        origin: microseconds since 1970.
        every: `P<n>D|W|M|Y`.
        count: how many periods.

    Returns:
        Microseconds since 1970, or None past the year 9999, where the calendar ends.
    """
    number, unit = int(every[1:-1]) * count, every[-1]
    try:
        start = datetime_of(origin)
        if unit in "DW":
            return micros_of(start + timedelta(days=number * (7 if unit == "W" else 1)))
        months = start.month - 1 + number * (12 if unit == "Y" else 1)
        year, month = start.year + months // 12, months % 12 + 1
        day = min(start.day, calendar.monthrange(year, month)[1])
        return micros_of(start.replace(year=year, month=month, day=day))
    except (OverflowError, ValueError):
        return None
