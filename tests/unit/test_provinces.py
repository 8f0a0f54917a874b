"""Provinces: the list's shape, and that a retired code is read as what it is now, wherever it comes from."""

import doctest
import re

import pytest

from schemas import generate_provinces, provinces
from schemas.provinces import FILE, PROVINCE_PATTERN, PROVINCES, RETIRED, province_now
from schemas.values import Access


def test_the_file_is_as_its_script_writes_it_and_holds_the_whole_list() -> None:
    text = FILE.read_text("utf-8")
    source = re.match(r"# ISO 3166-2, from (pycountry [0-9.]+);", text)
    assert source
    assert generate_provinces.text_of(PROVINCES, source[1]) == text
    assert len(PROVINCES) > 5000
    assert len({code[:2] for code in PROVINCES}) == 200
    assert all(re.fullmatch(PROVINCE_PATTERN, code) for code in PROVINCES)


@pytest.mark.parametrize("module", [provinces, generate_provinces])
def test_what_the_modules_show_is_so(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]  # a module
    assert found.attempted
    assert not found.failed


def test_each_retired_code_became_a_province_of_its_own() -> None:
    assert not RETIRED.keys() & PROVINCES
    assert set(RETIRED.values()) == {code for code in PROVINCES if code[:2] in ("CN", "KP")}
    assert len(set(RETIRED.values())) == len(RETIRED) == 34 + 13


@pytest.mark.parametrize(
    ("code", "now"),
    [("CN-22", "CN-JL"), ("CN-JL", "CN-JL"), ("CN-91", "CN-HK"), ("KP-HAB", "KP-09"), ("KR-11", "KR-11")],
)
def test_the_model_says_todays_code(code: str, now: str) -> None:
    told = Access.model_validate_json(f'{{"province":"{code}","status":"unknown"}}')
    assert told.province == province_now(code) == now


@pytest.mark.parametrize(
    "code", ["XX-1", "CN-99", "CN-ZZ", "KR-99", "CN-1", "US-XX", "EU-DE", "CN", "cn-jl", "CN-JL ", "JL"]
)
def test_what_is_no_province(code: str) -> None:
    with pytest.raises(ValueError, match="province"):
        Access.model_validate_json(f'{{"province":"{code}","status":"unknown"}}')
