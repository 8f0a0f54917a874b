"""The OpenAPI document is the golden file and valid, and what the door takes and answers is as it says."""

import ast
import base64
import html
import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from typer.testing import CliRunner

from schemas import generate
from schemas.commands import COMMANDS
from schemas.notices import NOTICE_TYPE, Notice, Posted
from schemas.senders import SCOPE_OF
from schemas.submissions import SUBMISSIONS
from services.cli import build
from services.errors import InvalidSubmission, KafkaRefused, PumasiError, UnknownId, UnknownRule, Unsigned
from services.intake import problems
from services.intake.documents import DOORS
from services.intake.openapi import document
from services.intake.pages import rendered
from services.intake.problems import PROBLEMS, problem_of
from tests.unit.test_intake_http import Bench, pledge
from tests.unit.test_intake_progress import CASE, FUND, RATE, VOUCHES, delivered, paid, pledged, told_of

GOLDEN = generate.HERE / "golden" / generate.VERSION / "openapi.json"
INTAKE = Path(problems.__file__).parent
DOCUMENT = document()


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Of a part of the document."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **DOCUMENT}
    registry = Registry().with_resource("urn:pumasi", Resource.from_contents(whole))
    told = json.loads(json.dumps(schema).replace('"#/', '"urn:pumasi#/'))
    return Draft202012Validator(told, registry=registry)


def component(name: str, **closed: Any) -> Draft202012Validator:
    return validator({"$ref": f"#/components/schemas/{name}", **closed})


def test_the_document_is_the_golden_one_and_valid() -> None:
    printed = CliRunner().invoke(build(), ["schemas", "--openapi"]).stdout
    renew = "if that is meant: python -P -m tests.renew"
    assert json.loads(printed) == json.loads(GOLDEN.read_text("utf-8")), renew
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not list(OpenAPIV31SpecValidator(json.loads(printed)).iter_errors())


async def test_every_path_of_the_door_is_told_everywhere() -> None:
    app = Bench().app
    routes = {(route.path, method) for route in app.routes for method in route.methods - {"HEAD"}}
    assert routes == {(door.path, door.method) for door in DOORS}
    assert routes == {(path, method.upper()) for path, methods in DOCUMENT["paths"].items() for method in methods}


BY_ERROR = {
    "malformed": 400, "unauthenticated": 401, "forbidden": 403, "id_conflict": 409, "too_large": 413,
    "unsupported_media_type": 415, "invalid_submission": 422, "too_many": 429, "kafka_unreachable": 503, "clock_off": 503,
    "key_moved": 503, "key_changing": 503, "unknown_fact": 503,
}  # fmt: skip
BY_INTAKE = {
    "foreign_origin": 403, "unknown_receipt": 404, "too_slow": 408, "unknown_host": 421, "too_busy": 429, "internal": 500,
    "kafka_unreachable": 503, "key_moved": 503, "stuck": 503, "topic_unreadable": 503, "warming_up": 503, "not_answered": 503,
}  # fmt: skip
BY_STARLETTE = {"not_found": 404, "method_not_allowed": 405}
"""What senders switch on: a code that changes its status, comes or goes changes the contract with them."""


def test_every_code_that_senders_get_has_its_status_and_there_is_no_other() -> None:
    statuses = {code: int(status) for code, (status, _) in PROBLEMS.items()}
    assert statuses == BY_ERROR | BY_INTAKE | BY_STARLETTE


def test_intake_tells_those_codes_by_itself_and_no_other() -> None:
    told: set[str] = set()
    for path in INTAKE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "problem":
                told |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
            if isinstance(node, ast.FunctionDef) and node.name == "amiss":
                returned = [one.value for one in ast.walk(node) if isinstance(one, ast.Return)]
                told |= {one.elts[0].value for one in returned if isinstance(one, ast.Tuple)}
    assert told == BY_INTAKE.keys()


