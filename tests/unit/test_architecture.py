"""The code map's invariants: who must never know whom. Imports inside functions count as well, and so do Cython's."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import aiokafka
import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    path
    for folder in ("services", "schemas")
    for path in sorted((ROOT / folder).rglob("*.py*"))
    if path.suffix != ".pyc"
]
SERVICES = ("intake", "matcher", "notifier", "console")
LAYERS = ("model", "rules", "engine", "ledger", "checkpoint", "partition", ("app", "audit"))
"""The matcher's, from the ground up."""
_PRIVATE = re.compile(r"\b(_[a-z]\w*)")
_TOUCHED = re.compile(r"([\w\])]+)\.(_[a-z]\w*)")
_CYTHON = re.compile(r"^\s*from ([\w.]+) c?import ([^#\n(]+)", re.MULTILINE)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path) for path in FILES}


def imported(path: Path) -> Iterator[str]:
    """The names that a file imports; of `from a import b` both `a` and `a.b`."""
    text = path.read_text()
    if path.suffix != ".py":
        for module, names in _CYTHON.findall(text):
            yield module
            yield from (f"{module}.{name.strip()}" for name in names.split(","))
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


IMPORTS = {path: list(imported(path)) for path in FILES}


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def found(*packages: str) -> Iterator[tuple[Path, str]]:
    """What the files of some packages import, file by file."""
    return ((path, name) for path in FILES if within(name_of(path), *packages) for name in IMPORTS[path])


def level(name: str) -> int | None:
    """How high a module of the matcher lies; None for others."""
    part = name.split(".")[2] if within(name, "services.matcher") and name.count(".") > 1 else None
    return next(
        (at for at, layer in enumerate(LAYERS) if part in (layer if isinstance(layer, tuple) else (layer,))), None
    )


def test_every_part_of_the_matcher_has_its_level_and_no_import_goes_up() -> None:
    files = [path for path in FILES if within(name_of(path), "services.matcher") and path.parent.name != "services"]
    assert not [path for path in files if level(name_of(path)) is None and name_of(path) != "services.matcher"]
    up = [
        (name_of(path), name) for path in files for name in IMPORTS[path]
        if (level(name) or 0) > (level(name_of(path)) or 0)
    ]  # fmt: skip
    assert not up


def test_no_import_goes_in_a_circle() -> None:
    edges: dict[str, set[str]] = {}
    for path in FILES:
        # a package whose contents are imported is not imported for its own sake
        wanted = {
            name
            for name in IMPORTS[path]
            if name in MODULES and not any(within(o, name) and o != name for o in IMPORTS[path])
        }
        edges.setdefault(name_of(path), set()).update(wanted - {name_of(path)})
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join((*way[way.index(module) :], module))
        if module not in done:
            for other in sorted(edges.get(module, ())):
                walk(other, (*way, module))
            done.add(module)

    for module in sorted(edges):
        walk(module, ())


def test_the_engine_knows_nothing_but_schemas_and_the_standard_library() -> None:
    pure = ("services.matcher.model", "services.matcher.rules", "services.matcher.engine")
    known = ("schemas", *pure, "libc", "cpython", "cython")
    foreign = [
        (name_of(path), name) for path, name in found(*pure)
        if not within(name, *known) and name.partition(".")[0] not in sys.stdlib_module_names
    ]  # fmt: skip
    assert not foreign


@pytest.mark.parametrize("service", SERVICES)
def test_services_never_import_one_another(service: str) -> None:
    others = [f"services.{other}" for other in SERVICES if other != service]
    assert not [(path, name) for path, name in found(f"services.{service}") if within(name, *others)]


def test_services_know_neither_the_command_line_nor_who_studies_them() -> None:
    outer = ("services.cli", "services.system", "services.stories", "services.policies", "tests")
    inner = ("services.bus", "services.readmodel", *(f"services.{name}" for name in SERVICES), "schemas")
    assert not [(path, name) for path, name in found(*inner) if within(name, *outer)]
    assert not [(path, name) for path, name in found("services", "schemas") if within(name, "tests")]
    others = [
        (path, n)
        for path, n in found("services")
        if within(n, "services.cli") and not within(name_of(path), "services.cli")
    ]
    assert not others


def test_the_bus_and_the_words_know_no_service_and_schemas_know_nothing_of_services() -> None:
    services = [f"services.{name}" for name in SERVICES]
    assert not [(path, name) for path, name in found("services.bus", "services.words") if within(name, *services)]
    assert not [(path, name) for path, name in found("schemas") if within(name, "services")]


def test_the_fold_that_all_readers_share_knows_the_contract_and_errors_alone() -> None:
    known = ("schemas", "services.errors", "services.readmodel")
    foreign = [
        (name_of(path), name) for path, name in found("services.readmodel")
        if not within(name, *known) and name != "services" and name.partition(".")[0] not in sys.stdlib_module_names
    ]  # fmt: skip
    assert not foreign
    assert not [(path, name) for path, name in found("services.matcher") if within(name, "services.readmodel")]


def test_only_the_bus_speaks_to_aiokafka() -> None:
    foreign = [
        (path, name) for path, name in found("services")
        if within(name, "aiokafka") and not within(name, "aiokafka.errors")  # to catch an error isn't to speak
        and not within(name_of(path), "services.bus")
    ]  # fmt: skip
    assert not foreign


def test_private_names_of_aiokafka_appear_in_the_client_alone() -> None:
    public = ("aiokafka.errors", "aiokafka.admin", *(f"aiokafka.{name}" for name in aiokafka.__all__))
    outside = [path for path in FILES if not within(name_of(path), "services.bus.client")]
    internals = [
        (name_of(path), name) for path in outside for name in IMPORTS[path]
        if within(name, "aiokafka") and name != "aiokafka" and not within(name, *public)
    ]  # fmt: skip
    assert not internals
    sources = [p for p in Path(aiokafka.__file__).parent.rglob("*.py*") if p.suffix in (".py", ".pyx")]
    theirs = {name for path in sources for name in _PRIVATE.findall(path.read_text())}
    touched = [
        (name_of(path), f"{owner}.{name}") for path in outside for owner, name in _TOUCHED.findall(path.read_text())
        if name in theirs and owner not in ("self", "cls") and f"def {name}(" not in path.read_text()
    ]  # fmt: skip
    assert not touched


def test_no_file_name_serves_two_services() -> None:
    owners: dict[str, set[str]] = {}
    for path in FILES:
        parts = name_of(path).split(".")
        if len(parts) > 2 and parts[0] == "services" and parts[1] in SERVICES and path.name != "__init__.py":
            owners.setdefault(parts[-1], set()).add(parts[1])
    assert {name for name, services in owners.items() if len(services) > 1} <= {"app", "ledger"}
