"""The glossary is what the code says: its classes, its figures, and its words in every sentence of the catalogues that has them."""

import json
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from schemas.commands import Command, read_data
from schemas.values import CLASSES as CODES
from services.console.explain import wording
from services.matcher.engine.engine import Engine
from services.policies.report.rows import label_of
from services.stories.figures import Figures
from services.stories.scenario import FIGURES, load_stories
from services.words import LOCALE, Words
from services.words.classes import CLASSES, class_name
from tests.telling import rehearsed_figures

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "services/words/GLOSSARY.md").read_text()


def table(mark: str) -> list[list[str]]:
    rows = PAGE.partition(mark)[2].partition("\n\n")[0].splitlines()
    return [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in rows if row.startswith("|")][2:]


WORDS = {word: {"ko": ko, "zh": zh} for word, ko, zh, _ in table("<!-- glossary")}


def test_there_are_twelve_and_the_readme_leads_there() -> None:
    assert len(WORDS) == 12
    assert "services/words/GLOSSARY.md" in (ROOT / "README.md").read_text()


def test_a_class_has_one_name_in_each_language() -> None:
    names = {code: [class_name(code, language) for language in ("en", "ko", "zh")] for code in CODES}
    assert {code: [*told] for code, *told in table("<!-- classes")} == names
    assert [code for code, *_ in table("<!-- classes")] == list(reversed(CODES))


def test_no_other_table_of_the_code_names_classes() -> None:
    """A second one would soon have other names."""
    tables = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "services").rglob("*.py")
        if re.search(r'"stat": *(message\()?["\']', path.read_text())
    ]
    assert tables == ["services/words/classes.py"]


def test_simulate_calls_classes_by_their_names() -> None:
    assert [label_of(code) for code in (*CODES, "all")] == [*map(class_name, CODES), "all"]


def test_every_figure_of_the_demo_and_of_explain_is_in_it() -> None:
    assert set(FIGURES) - {"asked", "notices"} <= WORDS.keys()
    for name in ("placed", "settled", "delivered", "waiting", "released"):
        for language in ("ko", "zh"):
            assert WORDS[name][language] in Words(language).say(wording.FIGURES[name])


@pytest.mark.parametrize("language", ["ko", "zh"])
@pytest.mark.parametrize("word", ["case", "class", "share", "pledge", "award", "released", "settled", "delivered"])
def test_a_sentence_that_has_the_word_has_its_translation(language: str, word: str) -> None:
    catalogue = read_po((LOCALE / language / "LC_MESSAGES" / "pumasi.po").open("rb"))
    found = 0
    for one in catalogue:
        said = " ".join([one.id] if isinstance(one.id, str) else one.id)
        if re.search(rf"\b{word}(s|es)?\b", re.sub(r"\{.*?\}", "", said), re.IGNORECASE):
            found += 1
            told = one.string if isinstance(one.string, str) else " ".join(one.string)
            assert WORDS[word][language] in told, said
    assert found


def test_the_sums_are_as_it_says() -> None:
    for story in load_stories():
        figures, _ = rehearsed_figures(story)
        for fund in figures.funds.values():
            sums = fund.totals()
            assert sums["promised"] == sums["waiting"] + sums["placed"] + sums["released"]
            assert all(case.claim >= case.promised >= case.settled >= case.delivered for case in fund.cases.values())


def test_a_claim_is_the_goal_less_the_own_contribution() -> None:
    engine, figures = Engine(), Figures()
    case = {"case": "c", "beneficiary": "b", "need": "test", "route": "clinic", "goal": 300, "priority": "stat"}
    for kind, data in (
        ("fund.configured", {"currency": "CNY", "vouchers_required": 0}),
        ("case.submitted", {**case, "own_contribution": 100}),
    ):
        read = read_data(f"pumasi.{kind}", json.dumps({"fund": "f", **data}).encode())
        _, _, facts = engine.execute(Command(f"pumasi.{kind}", "e", 0, read, 0))
        figures.feed_facts("f", facts)
    assert figures.funds["f"].cases["c"].claim == 200
    assert CLASSES.keys() == set(CODES)
