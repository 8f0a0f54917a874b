"""Names, numbers, addresses and texts of people, planted wherever anything can be sent: none of them lies, shows or is told anywhere.

Planted through HTTP (structured, binary, batch) and the topic (structured, binary, compressed): in every field of every submission, in
attributes, extensions, headers, paths and queries, as names of fields, in JSON that is broken, in other encodings, and in what a
webhook answers. Looked for in every file of the data (Kafka's logs and all topics), in every record as a consumer reads it, in every
line of every service at DEBUG, in every answer over HTTP that is an error or a receipt, and in what `status`, `explain` and
`deadletters` print; as written, escaped, quoted, in base64, and numbers also with separators. Keys lie elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import json
import re
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from schemas.generate import HERE
from services.bus import topics
from services.bus.deadletters.letter import Place
from services.bus.embedded import EmbeddedKafka
from services.bus.topics import SUBMISSIONS
from tests.broker.test_answered import until_nothing_can_be_read, until_off_the_disk
from tests.broker.test_console import pumasi
from tests.broker.test_intake import acknowledged, read
from tests.broker.test_logs import service

WORDS = {
    "Korean": "백수지초롱별",
    "Chinese": "白秀智灯笼街",
    "name": "Baek Sujiqq",
    "address": "sujiqq.baek@mail-qq.example",
    "number": "+8613900139123",
    "domestic": "010-7654-3219",
    "text": "my mother coughs qq, room 12 qq",
    "handle": "wechat:sujiqq88",
}
KOREAN, NUMBER, ADDRESS = WORDS["Korean"], WORDS["number"], WORDS["address"]
GOLDEN = HERE / "golden" / "v1" / "submissions"
ATTRIBUTES = ("id", "source", "subject", "time", "type", "specversion", "datacontenttype", "dataschema", "note")
JSON = "application/json"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
AT_ONCE = 8
DEADLINE_S = 90


# ---- looking


def forms(word: str) -> Iterator[bytes]:
    """A pattern of a word for each way in which it could be written."""
    yield re.escape(word.encode())
    yield re.escape(json.dumps(word)[1:-1].encode())
    yield re.escape(quote(word).encode())
    for encoding in ("utf-16-le", "euc-kr", "gb18030"):
        with contextlib.suppress(UnicodeEncodeError):
            yield re.escape(word.encode(encoding))
    for shift in range(3):  # where it begins within three bytes of base64; its ends depend on what is beside it
        encoded = base64.b64encode(b"\0" * shift + word.encode())[4 if shift else 0 : -4]
        yield re.escape(encoded)
    digits = re.sub(r"\D", "", word)
    if len(digits) > 8:
        yield rb"[ .()/\-]{0,2}".join(re.escape(bytes([digit])) for digit in digits.encode())


LOOKED_FOR = re.compile(b"|".join(form for word in WORDS.values() for form in forms(word)), re.IGNORECASE)


class Traces:
    """Where something planted was found."""

    def __init__(self) -> None:
        self.places: set[str] = set()
        self.looked_at = 0

    def look(self, place: str, *texts: bytes | str | None) -> None:
        for text in texts:
            self.looked_at += 1
            found = LOOKED_FOR.search(text.encode() if isinstance(text, str) else text or b"")
            if found:
                self.places.add(f"{place}: {found[0].decode('utf-8', 'replace')}")

    def look_at_files(self, directory: Path) -> None:
        """Every file, with its name."""
        for path in sorted(directory.rglob("*")):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                self.look(
                    f"file {path.relative_to(directory)}", path.name, path.read_bytes().rstrip(b"\0")
                )  # an index has room for more

    async def look_at_topics(self, bootstrap: str) -> None:
        """Every record, as a consumer has it: whatever Kafka has compressed, or a transaction has not committed."""
        for topic in topics.wanted_topics():
            for record in await read(bootstrap, topic.name, committed=False):
                names = [name for name, _ in record.headers]
                values = [value for _, value in record.headers]
                self.look(f"topic {topic.name}", record.key, record.value, *names, *values)


# ---- planting


def golden() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(GOLDEN.iterdir()):
        yield path.name.rsplit(".", 2)[0], json.loads(path.read_text())


def with_a_word(data: Any, word: str) -> Iterator[Any]:
    """Data with a word in place of each value, and as an unknown member's name and value of each object."""
    if isinstance(data, dict):
        yield {**data, word: word}
        for name, value in data.items():
            for changed in (word, *with_a_word(value, word)):
                yield {**data, name: changed}
        for name in data:
            yield {(word if each == name else each): value for each, value in data.items()}


