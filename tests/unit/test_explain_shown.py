"""How an explanation looks: nothing of it is ever cut, however narrow the terminal, and a pipe gets whole lines."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from services.cli.explain import show
from services.console.explain import telling
from services.console.explain.explain import answer
from services.console.explain.story import Story
from services.words import LANGUAGES
from tests.ledgers import Told


@pytest.fixture(scope="module")
def ledger() -> Told:
    told = Told()
    for number in range(3):
        told.case(f"c-{number}", 100_000)
    told.pledge("p-1", 130_000)
    told.pay("p-1", 60_000)
    told.pledge("p-2", 10_000, designation={"case": "c-1"})
    return told


def explained(ledger: Told, kind: str, name: str, language: str) -> telling.Told:
    story = Story(kind, name)
    return answer(ledger.read(story.watch), story, language)


def shown(told: telling.Told, width: int, terminal: bool, exact: bool = False) -> str:
    page = io.StringIO()
    show(told, Console(file=page, width=width, force_terminal=terminal, color_system=None, highlight=False), exact)
    return page.getvalue()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("kind", "name"), [("award", "p-1/1"), ("case", "c-2"), ("pledge", "p-1")])
def test_nothing_is_cut(ledger: Told, kind: str, name: str, language: str) -> None:
    told = explained(ledger, kind, name, language)
    piped = shown(told, 80, terminal=False)
    lines = piped.splitlines()
    for _, rows in told.parts:
        for when, sentence in rows:
            assert any(line.startswith(when) and line.endswith(sentence) for line in lines), sentence
    for width in (40, 80, 120):
        page = shown(told, width, terminal=True)
        assert sorted("".join(page.split())) == sorted("".join(piped.split())), page
        assert max(map(cell_len, page.splitlines())) <= width


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_arithmetic_is_shown_to_who_asks_for_it_only(ledger: Told, language: str) -> None:
    told = explained(ledger, "award", "p-1/1", language)
    plain, exact = (shown(told, 80, terminal=False, exact=wanted) for wanted in (False, True))
    assert exact == plain + "\n" + "".join(f"{line}\n" for line in told.exact)
    assert "//" not in plain
    assert told.as_dict()["exact"] == told.exact


@pytest.mark.parametrize("kind", ["pledge", "award"])
def test_chinese_sets_no_blank_after_a_sentence(ledger: Told, kind: str) -> None:
    told = explained(ledger, kind, {"pledge": "p-1", "award": "p-1/2"}[kind], "zh")
    assert "。 " not in "\n".join(told.as_dict()["text"])
