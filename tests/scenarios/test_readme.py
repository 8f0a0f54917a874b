"""The documents say what is: settings, worked example, code map, links, commands."""

import json
import re
from pathlib import Path

import pytest

from schemas.commands import Command, read_data
from services import metrics, settings
from services.matcher.engine.engine import Engine
from services.stories.figures import Figures

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TABLES = {"settings": settings.as_markdown, "metrics": metrics.as_markdown}
"""What stands in deploy/<NAME>.md, between its marks."""
DOCUMENTS = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")]
DOCUMENTS += [path for folder in ("deploy", "schemas", "services", "tests") for path in (ROOT / folder).rglob("*.md")]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_what_the_code_does(name: str) -> None:
    """Renew with: python -P -m tests.renew"""
    text = (ROOT / f"deploy/{name.upper()}.md").read_text()
    assert text.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0] == TABLES[name]()


def table(mark: str) -> list[list[str]]:
    rows = README.partition(mark)[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("|")][2:]


@pytest.mark.parametrize(("weights", "column"), [("equal", 2), ("claim", 3)])
def test_the_worked_example_is_what_the_engine_does(weights: str, column: int) -> None:
    rows = table("<!-- worked example")
    assert [row[0] for row in rows] == ["Ana", "Bo"]
    engine, figures = Engine(), Figures()

    def tell(kind: str, **data: object) -> None:
        command = Command(
            f"pumasi.{kind}", "e", 0, read_data(f"pumasi.{kind}", json.dumps({"fund": "f", **data}).encode()), 0
        )
        _, _, facts = engine.execute(command)
        figures.feed_facts("f", facts)

    tell("fund.configured", currency="CNY", share=10_000, weights=weights, vouchers_required=0)
    for who, asks, *_ in rows:
        tell(
            "case.submitted",
            case=who,
            beneficiary=who,
            need="test",
            route="clinic",
            goal=minor(asks),
            priority="urgent",
        )
    tell("pledge.made", pledge="p", donor="d", amount=50_000, currency="CNY")
    assert {case.id: case.promised for case in figures.funds["f"].cases.values()} == {
        row[0]: minor(row[column]) for row in rows
    }


def minor(text: str) -> int:
    return int(text.removeprefix("CNY ").replace(",", "")) * 100


def test_the_code_map_names_every_package() -> None:
    code_map = README.partition("## Code map")[2].partition("**Invariants**")[0]
    packages = [path.parent for path in (ROOT / "services").glob("*/__init__.py")]
    assert not [path.name for path in packages if f"{path.name}/" not in code_map]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_command_of_a_document_is_there(document: Path) -> None:
    from services.cli import build

    text = document.read_text()
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)#]+)", text):
        assert (document.parent / link).exists(), link
    app = build()
    known = {command.name for command in (*app.registered_commands, *app.registered_groups)}
    assert set(re.findall(r"\./run ([a-z]+)", text)) <= known | {"test", "commands", "bench", "soak"}


INVENTED = {"occasion", "ru"}
"""What the recipes add, as examples."""


def test_each_file_and_each_name_that_a_recipe_names_is_there() -> None:
    recipes = (ROOT / "CONTRIBUTING.md").read_text()
    folders = ("deploy", "schemas", "services", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.*")] + [ROOT / "pyproject.toml"]
    code = "".join(path.read_text() for path in files if path.suffix in (".py", ".pyx", ".pxd", ".yml", ".toml"))
    words, lost = {*re.findall(r"\w+", code)}, set()
    for name in {*re.findall(r"`([^`\n]+)`", recipes)} - INVENTED:
        if re.fullmatch(r"[\w/.-]+\.(py|yml|yaml)", name):
            lost |= set() if any(f"/{path}".endswith(f"/{name}") for path in map(str, files)) else {name}
        elif re.fullmatch(r"[A-Za-z_]\w+", name):
            lost |= {name} - words
    assert not lost, "what is renamed in the code is renamed in CONTRIBUTING.md"


@pytest.mark.parametrize("folder", ["services", "schemas", "tests"])
def test_each_part_of_the_contract_that_code_names_is_there(folder: str) -> None:
    sections = dict(re.findall(r"(?ms)^## (\d)\. (.*?)(?=^## |\Z)", (ROOT / "schemas/CONTRACT.md").read_text()))
    for path in (ROOT / folder).rglob("*.py"):
        for number, part in re.findall(r"(?:contract, |§)(\d)(?:(?<=, \d): (?!rule)([a-z]+))?", path.read_text()):
            assert number in sections, path
            assert not part or f"**{part.capitalize()}" in sections[number], path


def renew() -> None:
    """Write the tables as they should be."""
    for name, made in TABLES.items():
        path = ROOT / f"deploy/{name.upper()}.md"
        head, mark, rest = path.read_text().partition(f"<!-- {name} -->\n")
        end = f"<!-- /{name} -->"
        path.write_text(head + mark + made() + end + rest.partition(end)[2])


if __name__ == "__main__":
    renew()
