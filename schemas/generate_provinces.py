"""Writes `provinces.txt` from the `pycountry` package, which no service needs and no lock holds: the list changes once or twice a year.

Usage, in an environment of its own: `pip install pycountry && python -m schemas.generate_provinces`. A code that the new list
lacks was retired: if it is one of China's or Korea's, say in `schemas.provinces.RETIRED` what it is now before you commit.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version

from schemas.provinces import FILE


def text_of(codes: Iterable[str], source: str) -> str:
    """The file's text: where it is from, then a line for each country that has provinces, all sorted.

    >>> print(text_of(["KR-26", "AD-02", "KR-11"], "somewhere"), end="")
    # ISO 3166-2, from somewhere; written by schemas/generate_provinces.py
    AD 02
    KR 11 26
    """
    countries: dict[str, list[str]] = {}
    for code in sorted(codes):
        country, _, province = code.partition("-")
        countries.setdefault(country, []).append(province)
    lines = [f"{country} {' '.join(provinces)}\n" for country, provinces in sorted(countries.items())]
    return f"# ISO 3166-2, from {source}; written by schemas/generate_provinces.py\n" + "".join(lines)


def main() -> None:
    """Write the file anew."""
    codes = (subdivision.code for subdivision in import_module("pycountry").subdivisions)
    FILE.write_text(text_of(codes, f"pycountry {version('pycountry')}"), "utf-8")


if __name__ == "__main__":
    main()
