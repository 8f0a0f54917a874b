"""The currency table against the published list, and conversion against exact fractions."""

from fractions import Fraction

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.currencies import DIGITS, convert
from schemas.values import AMOUNT_MAX


def test_the_table_is_the_published_list() -> None:
    published = {code.name.upper(): code.exponent for code in iso4217.Currency if code.exponent is not None}
    assert published == DIGITS


@pytest.mark.parametrize(
    ("face", "rate", "currency", "into", "worth"),
    [(1_500_000, "0.0052", "KRW", "CNY", 780_000),  # no digits into two
     (140_000, "7.1429", "USD", "CNY", 1_000_006),  # two into two: 10000.06
     (100, "190.5", "CNY", "KRW", 190),  # two into none: floored
     (1, "0.0052", "KRW", "CNY", 0),  # less than a fen
     (1_000, "23", "BHD", "CNY", 2_300),  # three into two
     (7, "1", "USD", "CNY", 7)],
)  # fmt: skip
def test_conversion_of_well_known_cases(face: int, rate: str, currency: str, into: str, worth: int) -> None:
    assert convert(face, rate, currency, into) == worth


rates = st.from_regex(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?", fullmatch=True).filter(lambda rate: rate.strip("0."))
codes = st.sampled_from(sorted(DIGITS))
faces = st.integers(0, AMOUNT_MAX)


@given(faces, rates, codes, codes)
def test_conversion_is_the_floor_of_the_exact_value(face: int, rate: str, currency: str, into: str) -> None:
    exact = Fraction(face, 10 ** DIGITS[currency]) * Fraction(rate) * 10 ** DIGITS[into]
    assert convert(face, rate, currency, into) == exact.numerator // exact.denominator


@given(st.lists(faces, min_size=1, max_size=8), rates, codes, codes)
def test_parts_are_never_worth_more_than_the_whole(parts: list[int], rate: str, currency: str, into: str) -> None:
    whole = convert(sum(parts), rate, currency, into)
    assert 0 <= whole - sum(convert(part, rate, currency, into) for part in parts) < len(parts)
