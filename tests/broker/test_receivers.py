"""The page for receivers (`services/notifier/README.md`): its programs, as they stand there, against the real notifier.

A receiver takes what is ours, once, and refuses whatever is not; whoever has the notifier's key finds where somebody is reached.
"""

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from standardwebhooks import Webhook as Signer

from schemas.submissions import Contact
from services import keys
from services.bus import access, topics
from services.bus.embedded import EmbeddedKafka
from services.bus.embedded.ports import free_port
from services.bus.security import connection, servers
from services.bus.topics import CONTACTS, NOTICES
from services.intake.contacts import Sealer
from services.settings import Settings, load
from services.system.sender_users import passwords
from services.system.whole import write_client_config
from tests.broker.test_notifier import DEADLINE_S, SECRET, give, notifier, recorded, sealed
from tests.broker.told_ledger import Ledger, delivered, opening, paid, pledged

PAGE = (Path(__file__).parents[2] / "services/notifier/README.md").read_text("utf-8")
RECEIVERS = {"receiver.py": sys.executable, "receiver.mjs": shutil.which("node")}
SUBJECT = "~mfrggzdfmztwq2lknnwg23tpoa"


def program(name: str) -> str:
    """A program, as the page has it."""
    (found,) = re.findall(rf"(?s)<!-- runs: {re.escape(name)} -->\n```\w+\n(.*?)```", PAGE)
    return found


