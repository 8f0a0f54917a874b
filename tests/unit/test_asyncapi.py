"""One AsyncAPI document tells of every channel. It was held against AsyncAPI's own parser; here it is held against that golden file."""

import json
import re
import warnings

import pytest
from typer.testing import CliRunner

from schemas import generate
from services.bus.topics import wanted_topics
from services.cli import build

GOLDEN = generate.HERE / "golden" / generate.VERSION / "asyncapi.json"
RENEW = "if that is meant: python -P -m tests.renew, and hold it against npm's @asyncapi/parser"


@pytest.fixture(scope="module")
def printed() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # FastStream warns where one name stands for two things
        return CliRunner().invoke(build(), ["schemas", "--asyncapi"]).stdout


def test_the_document_is_the_golden_one(printed: str) -> None:
    assert json.loads(printed) == json.loads(GOLDEN.read_text("utf-8")), RENEW


def test_every_topic_has_a_channel_and_every_reference_leads_somewhere(printed: str) -> None:
    made = json.loads(printed)
    assert {channel["address"] for channel in made["channels"].values()} == {topic.name for topic in wanted_topics()}
    for pointer in set(re.findall(r'"\$ref": "#/([^"]+)"', printed)):
        found = made
        for member in pointer.split("/"):
            found = found[member]


@pytest.mark.parametrize("group", ["commands", "submissions", "ledger", "notices"])
def test_a_channels_shapes_are_those_of_the_contract(printed: str, group: str) -> None:
    made = json.loads(printed)
    names = {f"{shape.group}.{shape.name}" for shape in generate.shapes() if shape.group == group}
    payloads = [one["oneOf"] for one in made["components"]["schemas"].values() if "oneOf" in one and "title" in one]
    told = [{choice["$ref"].rpartition("/")[2] for choice in choices if "$ref" in choice} for choices in payloads]
    assert names in told


def test_one_shape_is_printed_by_name_and_all_are_listed() -> None:
    names = json.loads(CliRunner().invoke(build(), ["schemas", "--json"]).stdout)
    assert len(names) == len(set(names)) == len(list(generate.shapes()))
    made = json.loads(CliRunner().invoke(build(), ["schemas", "facts/awarded"]).stdout)
    assert made == json.loads((generate.JSON / "facts" / "awarded.json").read_text("utf-8"))
    assert CliRunner().invoke(build(), ["schemas", "facts/nothing"]).exit_code == 2
