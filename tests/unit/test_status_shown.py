"""How `status` shows money, whole at any width; and what could not be read."""

import io

import pytest
from rich.console import Console

from services.cli.status import _as_dict, _print, _print_funds
from services.console.readmodel.survey import Survey

FUNDS = [
    {"fund": name, "currency": currency, "open": 1, "funded": 2, "closed": None, "asked": 10**14, "promised": 1_234_567,
     "settled": None, "delivered": 4, "waiting": 10**15, "released": 0}
    for name, currency in (("jilin-room", "CNY"), ("a" * 64, "KRW"))
]  # fmt: skip
AMOUNTS = {"1,000,000,000,000.00", "12,345.67", "0.04", "10,000,000,000,000.00", "100,000,000,000,000", "1,234,567"}


def page(width: int) -> str:
    text = io.StringIO()
    _print_funds(Console(file=text, width=width, force_terminal=True, color_system=None), FUNDS)
    return text.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 119, 150, 300])
def test_money_is_never_cut(width: int) -> None:
    shown = page(width)
    assert set(shown.split()) >= AMOUNTS
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width


def test_where_there_is_room_a_fund_is_a_line_else_a_block() -> None:
    assert len(page(300).splitlines()) == 1 + len(FUNDS)
    assert "  asked       CNY 1,000,000,000,000.00" in page(80)


SOUND = Survey("k1:9092", [])


@pytest.mark.parametrize(("dead", "told"), [({}, None), ({2: 1}, "1 record could"), ({0: 6, 3: 8}, "14 records could")])
def test_dead_letters_are_counted_and_it_is_said_where_they_lie(
    dead: dict[int, int], told: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    _print(SOUND, dead, public=False)
    shown = capsys.readouterr().out
    assert ("no record lies in dead letters" in shown) == (not dead)
    assert ("pumasi.deadletters.v1" in shown) == bool(dead)
    assert told is None or told in shown
    assert _as_dict(SOUND, dead, public=False)["dead_letters"] == {"total": sum(dead.values()), "partitions": dead}
    assert "dead_letters" not in _as_dict(SOUND, dead, public=True)