def events(word: str) -> Iterator[dict[str, Any]]:
    """Events with a word in every place of an event; of the data, in each place that is this word's turn."""
    turn, number = list(WORDS.values()).index(word), 0

    def event(kind: str, data: Any) -> dict[str, Any]:
        nonlocal number
        number += 1
        told = {"specversion": "1.0", "id": f"e-{turn}-{number}", "source": "/forms", "type": kind}
        return {**told, "data": copy.deepcopy(data)}

    places = ((kind, changed) for kind, data in golden() for changed in (*with_a_word(data, word), word, [word]))
    for kind, changed in islice(places, turn, None, len(WORDS)):
        yield event(kind, changed)
    pledge = json.loads((GOLDEN / "pumasi.pledge.made.minimal.json").read_text())
    for name in ATTRIBUTES:
        yield {**event("pumasi.pledge.made", pledge), name: word}
        yield {**event("pumasi.pledge.made", pledge), name: f"/{name}/{quote(word)}"}
    yield {**event("pumasi.pledge.made", pledge), word: word}
    yield {**event("pumasi.pledge.made", pledge), "data_base64": base64.b64encode(word.encode()).decode()}


def taken() -> Iterator[dict[str, Any]]:
    """What is accepted, and holds people all the same: contacts over HTTP, ids of events, references of payments."""
    people = (f"mailto:{ADDRESS}", f"tel:{NUMBER}", "tel:+821076543219")
    fund = {"fund": "jilin", "currency": "CNY", "vouchers_required": 1}
    need = {"need": "treatment", "route": "clinic", "priority": "urgent", "goal": 5000}
    told: list[tuple[str, dict[str, Any]]] = [("fund.configured", fund)]
    contacts = [{"address": person, "language": "ko"} for person in people]
    told += [("case.submitted", {"case": "c-1", "contact": contacts[0], **need})]
    told += [("case.vouched", {"case": "c-1", "contact": contacts[1]})]
    told += [("pledge.made", {"pledge": "p-1", "contact": contacts[2], "amount": 9000, "currency": "CNY"})]
    told += [("pledge.made", {"fund": "nowhere", "contact": contacts[0], "amount": 1, "currency": "CNY"})]  # refused
    told += [
        ("payment.received", {"pledge": "p-1", "payment": word, "amount": 1})
        for word in (NUMBER[1:], WORDS["domestic"])
    ]
    for number, (kind, data) in enumerate(told):
        ids = list(WORDS.values())
        yield {"specversion": "1.0", "id": f"{ids[number % len(ids)]} {number}", "source": "/forms", "type": f"pumasi.{kind}",
               "data": {"fund": "jilin", **data}}  # fmt: skip


def torn(word: str) -> Iterator[bytes]:
    """What is no JSON, or no text."""
    told = json.dumps({"data": word}, ensure_ascii=False)
    yield told[:-1].encode()
    yield b'{"data":' + word.encode() + b"}"
    yield told.encode("utf-16")
    yield b"\xff" + word.encode()
    yield json.dumps([[word] * 9]).encode()
    for encoding in ("euc-kr", "gb18030"):
        with contextlib.suppress(UnicodeEncodeError):
            yield told.encode(encoding)


