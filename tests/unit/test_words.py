"""The catalogues: each language says all that the code says, with the same figures, and nothing that nobody says."""

import ast
import string
from contextlib import chdir
from pathlib import Path
from typing import Any, get_args

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.frontend import CommandLineInterface
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po

from services.cli import explain
from services.errors import WordsMissing
from services.settings import Settings
from services.words import LANGUAGES, LOCALE, SOURCE, Words, message, translations

ROOT = Path(__file__).parents[2]
OTHERS = [language for language in LANGUAGES if language != SOURCE]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """What the documented command finds in the code."""
    template = tmp_path_factory.mktemp("words") / "pumasi.pot"
    with chdir(ROOT):
        CommandLineInterface().run(["pybabel", "-q", "extract", "-o", str(template)])
    return read_po(template.open("rb"))


def catalogue(language: str) -> Catalog:
    return read_po((LOCALE / language / "LC_MESSAGES" / "pumasi.po").open("rb"))


def forms(text: str | tuple[str, ...] | list[str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def key(one: Message) -> tuple[str | None, Any]:
    return one.context, one.id


def test_there_is_a_catalogue_for_every_other_language_and_all_know_the_languages() -> None:
    assert sorted(path.parent.parent.name for path in LOCALE.rglob("*.po")) == sorted(OTHERS)
    assert get_args(Settings.model_fields["language"].annotation) == LANGUAGES == get_args(explain.Language)


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_has_every_message_of_the_code_and_no_other(language: str, said: Catalog) -> None:
    theirs = catalogue(language)
    assert len(said) > 200
    assert {key(one) for one in theirs if one.id} == {key(one) for one in said if one.id}
    assert not theirs.obsolete


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_translated_for_every_count_with_the_same_names(language: str) -> None:
    theirs, plural = catalogue(language), get_plural(language)
    assert (theirs.num_plurals, theirs.plural_expr) == (plural.num_plurals, plural.plural_expr)
    for one in theirs:
        if one.id:
            assert not one.fuzzy, one.id
            assert len(forms(one.string)) == (theirs.num_plurals if one.pluralizable else 1), one.id
            wanted = {frozenset(names(form)) for form in forms(one.id)}
            assert {frozenset(names(form)) for form in forms(one.string)} <= wanted, one.id
            assert all(form.strip() or one.id.isspace() for form in forms(one.string)), one.id


def test_what_is_said_stands_there_whole_so_that_it_can_be_found() -> None:
    """A message put together, or chosen on the spot, is found wrongly by gettext's tools, or not at all."""
    for folder in ("words", "console", "notifier"):
        for path in (ROOT / "services" / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and name_of(call.func) in ("say", "say_many", "message"):
                    texts = call.args[: 2 if name_of(call.func) == "say_many" else 1]
                    assert all(map(stands_whole, texts)), f"{path}:{call.lineno}"


def stands_whole(text: ast.expr) -> bool:
    """A sentence, or one out of a table of marked ones; `text` is what is handed on."""
    return isinstance(text, (ast.Constant, ast.Subscript)) or (isinstance(text, ast.Name) and text.id == "text")


def name_of(called: ast.expr) -> str:
    return getattr(called, "attr", getattr(called, "id", ""))


@pytest.mark.parametrize(("language", "said"), [("en", "urgent"), ("ko", "급함"), ("zh", "紧急")])
def test_a_context_chooses_the_translation_and_is_never_said(language: str, said: str) -> None:
    assert Words(language).say(message("urgent", "a class")) == said


@pytest.mark.parametrize(
    ("language", "one", "two"),
    [("en", "x, 1 need", "x, 2 needs"), ("ko", "x 1곳", "x 2곳"), ("zh", "x，共 1 处", "x，共 2 处")],
)
def test_a_count_has_the_languages_form(language: str, one: str, two: str) -> None:
    words = Words(language)
    said = [words.say_many("{place}, {count} need", "{place}, {count} needs", count, place="x") for count in (1, 2)]
    assert said == [one, two]


@pytest.mark.parametrize("language", OTHERS)
def test_what_a_catalogue_lacks_is_an_error_that_names_it(language: str) -> None:
    with pytest.raises(WordsMissing, match=f"{language} has no words for “Nobody ever said this."):
        Words(language).say("Nobody ever said this.")
    with pytest.raises(WordsMissing, match="“a context / urgent”"):
        translations(language).pgettext("a context", "urgent")
    with pytest.raises(WordsMissing, match="one sheep"):
        Words(language).say_many("one sheep", "{count} sheep", 2)


@pytest.mark.parametrize(("language", "text"), [("en", "A. B. C."), ("ko", "A. B. C."), ("zh", "A.B.C.")])
def test_sentences_follow_one_another_as_the_language_has_it(language: str, text: str) -> None:
    assert Words(language).text_of(["A.", "B.", "C."]) == text
