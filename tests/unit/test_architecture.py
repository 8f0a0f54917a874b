"""The code map's invariants: who must never know whom. Imports inside functions count as well."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("services", "schemas")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
PURE = [f"services.matcher.{name}" for name in
        ("rule", "first_come", "guaranteed_floor", "rulebook", "rules", "scene", "book", "leap", "places", "line", "lanes", "decide",
         "turn", "plain", "engine", "entities", "fresh", "changes", "state", "fold", "timers", "schedule", "conservation")]  # fmt: skip
SERVICES = ("intake", "matcher", "notifier", "console")


def imports(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("module", PURE)
def test_the_engine_knows_nothing_but_schemas_and_the_standard_library(module: str) -> None:
    foreign = [
        name
        for name in imports(module)
        if not within(name, "schemas", "services.matcher") and name.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert not foreign
    own = {name for name in imports(module) if name in MODULES and within(name, "services.matcher")}
    assert own <= {*PURE, "services.matcher"}


@pytest.mark.parametrize("service", SERVICES)
def test_services_never_import_one_another(service: str) -> None:
    others = [f"services.{other}" for other in SERVICES if other != service]
    found = [
        (m, name) for m in MODULES if within(m, f"services.{service}") for name in imports(m) if within(name, *others)
    ]
    assert not found


def test_services_know_neither_the_command_line_nor_the_lab() -> None:
    inner = [m for m in MODULES if not within(m, "services.cli", "services.lab")]
    assert not [(m, name) for m in inner for name in imports(m) if within(name, "services.cli", "services.lab")]


def test_only_the_labs_own_commands_import_the_lab() -> None:
    found = {m for m in MODULES if not within(m, "services.lab") for name in imports(m) if within(name, "services.lab")}
    shown = ("throughput_shown", "latency_shown", "bench_shown", "check_shown", "engine_shown", "recovery_shown")
    own = ("demo", "bench", *shown, "simulate", "soak")
    assert found <= {f"services.cli.{name}" for name in own}


def test_the_bus_knows_no_service_and_schemas_know_nothing_of_services() -> None:
    services = [f"services.{name}" for name in SERVICES]
    assert not [(m, n) for m in MODULES if within(m, "services.bus") for n in imports(m) if within(n, *services)]
    assert not [(m, n) for m in MODULES if within(m, "schemas") for n in imports(m) if within(n, "services")]


def test_only_bus_and_journal_speak_to_aiokafka_and_the_lab_that_measures_it() -> None:
    found = {
        m
        for m in MODULES
        if not within(m, "services.bus", "services.lab", "services.matcher.ledger.journal")
        for name in imports(m)
        if within(name, "aiokafka") and not within(name, "aiokafka.errors")  # to catch an error isn't to speak
    }
    assert not found