def ascii_of(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as bytes of UTF-8, as a careless client sends them; names that HTTP can't have are left out."""
    return [
        (name.encode(), value.encode()) for name, value in headers.items() if re.fullmatch(r"[\w-]+", name, re.ASCII)
    ]


async def through_http(url: str, traces: Traces) -> None:
    limit = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=DEADLINE_S) as client:

        async def send(content: bytes, headers: dict[str, str], path: str = "/v1/events", method: str = "POST") -> int:
            async with limit:
                answer = await client.request(method, path, content=content, headers=ascii_of(headers))
            body = answer.text
            if answer.status_code == 202:  # each sender hears its own ids
                body = json.dumps([{**one, "id": ""} for one in answer.json()["accepted"]])
                for one in answer.json()["accepted"]:
                    receipt = await client.get(f"/v1/receipts/{one['receipt']}")
                    traces.look("receipt", receipt.text)
            traces.look(f"answer {answer.status_code}", body, repr(answer.headers))
            return answer.status_code

        for event in taken():
            assert await send(json.dumps(event).encode(), {"content-type": STRUCTURED}) == 202, event
        works = []
        for word in WORDS.values():
            every = list(events(word))
            works += [send(json.dumps(one).encode(), {"content-type": STRUCTURED, "x-note": word}) for one in every]
            works += [
                send(json.dumps(every[at : at + 7]).encode(), {"content-type": BATCH}) for at in range(0, len(every), 7)
            ]
            for one in every[-2 * len(ATTRIBUTES) - 2 :]:
                heads = {f"ce-{name}": str(value) for name, value in one.items() if name != "data"}
                works.append(send(json.dumps(one.get("data")).encode(), {"content-type": JSON, **heads}))
            works += [send(body, {"content-type": media}) for body in torn(word) for media in (STRUCTURED, BATCH, JSON)]
            escaped = quote(word)
            works += [send(b"", {}, f"/v1/receipts/{escaped}", "GET"), send(b"", {}, f"/{escaped}?q={escaped}", "GET")]
            for name in (
                "authorization",
                "origin",
                "host",
                "content-type",
                "cookie",
                "user-agent",
                "referer",
                "expect",
            ):
                works.append(send(b"{}", {"content-type": STRUCTURED, name: word}))
            works.append(send(json.dumps(every[0]).encode(), {"content-type": STRUCTURED}, f"/v1/events?{escaped}"))
        await asyncio.gather(*works)
        for path in ("/livez", "/readyz", "/healthz", "/metrics"):
            traces.look(path, (await client.get(path)).text)


async def through_the_topic(bootstrap: str) -> None:
    """Each partition by a producer of its own, whose records are compressed in its own way."""
    codecs = (None, "gzip", "lz4", "zstd")
    for partition, codec in enumerate(codecs):
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, linger_ms=20) as producer:
            for place, word in enumerate(WORDS.values()):
                if place % len(codecs) == partition:
                    await _put(producer, partition, word)


async def _put(producer: AIOKafkaProducer, partition: int, word: str) -> None:
    key, encoded = word.encode(), word.encode()

    async def put(value: bytes | None, *headers: tuple[str, bytes]) -> None:
        await producer.send(
            SUBMISSIONS, value, key, partition=partition, headers=[*headers, (word, encoded), ("x", encoded)]
        )

    for number, event in enumerate(events(word)):
        body = json.dumps(event, ensure_ascii=number % 2 > 0).encode()
        signature = [("pumasi-sender", encoded), ("webhook-id", encoded), ("webhook-signature", encoded)]
        await put(body, ("content-type", STRUCTURED.encode()), *(signature if number % 3 == 0 else ()))
        heads = [(f"ce_{name}", str(value).encode()) for name, value in event.items() if name != "data"]
        await put(json.dumps(event.get("data")).encode(), ("content-type", JSON.encode()), *heads)
    for body in (*torn(word), None):
        await put(body, ("content-type", STRUCTURED.encode()))
        await put(
            body, ("ce_type", b"pumasi.pledge.made"), ("ce_specversion", b"1.0"), ("ce_id", b"e"), ("ce_source", b"/f")
        )
    await producer.flush()


@contextlib.asynccontextmanager
async def talkative_receiver() -> AsyncIterator[str]:
    """A webhook that says in every answer who it has told."""
    answers = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answers
        answers += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            body = f"{KOREAN} {NUMBER} {ADDRESS}".encode()
            status = b"500 " + body if answers % 2 else b"410 " + body
            writer.write(b"HTTP/1.1 %s\r\nx-told: %s\r\nlocation: /%s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
                         % (status, body, quote(KOREAN).encode(), len(body), body))  # fmt: skip
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{quote(WORDS['name'])}"