@contextlib.asynccontextmanager
async def receiving(name: str, folder: Path) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """The page's receiver on a free port: its URL, and what it prints."""
    interpreter, port, file = RECEIVERS[name], free_port(), folder / name
    if interpreter is None:
        pytest.skip("there is no node on this machine")
    assert program(name).count("9000") == 1
    file.write_text(program(name).replace("9000", str(port)), "utf-8")
    process = await asyncio.create_subprocess_exec(
        interpreter, str(file), stdout=asyncio.subprocess.PIPE, env={**os.environ, "PUMASI_WEBHOOK_SECRET": SECRET}
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with contextlib.suppress(ConnectionError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        assert process.stdout is not None
        yield f"http://127.0.0.1:{port}/", process.stdout
        assert process.returncode is None, "nothing that came has ended it"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def lines(printed: asyncio.StreamReader, count: int) -> list[str]:
    async with asyncio.timeout(DEADLINE_S):
        return [(await printed.readline()).decode().rstrip("\n") for _ in range(count)]


@pytest.mark.parametrize("name", RECEIVERS)
async def test_a_receiver_hears_the_notifier_and_each_notice_once(
    name: str, topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    kafka = topics_reset.bootstrap
    key = keys.notifier_private_key(Settings(data=tmp_path))
    await give(kafka, "d-1", sealed(key, "d-1", "ko"))
    settings = {"webhook_secret": SECRET, "webhook_allow_private": "1", "webhook_addresses": "1", "data": str(tmp_path)}
    async with receiving(name, tmp_path) as (url, printed), Ledger(kafka, "jilin") as ledger:
        await ledger.write(opening("jilin", 1000), pledged(1, 300), pledged(2, 100), paid(1, 300), delivered(200))
        async with notifier(kafka, **settings, webhook_url=url) as process:
            told = await process.notices(len(ledger.expected))
            assert {(one["channel"], one["outcome"]) for one in told} == {("webhook", "delivered")}
            whom = {"d-1": "mailto://d-1@example.org"}
            wanted = [f"{whom.get(one['to'], one['to'])} {one['language']} {one['text']}" for one in told]
            assert sorted(await lines(printed, len(told))) == sorted(wanted)
            assert await process.stop() == (0, "")
        for record in await recorded(kafka, set(ledger.expected)):
            assert b"example.org" not in record.value
            assert json.loads(record.value) in told  # the words and all else that a program reads on the screen
        assert {one["language"] for one in told if one["to"] == "d-1"} == {"ko"}


GOLDEN = "webhooks/pumasi.notice.told.payment-due.json"


@pytest.mark.parametrize("name", RECEIVERS)
async def test_a_receiver_takes_a_repeat_once_and_refuses_what_is_not_ours(name: str, tmp_path: Path) -> None:
    body = (Path(__file__).parents[2] / "schemas/golden/v1" / GOLDEN).read_text("utf-8")
    notice, now = json.loads(body)["data"], datetime.now(UTC)

    def signed(at: datetime = now, secret: str = SECRET) -> dict[str, str]:
        signature = Signer(secret).sign(notice["id"], at, body)
        stamp = str(int(at.timestamp()))
        return {"webhook-id": notice["id"], "webhook-timestamp": stamp, "webhook-signature": signature}

    ours, theirs = signed(), signed(secret="whsec_" + base64.b64encode(b"x" * 32).decode())
    rotated = {**ours, "webhook-signature": f"{theirs['webhook-signature']} {ours['webhook-signature']}"}
    refused = [
        {}, theirs, {**ours, "webhook-id": "another"}, signed(now - timedelta(minutes=6)), signed(now + timedelta(minutes=6)),
        {**ours, "webhook-timestamp": "soon"}, {**ours, "webhook-signature": "v1"},
        {**ours, "webhook-signature": ours["webhook-signature"].replace("v1,", "v2,")},
    ]  # fmt: skip
    async with receiving(name, tmp_path) as (url, printed), httpx.AsyncClient() as client:
        port = int(url.rstrip("/").rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 100\r\n\r\nhalf")  # and gone again
        await writer.drain()
        writer.transport.abort()
        for headers in refused:
            assert (await client.post(url, content=body, headers=headers)).status_code == 401, headers
        odd = {**ours, "webhook-signature": ours["webhook-signature"][:-1] + "é"}
        raw = {name: value.encode("latin-1") for name, value in odd.items()}
        assert (await client.post(url, content=body, headers=raw)).status_code == 401
        assert (await client.post(url, content=body.replace("50000", "50001"), headers=ours)).status_code == 401
        for headers in (ours, rotated, ours):
            assert (await client.post(url, content=body, headers=headers)).status_code == 204
        other = body.replace(notice["id"], "9" * 32).replace(notice["text"], "another")
        again = Signer(SECRET).sign("9" * 32, now, other)
        headers = {**ours, "webhook-id": "9" * 32, "webhook-signature": again}
        assert (await client.post(url, content=other, headers=headers)).status_code == 204
        said = [f"{notice['to']} ko {text}" for text in (notice["text"], "another")]
        assert await lines(printed, 2) == said  # of all that came, these two are new and ours


async def test_whoever_operates_reads_the_topic_from_the_checkout_alone(tmp_path: Path, guarded_kafka: None) -> None:
    settings = load(data=tmp_path / "data")
    keys.make_passwords(settings, access.USERS)
    file, golden = (
        tmp_path / "notices.py",
        json.loads((Path(__file__).parents[2] / "schemas/golden/v1" / GOLDEN).read_text("utf-8")),
    )
    file.write_text(program("notices.py"), "utf-8")
    async with EmbeddedKafka(settings.data, 0, passwords=partial(passwords, settings)) as broker:
        await topics.ensure(servers(settings, broker.bootstrap, access.ADMIN))
        config = write_client_config(settings, broker.bootstrap)
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(file), str(config), stdout=asyncio.subprocess.PIPE
        )
        try:
            notifier_user = connection(servers(settings, broker.bootstrap, access.NOTIFIER))
            async with AIOKafkaProducer(**notifier_user, acks="all") as producer:
                for number in (1, 2):
                    value = json.dumps({**golden["data"], "id": f"{number}"}).encode()
                    await producer.send_and_wait(NOTICES, value, SUBJECT.encode())
            assert [json.loads(line)["id"] for line in await lines(process.stdout, 2)] == ["1", "2"]
        finally:
            process.kill()
            await process.wait()


async def test_who_has_the_notifiers_key_finds_where_somebody_is_reached(tmp_path: Path, guarded_kafka: None) -> None:
    settings = load(data=tmp_path / "data")
    keys.make(settings)
    keys.make_passwords(settings, access.USERS)
    sealer = Sealer(bytes(32), keys.public_key(settings, "notifier"))
    box = sealer.seal(sealer.reached(Contact(address="mailto:Neighbour@Example.org", language="ko")))
    file = tmp_path / "whois.py"
    file.write_text(program("whois.py"), "utf-8")

    async def whois(kafka: str, subject: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(file), kafka, str(keys.directory(settings)), subject,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await asyncio.wait_for(process.communicate(), DEADLINE_S)
        return process.returncode, (out + errors).decode().strip()

    async with EmbeddedKafka(settings.data, 0, passwords=partial(passwords, settings)) as broker:
        kafka = broker.bootstrap
        await topics.ensure(servers(settings, kafka, access.ADMIN))
        intake = connection(servers(settings, kafka, access.INTAKE))
        async with AIOKafkaProducer(**intake, acks="all") as producer:
            for subject in (SUBJECT, "~somebody-else"):
                value = json.dumps({"subject": subject, "sealed_contact": box}).encode()
                await producer.send_and_wait(CONTACTS, value, subject.encode())
            await producer.send_and_wait(CONTACTS, None, b"~somebody-else")
        assert await whois(kafka, SUBJECT) == (0, "mailto:neighbour@example.org")
        for subject in ("~somebody-else", "~nobody"):
            assert await whois(kafka, subject) == (1, "no contact, or none any more")
