"""The webhook against a real local server: signed, repeated under one id while it makes sense, and never led inside."""

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from schemas.notices import Notice, Posted
from services.errors import SettingError
from services.notifier.channels import egress, webhook
from services.notifier.channels.egress import AddressRefused, is_public, resolve
from services.notifier.channels.webhook import Delivery, Patience, Webhook
from services.settings import load

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
HASTY = Patience(attempts=3, timeout_s=2.0, pause_s=0.001, pause_max_s=0.01, down_s=60.0)
TOLD = Notice(
    id="ab" * 16, kind="settled", to="d-3", role="donor", fund="jilin", currency="CNY", digits=2, urgency="routine", entry="0-42",
    at=datetime(2026, 11, 22, tzinfo=UTC), pledge="p-7", settled=5000, language="en", text="Your payment has arrived.",
)  # fmt: skip
OK = "HTTP/1.1 204 No Content\r\n\r\n"


def status(line: str, *headers: str) -> str:
    return "\r\n".join([f"HTTP/1.1 {line}", *headers, "content-length: 0", "", ""])


class Receiver:
    """Answers each request with the next of `answers`, the last one again and again; None: closes without a word."""

    def __init__(self, answers: list[str | None]) -> None:
        self.answers, self.requests = answers, []
        self.at_once = self.at_once_max = 0
        self.hold: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            while head := await self._head(reader):
                self.requests.append((*head, await reader.readexactly(int(head[1].get("content-length", 0)))))
                if self.hold:
                    await self.hold.wait()
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                if answer is None:
                    return
                writer.write(answer.encode())
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.at_once -= 1
            writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        except asyncio.IncompleteReadError:
            return None
        return first, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}


@asynccontextmanager
async def receiving(*answers: str | None) -> AsyncIterator[tuple[Receiver, str]]:
    receiver = Receiver([*answers])
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    async with server:
        yield receiver, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?a=b"


async def send(url: str, patience: Patience = HASTY, times: int = 1, **options: Any) -> list[Delivery]:
    options = {"allow_private": True, **options}
    async with Webhook(url, SECRET, patience=patience, **options) as hook:
        return [await hook.send(TOLD) for _ in range(times)]


