"""Amounts for people: minor units with the currency's own digits, `CNY 10,000.00`, `KRW 1,500,000`."""

from schemas.currencies import DIGITS


def shown(amount: int, currency: str) -> str:
    """`amount` minor units of `currency`, as text.

    >>> shown(1000000, "CNY"), shown(1500000, "KRW"), shown(-5, "BHD")
    ('CNY 10,000.00', 'KRW 1,500,000', 'BHD -0.005')
    """
    return f"{currency} {figure(amount, currency)}"


def figure(amount: int, currency: str) -> str:
    """The same without the currency, for a column that names it."""
    digits = DIGITS[currency]
    whole, part = divmod(abs(amount), 10**digits)
    return f"{'-' if amount < 0 else ''}{whole:,}" + (f".{part:0{digits}}" if digits else "")
