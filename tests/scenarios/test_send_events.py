"""The page "Send events" is so: its tables are the models', and each example, as it stands there, does what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from schemas.answers import WAITING_FOR
from schemas.generate import Shape, schema_of
from schemas.senders import SCOPE_OF
from schemas.submissions import SUBMISSIONS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "services/intake/README.md"
DEADLINE_S = 90
PUMASI = [sys.executable, "-P", "-m", "services.cli"]
RECEIPT = re.compile(r'"receipt":"[\w-]{22}"')
_WAYS = ("contact", "sealed_contact")


def events_table() -> str:
    """Each event, its scope, and its fields."""
    rows = ["| `type` | scope | needed | may be left out |", "|---|---|---|---|"]
    for kind, model in SUBMISSIONS.items():
        person = getattr(model, "person", None)
        needed, optional = [], []
        for name, field in model.model_fields.items():
            if name == person:
                needed.append(" / ".join(f"`{way}`" for way in (person, *_WAYS)))
            elif field.is_required():
                needed.append(f"`{name}`")
            elif not (person and name in _WAYS):
                optional.append(f"`{name}`" if field.default is None else f"`{name}={json.dumps(field.default)}`")
        rows.append(f"| `{kind}` | {SCOPE_OF[kind]} | {', '.join(needed)} | {', '.join(optional)} |")
    return "\n".join(rows) + "\n"


def fields_table() -> str:
    """What each field means, said once for all events that have it."""
    rows, said = ["| field | |", "|---|---|"], set()
    for kind, model in SUBMISSIONS.items():
        schema = schema_of(Shape("submissions", kind, model))
        for name, told in schema["properties"].items():
            if name not in said:
                said.add(name)
                about = _meaning(told, schema.get("$defs", {}))
                of_id = f"Which {name}, by its id: " if about.startswith("1–64 characters") else ""
                rows.append(f"| `{name}` | {of_id}{about} |")
    return "\n".join(rows) + "\n"


def _meaning(told: dict[str, Any], inner: dict[str, Any]) -> str:
    shape = next(
        (one for one in (told, *told.get("anyOf", ())) if one.get("type") != "null" and "anyOf" not in one), told
    )
    about = told.get("description") or shape.get("description", "")
    if "$ref" in shape:
        found = inner[shape["$ref"].rpartition("/")[2]]
        return f"{about}: `{{{', '.join(found['properties'])}}}`"
    words = shape.get("enum", ())
    return f"{about}: {', '.join(f'`{word}`' for word in words)}" if 1 < len(words) < 20 else about


def waiting_table() -> str:
    """What a receipt may wait for."""
    rows = ["| `waiting_for` | |", "|---|---|", *(f"| `{word}` | {what} |" for word, what in WAITING_FOR.items())]
    return "\n".join(rows) + "\n"


TABLES = {"events": events_table, "fields": fields_table, "waiting_for": waiting_table}


def renewed(text: str) -> str:
    """The page with its tables as they should be."""
    for name, made in TABLES.items():
        begin, end = text.index(f"<!-- {name}"), text.index(f"<!-- /{name} -->")
        text = text[: text.index("\n", begin) + 1] + made() + text[end:]
    return text


def test_the_tables_are_the_models() -> None:
    """Renew with: python -P -m tests.renew"""
    assert PAGE.read_text() == renewed(PAGE.read_text())


class Block(NamedTuple):
    """A part of the page between fences: its language, and its text."""

    language: str
    text: str


class Pumasi(NamedTuple):
    """A whole one that runs, in a directory like a checkout."""

    home: Path
    blocks: list[Block]
    environment: dict[str, str]

    def run(self, command: list[str], text: str = "") -> str:
        """What an example prints."""
        environment = {**self.environment, "PYTHONPATH": os.pathsep.join((str(ROOT), str(self.home)))}
        done = subprocess.run(
            command, input=text, cwd=self.home, env=environment, capture_output=True, text=True, timeout=DEADLINE_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shell(self, *numbers: int) -> str:
        """What the sh examples of these numbers print, the first of them always before."""
        texts = [block.text for block in self.blocks if block.language == "sh"]
        return self.run(["sh", "-eu"], "\n".join(texts[n] for n in (0, *numbers)))

    def text(self, language: str, holding: str) -> str:
        """The one example of a language that holds some words."""
        [found] = [block.text for block in self.blocks if block.language == language and holding in block.text]
        return found


@pytest.fixture(scope="module")
def pumasi() -> Iterator[Pumasi]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PUMASI_")}
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"]))
    environment |= {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    with tempfile.TemporaryDirectory(prefix="pumasi-test-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        (home / "run").write_text(f'#!/bin/sh\nexec {" ".join(PUMASI)} "$@"\n')
        (home / "run").chmod(0o755)
        started = subprocess.Popen(
            ["./run", "up", "--json", "--kafka-port", "0", "--http-port", "0"],
            cwd=home, env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert started.stdout is not None
            where = json.loads(started.stdout.readline())
            page = (
                PAGE.read_text()
                .replace("http://127.0.0.1:8080", where["http"])
                .replace("127.0.0.1:9092", where["kafka"])
            )
            blocks = [Block(*found) for found in re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", page)]
            shown = re.findall(r"(?m)^export \w+=(\S+)", blocks[0].text)
            environment |= {"URL": where["http"], "KEY": (home / ".pumasi-keys/bearer").read_text().strip()}
            assert shown[0] == where["http"]
            yield Pumasi(home, blocks, environment)
        finally:
            started.terminate()
            started.wait(DEADLINE_S)


def test_the_readmes_first_event_is_taken(pumasi: Pumasi) -> None:
    text = (ROOT / "README.md").read_text().partition("## Send an event")[2].partition("```sh\n")[2].partition("```")[0]
    told = json.loads(pumasi.run(["sh", "-eu"], text.replace("http://127.0.0.1:8080", pumasi.environment["URL"])))
    assert [one["id"] for one in told["accepted"]] == ["1"]


def as_shown(text: str) -> Any:
    """JSON without the one part of it that differs each time."""
    return json.loads(RECEIPT.sub('"receipt":"…"', text))


@pytest.fixture(scope="module")
def first_case(pumasi: Pumasi) -> str:
    """What the first example prints: a case, a vouch, a pledge, a payment."""
    return pumasi.shell()


def test_curl_sends_a_case_a_vouch_a_pledge_and_a_payment(pumasi: Pumasi, first_case: str) -> None:
    accepted = [json.loads(line)["accepted"][0] for line in first_case.splitlines()]
    assert [one["id"] for one in accepted] == [f"e-{number}" for number in range(1, 6)]
    assert as_shown(first_case.splitlines()[-1]) == as_shown(pumasi.text("json", '"accepted"'))


def test_curl_reads_the_receipt_that_the_page_shows(pumasi: Pumasi, first_case: str) -> None:
    told = pumasi.shell(1).removeprefix(first_case)
    assert as_shown(told) == as_shown(pumasi.text("json", '"waiting_for"'))


@pytest.mark.usefixtures("first_case")
def test_what_is_wrong_is_told_as_the_page_shows_it(pumasi: Pumasi) -> None:
    told = pumasi.shell(2).splitlines()[-1]
    shown = pumasi.text("json", '"invalid_submission"')
    assert json.loads(re.sub(r"(known here: fund, pledge, )[\w, ]+", r"\1…", told)) == json.loads(shown)


def test_python_sends_a_batch_and_repeats_it(pumasi: Pumasi) -> None:
    program = pumasi.text("python", "httpx.Client")
    receipts = [json.loads(pumasi.run([sys.executable, "-"], program)) for _ in range(2)]
    assert receipts[0] == receipts[1]
    assert (receipts[0]["state"], receipts[0]["waiting_for"]) == ("applied", ["claim", "payment"])
    assert receipts[0]["progress"]["awarded"] == 26000


@pytest.mark.usefixtures("first_case")
def test_what_is_sealed_as_the_page_says_is_opened(pumasi: Pumasi) -> None:
    told = pumasi.run([sys.executable, "-"], pumasi.text("python", "SealedBox")).splitlines()
    assert [json.loads(one)["state"] for one in told] == ["applied", "applied"]
    added = json.loads(pumasi.run([*PUMASI, "keys", "add", "sealer", "--scope", "pledges", "--all-funds", "--json"]))
    assert added["intake_public_key"] == (pumasi.home / ".pumasi-keys/intake.pub").read_text().strip()


def test_the_cloudevents_library_makes_what_is_taken(pumasi: Pumasi) -> None:
    told = json.loads(pumasi.run([sys.executable, "-"], pumasi.text("python", "to_structured_event")))
    assert told["state"] == "applied"


@pytest.mark.skipif(
    shutil.which("node") is None, reason="there is no node to run the example in JavaScript (apt install nodejs)"
)
def test_javascript_sends_a_pledge(pumasi: Pumasi) -> None:
    told = json.loads(pumasi.run(["node", "--input-type=module", "-"], pumasi.text("js", "fetch")))
    assert (told["state"], told["waiting_for"], told["progress"]["face_currency"]) == ("applied", ["claim"], "EUR")


@pytest.mark.usefixtures("first_case")
def test_a_kafka_producer_signs_what_it_sends(pumasi: Pumasi) -> None:
    pumasi.run(["sh", "-eu"], pumasi.text("sh", "./run keys add my-sync"))
    pumasi.run([sys.executable, "-"], pumasi.text("python", "AIOKafkaProducer"))
    explain, letters = pumasi.text("sh", "./run explain").splitlines()
    deadline = time.monotonic() + DEADLINE_S
    while subprocess.run(
        ["sh", "-c", explain], cwd=pumasi.home, env=pumasi.environment, capture_output=True
    ).returncode:
        assert time.monotonic() < deadline, "the pledge never got on the ledger"
        time.sleep(0.2)
    assert "CNY 50.00" in pumasi.run(["sh", "-c", explain])
    pumasi.run(["sh", "-c", letters])


@pytest.mark.usefixtures("first_case")
def test_a_client_that_a_public_generator_makes_of_openapi_sends_a_pledge(pumasi: Pumasi) -> None:
    """Of the very document that the door serves."""
    pumasi.run(["sh", "-eu"], pumasi.text("sh", "openapi-python-client generate"))
    told = pumasi.run([sys.executable, "-"], pumasi.text("python", "pumasi_client"))
    assert told == "p-made applied ['payment']\n"


def renew() -> None:
    """Write the page's tables as they should be."""
    PAGE.write_text(renewed(PAGE.read_text()))


if __name__ == "__main__":
    renew()