async def printed(kafka: EmbeddedKafka, traces: Traces) -> None:
    """What operators' commands print; of the dead letters, one of each kind whole."""
    letters = await read(kafka.bootstrap, topics.DEADLETTERS)
    kinds = {}
    for letter in letters:
        told = dict(letter.headers)
        where = Place(SUBMISSIONS, int(told["__streams.errors.partition"]), int(told["__streams.errors.offset"]))
        kinds[told["__streams.errors.exception"], told["pumasi.withheld"]] = str(where)
    assert len(kinds) > 4, kinds
    shown = [("deadletters", "show", place) for place in kinds.values()]
    for command in (
        ("status",),
        ("deadletters", "list"),
        ("explain", "case", "c-1"),
        ("explain", "pledge", "p-1"),
        *shown,
    ):
        for options in ((), ("--json",)):
            _, out, err = await pumasi(kafka, *command, *options)
            assert out, err
            traces.look(f"`{' '.join(command)}`", out, err)


async def until_answered(kafka: EmbeddedKafka) -> None:
    for partition in range(4):
        await acknowledged(kafka.bootstrap, partition)
    await until_nothing_can_be_read(kafka)
    for word in WORDS.values():
        await until_off_the_disk(kafka, word)


@pytest.mark.broker
@pytest.mark.timeout(300)
async def test_nothing_that_tells_of_a_person_stays_anywhere(
    quick_alone: EmbeddedKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kafka, traces, processes = quick_alone, Traces(), []
    for name in ("PUMASI_SENDER_RATE", "PUMASI_ADDRESS_RATE"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("PUMASI_LOG_JSON", "1")  # which says all that a line for people does, and its fields
    async with talkative_receiver() as receiver:
        monkeypatch.setenv("PUMASI_WEBHOOK_URL", receiver)
        monkeypatch.setenv("PUMASI_WEBHOOK_SECRET", "whsec_" + base64.b64encode(b"k" * 32).decode())
        monkeypatch.setenv("PUMASI_WEBHOOK_ALLOW_PRIVATE", "1")
        async with contextlib.AsyncExitStack() as running:
            for name in ("matcher", "notifier", "intake"):
                started = await running.enter_async_context(service(name, kafka.bootstrap, tmp_path))
                processes.append(started)
            await through_http(processes[-1].ready["http"], traces)
            await through_the_topic(kafka.bootstrap)
            await until_answered(kafka)
            async with asyncio.timeout(DEADLINE_S):
                while not await read(kafka.bootstrap, topics.NOTICES):
                    await asyncio.sleep(0.1)
            await printed(kafka, traces)
            await traces.look_at_topics(kafka.bootstrap)
    for process in processes:
        for line in process.log.splitlines():
            traces.look(f"log of {process.name}", line)
    traces.look_at_files(kafka.data)
    traces.look_at_files(tmp_path)
    assert traces.looked_at > 5_000
    assert sorted(traces.places) == []
    await planted_by_hand_is_found(kafka)


async def planted_by_hand_is_found(kafka: EmbeddedKafka) -> None:
    """So that what finds nothing is known to look."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type="gzip") as producer:
        await producer.send_and_wait(topics.NOTICES, KOREAN.encode() * 9, partition=0)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        await producer.send_and_wait(topics.CONTACTS, b"{}", NUMBER.encode(), partition=2)
    records, files = Traces(), Traces()
    await records.look_at_topics(kafka.bootstrap)
    files.look_at_files(kafka.data)
    assert records.places == {f"topic {topics.NOTICES}: {KOREAN}", f"topic {topics.CONTACTS}: {NUMBER}"}
    assert [place for place in files.places if place.startswith(f"file kafka/log/{topics.CONTACTS}-2/")]


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_a_word_is_found_however_it_is_written(word: str) -> None:
    ways = [
        word,
        json.dumps(word),
        json.dumps(word, ensure_ascii=False),
        quote(word),
        quote(word).lower(),
        word.upper(),
    ]
    ways += [base64.b64encode(b"." * n + word.encode() + b"...").decode() for n in range(3)]
    if sum(letter.isdigit() for letter in word) > 8:
        ways += [" ".join(re.sub(r"\D", "", word)), re.sub(r"\D", "", word)]
    for way in ways:
        traces = Traces()
        traces.look("here", f"before {way} after")
        assert traces.places, way
    nothing = Traces()
    nothing.look("here", "pledge.made 8613900139 jilin 백수 Baek", *(f"{n:x}" for n in range(1000)))
    assert not nothing.places
