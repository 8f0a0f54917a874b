"""ISO 4217 currencies and the digits of their minor units.

The table is part of the contract, not of a library: a replay in ten years must convert as today did. Codes without minor units
(metals, funds codes such as XAU or XDR) are left out: nobody pledges in them. A test compares the table with the published list.
"""

_TWO = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP
CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD
KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU
UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"

DIGITS: dict[str, int] = {
    **dict.fromkeys(_TWO.split(), 2),
    **dict.fromkeys(_NONE.split(), 0),
    **dict.fromkeys(_THREE.split(), 3),
    **dict.fromkeys(_FOUR.split(), 4),
}
"""Digits after the decimal point of each currency's minor unit."""


def convert(face: int, rate: str, currency: str, into: str) -> int:
    """`face` minor units of `currency` in minor units of `into`, floored.

    Args:
        rate: decimal string, `into` for one unit of `currency`, in major units as banks quote.

    >>> convert(1_500_000, "0.0052", "KRW", "CNY")  # KRW 1,500,000 at 0.0052 is CNY 7,800.00
    780000
    """
    if currency == into and rate == "1":
        return face
    whole, _, fraction = rate.partition(".")
    numerator = face * int(whole + fraction)
    shift = DIGITS[into] - DIGITS[currency] - len(fraction)
    scale: int = 10 ** abs(shift)
    return numerator * scale if shift >= 0 else numerator // scale


def format_money(amount: int, currency: str) -> str:
    """`amount` minor units of `currency` as people read it.

    >>> format_money(1_000_000, "CNY"), format_money(1_500_000, "KRW"), format_money(-5, "BHD")
    ('CNY 10,000.00', 'KRW 1,500,000', 'BHD -0.005')
    """
    return f"{currency} {format_amount(amount, currency)}"


def format_amount(amount: int, currency: str) -> str:
    """The same without the currency, for where it is named beside."""
    digits = DIGITS[currency]
    whole, part = divmod(abs(amount), 10**digits)
    return f"{'-' if amount < 0 else ''}{whole:,}" + (f".{part:0{digits}}" if digits else "")


def format_whole(amount: float, currency: str) -> str:
    """The same in whole major units, rounded, for columns and axes.

    >>> format_whole(123456, "CNY"), format_whole(123456, "KRW"), format_whole(-50, "CNY")
    ('1,235', '123,456', '0')
    """
    return f"{round(amount / 10 ** DIGITS[currency]):,}"