async def test_a_notice_arrives_signed_with_its_words() -> None:
    async with receiving(OK) as (receiver, url):
        assert await send(url) == [("delivered", 1)]
    [(line, headers, body)] = receiver.requests
    assert line == "POST /hook?a=b HTTP/1.1"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == url.split("/")[2]
    data = Verifier(SECRET).verify(body, headers)
    assert Posted.model_validate_json(body) == Posted(type="pumasi.notice.told", timestamp=TOLD.at, data=TOLD)
    assert (data["type"], data["timestamp"]) == ("pumasi.notice.told", "2026-11-22T00:00:00Z")
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(body.replace(b"5000", b"5001"), headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(body, {**headers, "webhook-id": "another"})


async def test_an_address_stands_beside_the_notice_and_not_in_it() -> None:
    async with receiving(OK) as (receiver, url), Webhook(url, SECRET, allow_private=True) as hook:
        await hook.send(TOLD, "mailto:neighbour@example.org")
        await hook.send(TOLD)
    told, untold = (Posted.model_validate_json(body) for _, _, body in receiver.requests)
    assert (told.address, told.data) == ("mailto:neighbour@example.org", TOLD)
    assert (untold.address, untold.data) == (None, TOLD)
    assert "address" not in Notice.model_fields


@pytest.mark.parametrize(
    "trouble", [status("500 Oh"), status("503 Later"), status("429 Slowly"), None, "nonsense\r\n\r\n"]
)
async def test_trouble_is_tried_again_under_the_same_id(trouble: str | None) -> None:
    async with receiving(trouble, trouble, OK) as (receiver, url):
        assert await send(url) == [("delivered", 3)]
    assert [headers["webhook-id"] for _, headers, _ in receiver.requests] == [TOLD.id] * 3
    for _, headers, body in receiver.requests:
        Verifier(SECRET).verify(body, headers)


@pytest.mark.parametrize("others", [True, False])
async def test_who_answers_others_meanwhile_is_slow_for_one_person_and_not_down(
    others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = TOLD.model_copy(update={"id": "cd" * 16, "to": "d-4"})
    async with Webhook("http://127.0.0.1:1/", SECRET, allow_private=True, patience=HASTY) as hook:

        async def post(notice: str, _body: str, attempt: int, _trace: bytes | None) -> tuple[int, float]:
            if notice == TOLD.id and attempt == 1 and others:
                assert await hook.send(quick) == ("delivered", 1)
            return (503, 0.0) if notice == TOLD.id else (204, 0.0)

        monkeypatch.setattr(hook, "_post", post)
        assert await hook.send(TOLD) == ("gave-up", 3)
        assert hook.is_down is not others


async def test_lasting_trouble_is_given_up_and_then_each_gets_one_try_until_it_is_over() -> None:
    bad = status("502 Bad")
    async with receiving(bad, bad, bad, bad, OK, bad, OK) as (_, url):
        assert await send(url, times=4) == [("gave-up", 3), ("gave-up", 1), ("delivered", 1), ("delivered", 2)]


async def test_nobody_there_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert await send(f"http://127.0.0.1:{port}/") == [("gave-up", 3)]


async def test_a_receiver_that_never_answers_is_given_up_in_bounded_time() -> None:
    async with receiving(OK) as (receiver, url):
        receiver.hold = asyncio.Event()
        async with asyncio.timeout(10):
            assert await send(url, Patience(attempts=2, timeout_s=0.2, pause_s=0.001)) == [("gave-up", 2)]
        receiver.hold.set()


@pytest.mark.parametrize("final", ["400 No", "401 Who", "404 Where", "410 Gone", "422 What"])
async def test_a_refusal_is_final(final: str) -> None:
    async with receiving(status(final), OK) as (receiver, url):
        assert await send(url) == [("failed", 1)]
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(code: int) -> None:
    async with (
        receiving(OK) as (elsewhere, target),
        receiving(status(f"{code} There", f"location: {target}")) as (_, url),
    ):
        assert await send(url) == [("failed", 1)]
    assert elsewhere.requests == []


async def test_connections_at_a_time_are_bounded() -> None:
    async with (
        receiving(OK) as (receiver, url),
        Webhook(url, SECRET, allow_private=True, patience=Patience(at_once=3)) as hook,
    ):
        receiver.hold = asyncio.Event()
        sending = asyncio.gather(*(hook.send(TOLD) for _ in range(10)))
        while len(receiver.requests) < 3:
            await asyncio.sleep(0.001)
        receiver.hold.set()
        assert {one.outcome for one in await sending} == {"delivered"}
    assert receiver.at_once_max <= 3


def test_pauses_grow_are_jittered_bounded_and_follow_the_receiver() -> None:
    hook = Webhook("https://example.org/", SECRET, patience=Patience(pause_s=1.0, pause_max_s=5.0))
    assert {round(hook._pause(1, 0.0), 9) for _ in range(20)} != {1.0}
    for attempt, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (9, 5.0)):
        assert all(most / 2 <= hook._pause(attempt, 0.0) <= most for _ in range(50))
    assert hook._pause(1, 3.0) == 3.0
    assert hook._pause(1, 9999.0) == 5.0


# ---- where it may go ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fc00::1",
        "fd12::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2002:a00:1::1", "fe80::1%1", "fec0::1", "feff::1", "192.88.99.1", "2002:c058:6301::1",
        "2606:4700::5efe:808:808", "2606:4700::200:5efe:a00:1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(ip_address(address))


def resolver(monkeypatch: pytest.MonkeyPatch, answers: Callable[[], list[str]]) -> None:
    def getaddrinfo(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers()]

    monkeypatch.setattr(egress.socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{}/", "http://localhost:{}/", "http://[::ffff:127.0.0.1]:{}/", "http://2130706433:{}/"]
)
async def test_inside_is_refused_at_the_start_and_at_every_try(url: str) -> None:
    async with receiving(OK) as (receiver, there):
        target = url.format(there.split(":")[2].split("/")[0])
        assert await send(target, allow_private=False) == [("failed", 0)]
        async with Webhook(target, SECRET) as hook:
            with pytest.raises(SettingError, match="PUMASI_WEBHOOK_URL"):
                await hook.check()
    assert receiver.requests == []


async def test_notices_go_by_https_and_by_http_only_where_that_is_allowed() -> None:
    async with Webhook("http://93.184.215.14/hook?token=t0p-secret", SECRET) as hook:
        with pytest.raises(SettingError, match="by https") as refused:
            await hook.check()
    assert "t0p-secret" not in str(refused.value) + refused.value.hint
    for url, allowed in (("https://93.184.215.14/hook", False), ("http://10.0.0.1/hook", True)):
        async with Webhook(url, SECRET, allow_private=allowed) as hook:
            await hook.check()


def test_a_receivers_url_is_never_shown() -> None:
    given = load(webhook_url="https://hooks.example.org/t0p-secret")
    assert "t0p-secret" not in repr(given) + given.model_dump_json()
    with pytest.raises(SettingError) as refused:
        Webhook("ftp://hooks.example.org/t0p-secret", SECRET)
    assert "t0p-secret" not in str(refused.value)


def test_a_resolver_that_hangs_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, asked = threading.Event(), threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        asked.set()
        answers.wait(60)
        return []

    monkeypatch.setattr(egress.socket, "getaddrinfo", getaddrinfo)

    async def given_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(resolve("example.org", 443, allow_private=False), 0.05)

    process = threading.Thread(target=lambda: asyncio.run(given_up()), daemon=True)
    try:
        process.start()
        process.join(10)
        assert asked.is_set()
        assert not process.is_alive()
        assert [thread.daemon for thread in threading.enumerate() if thread.name == "resolver"] == [True]
    finally:
        answers.set()


async def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, lambda: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(AddressRefused):
        await resolve("both.example.org", 443, allow_private=False)
    assert await resolve("both.example.org", 443, allow_private=True) == ["8.8.8.8", "10.0.0.1"]


async def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up once a try; were it looked up again to connect, the second answer would lead elsewhere."""
    async with receiving(OK) as (receiver, url), receiving(OK) as (trap, _):
        looked_up = []

        async def once(host: str, port: int, allow_private: bool) -> list[str]:
            looked_up.append(host)
            return ["127.0.0.1"]

        monkeypatch.setattr(webhook, "resolve", once)
        port = url.split(":")[2].split("/")[0]
        assert await send(f"http://name.invalid:{port}/hook") == [("delivered", 1)]
        assert looked_up == ["name.invalid"]
        assert receiver.requests[0][1]["host"] == f"name.invalid:{port}"
        assert trap.requests == []


async def test_the_next_try_takes_the_next_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving(OK) as (_, url):
        resolver(monkeypatch, lambda: ["127.0.0.2", "127.0.0.1"])  # nobody listens on the first
        port = url.split(":")[2].split("/")[0]
        assert await send(f"http://two.invalid:{port}/") == [("delivered", 2)]


async def test_over_tls_the_certificate_must_be_of_the_name_not_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def here(host: str, port: int, allow_private: bool) -> list[str]:
        return ["127.0.0.1"]

    asked: list[str | None] = []

    def seen(_socket: Any, name: str | None, _context: Any) -> None:
        asked.append(name)

    monkeypatch.setattr(webhook, "resolve", here)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = seen
    server = await asyncio.start_server(Receiver([OK]).serve, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await send(f"https://name.invalid:{port}/") == [("gave-up", 3)]  # it has no certificate at all
    assert asked == ["name.invalid"] * 3


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving(OK) as (proxy, there), receiving(OK) as (receiver, url):
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, there.rsplit("/", 1)[0])
        assert await send(url) == [("delivered", 1)]
    assert (len(proxy.requests), len(receiver.requests)) == (0, 1)


async def test_a_name_that_cant_be_resolved_now_passes_the_check_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with receiving(OK) as (_, url):
        answers = iter([OSError, OSError, ["127.0.0.1"]])

        async def resolve(host: str, port: int, allow_private: bool) -> list[str]:
            answer = next(answers)
            if answer is OSError:
                raise socket.gaierror(socket.EAI_AGAIN, "try again")
            return answer

        monkeypatch.setattr(webhook, "resolve", resolve)
        port = url.split(":")[2].split("/")[0]
        async with Webhook(f"http://name.invalid:{port}/", SECRET, allow_private=True, patience=HASTY) as hook:
            await hook.check()
            assert await hook.send(TOLD) == ("delivered", 2)


# ---- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("ftp://example.org/", SECRET),
        ("https:///nowhere", SECRET),
        ("https://user:word@example.org/", SECRET),
        ("https://example.org:99999999/", SECRET),
        ("https://exa mple.org/", SECRET),
        (f"https://{'a' * 80}é.org/", SECRET),
        ("https://example.org/", None),
        ("https://example.org/", "whsec_not base64!"),
        ("https://example.org/", "whsec_c2hvcnQ="),
        ("https://example.org/", "whsec_" + base64.b64encode(bytes(65)).decode()),
    ],
)
def test_settings_that_cant_be_used_are_said_without_the_secret(url: str, secret: str | None) -> None:
    with pytest.raises(SettingError, match="PUMASI_WEBHOOK_") as told:
        Webhook(url, secret)
    assert "word" not in told.value.message or "password" in told.value.message
    assert secret is None or secret.removeprefix("whsec_") not in told.value.message


async def test_who_refuses_is_said_once_and_again_if_it_answers_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    refusals = (status("401 Unauthorized"), status("401 Unauthorized"), status("410 Gone"))
    async with receiving(*refusals, OK) as (_, url), Webhook(url, SECRET, allow_private=True, patience=HASTY) as hook:
        assert [(await hook.send(TOLD)).outcome for _ in range(4)] == ["failed", "failed", "failed", "delivered"]
    assert [one.getMessage() for one in caplog.records if one.name == "pumasi.notifier"] == [
        f"the webhook's receiver refuses notices: it answers {number}" for number in (401, 410)
    ]


async def test_a_receiver_that_was_given_up_is_down_until_it_answers() -> None:
    quickly = replace(HASTY, down_s=0.0)
    failures = [status("503 Service Unavailable")] * 3
    async with receiving(*failures, OK) as (_, url), Webhook(url, SECRET, allow_private=True, patience=quickly) as hook:
        assert (await hook.send(TOLD)).outcome == "gave-up"
        assert hook.is_down, "though it is tried as before by now"
        assert (await hook.send(TOLD)).outcome == "delivered"
        assert not hook.is_down


async def test_one_that_refuses_one_persons_notices_alone_is_not_down(monkeypatch: pytest.MonkeyPatch) -> None:
    other = TOLD.model_copy(update={"id": "cd" * 16, "to": "d-4"})
    async with Webhook("http://127.0.0.1:1/", SECRET, allow_private=True, patience=HASTY) as hook:
        away = False

        async def post(notice: str, _body: str, _attempt: int, _trace: bytes | None) -> tuple[int, float]:
            return (500, 0.0) if notice == TOLD.id or away else (204, 0.0)

        monkeypatch.setattr(hook, "_post", post)
        assert await hook.send(TOLD) == ("gave-up", 3)
        assert hook.is_down, "nobody was answered yet"
        for _ in range(3):
            assert await hook.send(other) == ("delivered", 1)
            assert await hook.send(TOLD) == ("gave-up", 3)
            assert not hook.is_down
        away = True
        assert await hook.send(TOLD) == ("gave-up", 3)
        assert hook.is_down, "nobody was answered since"


async def test_of_whom_notices_were_given_up_is_not_kept_without_bounds() -> None:
    async with Webhook("http://127.0.0.1:1/", SECRET, allow_private=True, patience=HASTY) as hook:
        for number in range(1100):
            hook._give_up(f"d-{number}", 0.0)
        assert len(hook._gave_up_at) == 1000
