"""ISO 3166-2: the provinces that there are today, of all countries, and what China's and Korea's retired codes are now.

A province that counts under two codes counts wrong: groups of people fall under five and are hidden. So the bus knows only
today's code. The list is a file (`generate_provinces` writes it), since a replay in ten years must read as today did; the retired
codes are written down here, for no package knows what became of them. China went from numbers to letters in 2017, North Korea
from letters to numbers in 2010; South Korea never changed a code.
"""

from pathlib import Path

from pydantic_core import PydanticCustomError

FILE = Path(__file__).with_name("provinces.txt")
PROVINCE_PATTERN = r"^[A-Z]{2}-[A-Z0-9]{1,3}$"

_RETIRED = {
    "CN": """
        11 BJ  12 TJ  13 HE  14 SX  15 NM  21 LN  22 JL  23 HL  31 SH  32 JS  33 ZJ  34 AH  35 FJ  36 JX  37 SD  41 HA  42 HB
        43 HN  44 GD  45 GX  46 HI  50 CQ  51 SC  52 GZ  53 YN  54 XZ  61 SN  62 GS  63 QH  64 NX  65 XJ  71 TW  91 HK  92 MO
    """,
    "KP": "PYO 01  PYN 02  PYB 03  CHA 04  HWN 05  HWB 06  KAN 07  HAN 08  HAB 09  YAN 10  NAJ 13  NAM 14  KAE 15",
}


def _codes(country: str, provinces: list[str]) -> list[str]:
    return [f"{country}-{province}" for province in provinces]


PROVINCES: frozenset[str] = frozenset(
    code
    for country, *provinces in map(str.split, FILE.read_text("utf-8").splitlines()[1:])
    for code in _codes(country, provinces)
)
"""Every code of today's list."""
RETIRED: dict[str, str] = {
    old: new
    for country, pairs in _RETIRED.items()
    for old, new in zip(_codes(country, pairs.split()[::2]), _codes(country, pairs.split()[1::2]), strict=True)
}
"""Retired code → what it is now."""


def province_now(code: str) -> str:
    """A province's code of today.

    Raises:
        PydanticCustomError: if it is, and was, no province's.

    >>> province_now("CN-22"), province_now("KR-11")
    ('CN-JL', 'KR-11')
    """
    code = RETIRED.get(code, code)
    if code not in PROVINCES:
        raise PydanticCustomError("unknown_province", "is no province of ISO 3166-2")
    return code
