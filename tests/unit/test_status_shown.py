"""How `status` shows money: whole, at any width."""

import io

import pytest
from rich.console import Console

from services.cli.status import _print_funds

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