def _kinds(kind: type[PumasiError] = PumasiError) -> Iterator[type[PumasiError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


def test_an_error_of_ours_has_its_codes_status_or_its_parents() -> None:
    assert BY_ERROR.keys() <= {kind.code for kind in _kinds()}
    for kind in (kind for kind in _kinds() if kind.code in BY_ERROR):
        error = kind("x", []) if issubclass(kind, InvalidSubmission) else kind("x")
        assert problem_of(error).status_code == BY_ERROR[kind.code]
    for error, status in (
        (KafkaRefused("x"), 503),
        (Unsigned("x"), 401),
        (UnknownRule("x"), 503),
        (UnknownId("x"), 500),
    ):
        assert problem_of(error).status_code == status


@pytest.mark.parametrize("kind", SUBMISSIONS)
def test_an_event_of_every_type_is_described_as_it_is_taken(kind: str) -> None:
    name = "".join(part.capitalize() for part in kind.split(".")[1:])
    for path in (GOLDEN.parent / "submissions").glob(f"{kind}.*.json"):
        data = json.loads(path.read_text("utf-8"))
        event = {"specversion": "1.0", "id": "e", "source": "/forms", "type": kind, "data": data}
        for described in ("Event", f"{name}Event"):
            component(described).validate(event)
            assert not component(described).is_valid({**event, "type": "pumasi.other"})
            assert not component(described).is_valid({**event, "data": {**data, "name": "x"}})
        component(name).validate(data)


def test_that_a_person_is_named_once_is_said_in_words() -> None:
    """As a rule of the schema it would cost a generated client the fields."""
    told = DOCUMENT["components"]["schemas"]["PledgeMade"]
    assert "Give exactly one of `donor`, `contact`, `sealed_contact`." in told["description"]
    assert "oneOf" not in told


def test_every_receipt_is_as_the_document_has_it() -> None:
    unknown = ("pledge.withdrawn", {"fund": "x", "pledge": "q"})
    misses = ("pledge.made", {**pledged(5)[1], "pledge": "r", "designation": {"case": "none"}})
    told = told_of(FUND, CASE, *VOUCHES, pledged(50, "EUR"), RATE, paid(30), paid(40), delivered(100), unknown, misses)
    assert {one["state"] for one in told} == {"applied", "rejected"}
    for one in told:
        component("Receipt", unevaluatedProperties=False).validate({"receipt": "r", **one})
    progress = DOCUMENT["components"]["schemas"]
    assert set(told[1]["progress"]) <= set(progress["CaseProgress"]["properties"])
    assert set(told[-1]["progress"]) == set(progress["PledgeProgress"]["properties"])


async def test_every_answer_is_as_the_document_has_it() -> None:
    one = Bench()
    events = DOCUMENT["paths"]["/v1/events"]["post"]["responses"]
    receipts = DOCUMENT["paths"]["/v1/receipts/{receipt}"]["get"]["responses"]
    accepted = await one.send(pledge(1))
    path = accepted.headers["location"]
    assert path == f"/v1/receipts/{accepted.json()['accepted'][0]['receipt']}"
    answers = [
        (accepted, events),
        (await one.send(pledge(2), pledge(3)), events),
        (await one.send(pledge(1, amount=6)), events),
        (await one.send(pledge(4, amount=0, x=1)), events),
        (
            await one.client.post("/v1/events", content="{", headers={"content-type": "application/cloudevents+json"}),
            events,
        ),
        (await one.client.post("/v1/events", content="x"), events),
        (await one.client.get(path), receipts),
        (await one.client.get(path + "x"), receipts),
        (await one.client.get(path, params={"wait": "soon"}), receipts),
        (await one.client.get("/readyz"), DOCUMENT["paths"]["/readyz"]["get"]["responses"]),
        (await one.client.get("/livez"), DOCUMENT["paths"]["/livez"]["get"]["responses"]),
    ]
    assert [answer.status_code for answer, _ in answers] == [202, 202, 409, 422, 400, 415, 200, 404, 400, 200, 200]
    for answer, described in answers:
        media = answer.headers["content-type"]
        schema = described[str(answer.status_code)]["content"][media]["schema"]
        validator({**schema, "unevaluatedProperties": False}).validate(answer.json())
    await one.client.aclose()


def test_the_webhook_is_what_is_posted() -> None:
    told = (GOLDEN.parent / "notices").glob("*.json")
    notice = Notice.model_validate_json(next(told).read_bytes())
    posted = json.loads(Posted(type=NOTICE_TYPE, timestamp=notice.at, data=notice).wire())
    described = DOCUMENT["webhooks"]["notice"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator(described).validate(posted)


def section(document: str, name: str) -> str:
    """A section of a page."""
    page, _ = rendered((GOLDEN.parent / document).read_bytes())
    return re.search(rf'<section id="{re.escape(name)}">.*?</section>', page, re.DOTALL)[0]


def test_the_page_shows_an_example_first_then_the_scopes_and_breaks_no_word() -> None:
    sending = section("openapi.json", "sendEvents")
    headings = re.findall("<h3>(.*?)</h3>", sending)
    assert headings == ["Example", "Scopes of keys", "Parameters", "Body", "Answers"]
    for kind, scope in SCOPE_OF.items():
        [row] = [row for row in sending.split("<tr>") if f"<code>{kind}</code>" in row and "lets send" in row]
        assert f'<th scope="row"><code>{scope}</code>' in row
    assert "<code>application/<wbr>cloudevents+json</code>" in sending


def test_the_page_of_topics_lists_what_a_topic_holds_once() -> None:
    topic = section("asyncapi.json", "pumasi.commands.v1")
    assert "intake writes, matcher reads" in topic
    links = re.findall('href="#(.*?)"', topic)
    assert len(links) == len(set(links)) == len(COMMANDS)


def test_the_page_of_topics_begins_with_what_others_write() -> None:
    page = rendered((GOLDEN.parent / "asyncapi.json").read_bytes())[0]
    assert re.findall('<section id="(pumasi[.].*?)"', page)[0] == "pumasi.submissions.v1"
    assert "structured mode" in page.partition("</header>")[0]


def test_no_or_stands_alone_on_a_line() -> None:
    assert " or <a" not in section("asyncapi.json", "pumasi.submissions.v1")


@pytest.mark.parametrize(
    ("path", "told"), [("/docs", "POST /v1/events"), ("/docs", "PledgeMade"), ("/docs/topics", "pumasi.ledger.v1")]
)
async def test_a_page_is_readable_without_anything_else(path: str, told: str) -> None:
    one = Bench()
    page = await one.client.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert told in page.text
    assert not re.search(r"<(script|link|img|iframe|object)|@import|url\(|\son\w+=", page.text)
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(sha256(style[1].encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"
    assert page.headers["content-security-policy"] == policy
    for link in re.findall(r'href="([^"]*)"', page.text):
        place = link.removeprefix("#")
        assert f'id="{place}"' in page.text if link != place else (await one.client.get(link)).status_code == 200
    await one.client.aclose()


async def test_the_root_and_every_404_name_the_doors() -> None:
    one = Bench()
    doors = [door._asdict() for door in DOORS]
    assert (await one.client.get("/")).json()["doors"] == doors
    to_browser = await one.client.get("/", headers={"accept": "text/html,*/*;q=0.8"})
    assert (to_browser.status_code, to_browser.headers["location"]) == (303, "/docs")
    for path in ("/v1/event", "/v1/receipts/none", "/favicon.ico"):
        answer = await one.client.get(path)
        assert (answer.status_code, answer.json()["doors"]) == (404, doors)
    await one.client.aclose()


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to lay the page out (apt install chromium)")
@pytest.mark.parametrize("document", ["openapi.json", "asyncapi.json"])
def test_on_a_telephone_a_page_is_no_wider_than_the_screen(document: str, tmp_path: Path) -> None:
    page = html.escape(rendered((GOLDEN.parent / document).read_bytes())[0])
    measured = (
        "document.title = ((root) => `${root.scrollWidth}/${root.clientWidth}`)(one.contentDocument.documentElement)"
    )
    host = f'<iframe id="one" style="width: 390px" srcdoc="{page}"></iframe><script>onload = () => {{ {measured} }}</script>'
    (tmp_path / "host.html").write_text(host)
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=3000",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
    ]
    shown = subprocess.run(
        [str(CHROMIUM), *options, f"file://{tmp_path / 'host.html'}"], capture_output=True, text=True, timeout=60
    )
    widths = re.search(r"<title>(\d+)/(\d+)</title>", shown.stdout)
    assert widths is not None, shown.stderr[-500:]
    assert widths[1] == widths[2]
