"""Times: RFC 3339 against the standard library's own reader, periods against a calendar counted by hand."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.times import DAY, add_periods, datetime_of, micros_of, parse, parse_given, text_of
from schemas.values import Instant, Model, Time

NOW = parse("2026-11-22T10:00:00Z")
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9999, 12, 30), timezones=offsets)  # noqa: DTZ001 - bounds are naive by rule


@pytest.mark.parametrize(
    "text",
    ["2026-11-22T18:00:00+08:00", "2026-11-22T05:30:00-04:30", "2026-11-22t10:00:00z", "2026-11-22T10:00:00.000Z",
     "2026-11-22T10:00:00-00:00", "2026-11-22T10:00:00.000000999Z"],
)  # fmt: skip
def test_the_same_instant_in_other_words(text: str) -> None:
    assert parse(text) == NOW
    assert text_of(parse(text)) == "2026-11-22T10:00:00Z"


def test_nanoseconds_are_cut_not_rounded() -> None:
    assert text_of(parse("2026-11-22T10:00:00.123456999Z")) == "2026-11-22T10:00:00.123456Z"
    assert text_of(parse("2026-11-22T10:00:00.5Z")) == "2026-11-22T10:00:00.500000Z"


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-22", "2026-11-22T10:00:00", "2026-11-22 10:00:00Z", "2026-11-22T10:00Z", "2026-13-01T00:00:00Z",
     "2026-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:00:60Z", "2026-11-22T10:00:00+24:00",
     "2026-11-22T10:00:00+08:60", "2026-11-22T10:00:00+0800", "2026-11-22T10:00:00.Z", "2026-11-22T10:00:00.1234567890Z",
     "2026-11-22T10:00:00Z\n", " 2026-11-22T10:00:00Z", "２０２６-11-22T10:00:00Z", "1795341600", "0000-01-01T00:00:00Z"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_an_offset_may_not_lead_out_of_the_calendar(text: str) -> None:
    with pytest.raises(ValueError, match="out of the calendar"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "given"),
    [("2000-01-01T00:00:00Z", True), ("1999-12-31T23:59:59.999999Z", False), ("2000-01-01T00:00:00+00:01", False),
     ("1999-12-31T23:59:00-00:01", True), ("2199-12-31T23:59:59.999999999Z", True), ("2200-01-01T00:00:00Z", False),
     ("2200-01-01T00:00:00+00:01", True), ("1970-01-01T00:00:00Z", False), ("9999-12-31T23:59:59Z", False)],
)  # fmt: skip
def test_a_time_from_outside_lies_in_the_years_2000_to_2199_of_utc(text: str, given: bool) -> None:
    at = parse(text)
    if given:
        assert parse_given(text) == at
    else:
        with pytest.raises(ValueError, match="2000 to 2199"):
            parse_given(text)


@given(moments)
def test_parsing_agrees_with_the_standard_library(moment: datetime) -> None:
    text = moment.isoformat()
    assert parse(text) == micros_of(moment)
    assert datetime_of(parse(text)) == moment


@given(moments)
def test_written_and_read_again_nothing_has_changed(moment: datetime) -> None:
    micros = micros_of(moment)
    assert parse(text_of(micros)) == micros
    assert text_of(parse(text_of(micros))) == text_of(micros)


@given(moments)
def test_the_order_of_instants_of_one_precision_is_the_order_of_their_texts(moment: datetime) -> None:
    whole = moment.replace(microsecond=0).astimezone(UTC)
    assert (text_of(micros_of(whole)) < "2026-11-22T10:00:00Z") == (micros_of(whole) < NOW)


class _Timed(Model):
    at: Instant
    by: Time | None = None


@given(moments)
def test_a_model_reads_and_writes_the_same_instant(moment: datetime) -> None:
    read = _Timed.model_validate_json(f'{{"at":"{moment.isoformat()}"}}')
    assert micros_of(read.at) == micros_of(moment)
    assert read == _Timed(at=moment)
    assert read.model_dump_json(exclude_none=True) == f'{{"at":"{text_of(micros_of(moment))}"}}'


@given(moments)
def test_a_model_takes_a_time_from_outside_within_its_bounds_alone(moment: datetime) -> None:
    try:
        read = _Timed.model_validate_json(f'{{"at":"2026-11-22T10:00:00Z","by":"{moment.isoformat()}"}}')
    except ValidationError:
        assert not 2000 <= moment.astimezone(UTC).year <= 2199
    else:
        assert read.by == moment
        assert 2000 <= moment.astimezone(UTC).year <= 2199


# ---- periods -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "every", "count", "then"),
    [("2026-01-31T08:00:00Z", "P1M", 1, "2026-02-28T08:00:00Z"),
     ("2026-01-31T08:00:00Z", "P1M", 2, "2026-03-31T08:00:00Z"),  # counted from the origin: the 31st comes back
     ("2027-12-31T08:00:00Z", "P2M", 1, "2028-02-29T08:00:00Z"),
     ("2028-02-29T08:00:00Z", "P1Y", 1, "2029-02-28T08:00:00Z"),
     ("2028-02-29T08:00:00Z", "P1Y", 4, "2032-02-29T08:00:00Z"),
     ("2026-11-22T10:00:00.250000Z", "P1W", 3, "2026-12-13T10:00:00.250000Z"),
     ("2026-11-22T10:00:00Z", "P10D", 1, "2026-12-02T10:00:00Z"),
     ("2026-11-22T10:00:00Z", "P12M", 1, "2027-11-22T10:00:00Z")],
)  # fmt: skip
def test_periods(origin: str, every: str, count: int, then: str) -> None:
    assert text_of(add_periods(parse(origin), every, count)) == then


def test_the_calendar_ends_and_nothing_breaks() -> None:
    assert add_periods(parse("9999-12-31T00:00:00Z"), "P1D", 1) is None
    assert add_periods(NOW, "P9999Y", 100_000) is None


@given(moments, st.sampled_from("MY"), st.integers(1, 40), st.integers(1, 40))
def test_months_keep_the_day_or_clamp_to_the_months_end(moment: datetime, unit: str, number: int, count: int) -> None:
    origin = micros_of(moment)
    then = add_periods(origin, f"P{number}{unit}", count)
    if then is None:
        return
    before, after = datetime_of(origin), datetime_of(then)
    months = (after.year - before.year) * 12 + after.month - before.month
    assert months == number * count * (12 if unit == "Y" else 1)
    assert after.timetz() == before.timetz()
    if after.day != before.day:
        assert after.day < before.day
        assert datetime_of(then + DAY).day == 1


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
       st.sampled_from(["P1D", "P1W", "P1M", "P3M", "P1Y"]), st.integers(1, 60))  # fmt: skip
def test_each_period_ends_after_the_one_before(moment: datetime, every: str, count: int) -> None:
    origin = micros_of(moment)
    assert origin < add_periods(origin, every, count) < add_periods(origin, every, count + 1)
