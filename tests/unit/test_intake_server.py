"""The HTTP server over real sockets: whoever only sits there, from one address, keeps nobody else out; and TLS by setting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from starlette.requests import Request
from starlette.responses import Response

from services.errors import KeyUnsafe, SettingError
from services.intake import server as module
from services.intake.rates import network_of
from services.intake.server import Connections, Server
from services.settings import load
from tests.unit.test_intake_http import Bench, pledge

STRUCTURED = {"content-type": "application/cloudevents+json"}
HERE, NEXT_DOOR, THIRD = "127.0.0.1", "127.0.0.2", "127.0.0.3"
MOST = 64


async def _sleeps(request: Request) -> Response:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()


@contextlib.asynccontextmanager
async def served(**options: Any) -> AsyncIterator[Server]:
    bench = Bench()
    bench.app.add_route("/sleeps", _sleeps)
    server = Server(bench.app, load(http_port=0, **options))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    try:
        yield server
    finally:
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def connected(server: Server, number: int = 1, address: str = HERE) -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many connections from an address that say nothing yet; one that is closed has its end at once."""
    port = int(server.http.rpartition(":")[2])
    both = [await asyncio.open_connection(HERE, port, local_addr=(address, 0)) for _ in range(number)]
    readers = [reader for reader, _ in both]
    for reader, writer in both:
        reader.writer = writer  # type: ignore[attr-defined]
    try:
        yield readers
    finally:
        for _, writer in both:
            writer.close()


def say(reader: Any, text: str) -> None:
    reader.writer.write(text.encode())


async def trickle(reader: Any, text: str, every_s: float) -> None:
    """Say a text letter by letter, as long as anybody listens."""
    with contextlib.suppress(OSError):
        for letter in text:
            say(reader, letter)
            await asyncio.sleep(every_s)


async def end_of(reader: asyncio.StreamReader) -> bytes:
    """What is said until the connection ends, however it does."""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


async def status_from(address: str, server: Server, number: int = 1, **tls: Any) -> int:
    transport = httpx.AsyncHTTPTransport(local_address=address, **tls)
    async with httpx.AsyncClient(transport=transport, timeout=10) as client:
        answer = await client.post(f"{server.http}/v1/events", content=json.dumps(pledge(number)), headers=STRUCTURED)
        return answer.status_code


async def test_a_server_that_is_told_to_exit_does_so_at_once_although_it_looks_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_DATE_S", 3600)
    async with asyncio.timeout(MOST), served():
        pass


async def test_answers_go_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DATE_S", 0)
    async with asyncio.timeout(MOST), served() as server:
        headers = server.server_state.default_headers
        while server.server_state.default_headers == headers:
            await asyncio.sleep(0)


async def test_whoever_sits_there_or_trickles_keeps_out_nobody_but_themselves(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with served() as server, connected(server, MOST) as idle:
        while server.server_state.connections.__len__() < MOST:
            await asyncio.sleep(0)
        trickling = [
            asyncio.create_task(trickle(one, "GET /livez HTTP/1.1\r\nx: " + "x" * 9999, 0.01)) for one in idle[::2]
        ]
        assert await status_from(NEXT_DOOR, server) == 202
        async with connected(server, 2):
            assert await status_from(HERE, server, 2) == 202
            for one in idle[:3]:
                assert await end_of(one) == b"", "the oldest make room, whether they trickle or not"
            assert not any(one.at_eof() for one in idle[3:])
        for task in trickling:
            task.cancel()
    told = [record.getMessage() for record in caplog.records if "connections" in record.getMessage()]
    assert told == [
        "64 connections of one address are open; one is closed for each that comes (PUMASI_HTTP_CONNECTIONS_PER_ADDRESS)"
    ]


POST = f"POST /v1/events HTTP/1.1\r\nhost: {HERE}\r\ncontent-type: {STRUCTURED['content-type']}\r\n"
SITTING = {
    "half a header": "GET /livez HTTP/1.1\r\n",
    "a body that does not come": f"{POST}content-length: 9000\r\n\r\n{{",
    "many answers that nobody reads": f"GET /openapi.json HTTP/1.1\r\nhost: {HERE}\r\n\r\n" * 600,
}


@pytest.mark.parametrize("said", SITTING.values(), ids=SITTING)
async def test_however_somebody_keeps_us_waiting_there_is_room_for_one_who_does_not(said: str) -> None:
    async with served(http_connections_per_address=2) as server, connected(server, 2) as sitting:
        for one in sitting:
            one.writer.transport.pause_reading()  # type: ignore[attr-defined]
            say(one, said)
        while not all(one._step or "livez" in said for one in server.server_state.connections):
            await asyncio.sleep(0.01)
        if "openapi" in said:
            while not all(one.flow.write_paused for one in server.server_state.connections):
                await asyncio.sleep(0.01)
        assert await status_from(HERE, server) == 202


async def test_whom_we_work_for_is_not_closed() -> None:
    async with served(http_connections_per_address=2) as server, connected(server, 2) as working:
        for one in working:
            say(one, f"GET /sleeps HTTP/1.1\r\nhost: {HERE}\r\n\r\n")
        while not all(one._step and not one._step.more_body for one in server.server_state.connections):
            await asyncio.sleep(0.01)
        with pytest.raises(httpx.TransportError):
            await status_from(HERE, server)
        assert await status_from(NEXT_DOOR, server) == 202
        working[1].writer.close()  # type: ignore[attr-defined]
        while len(server.server_state.connections) == 2:
            await asyncio.sleep(0.01)
        assert await status_from(HERE, server, 2) == 202, "whoever goes makes room"


async def test_there_is_an_end_to_all_connections_too_and_whoever_has_most_makes_room() -> None:
    async with (
        served(http_connections=3) as server,
        connected(server, 1, NEXT_DOOR) as [alone],
        connected(server, 2) as many,
    ):
        while len(server.server_state.connections) < 3:
            await asyncio.sleep(0)
        assert await status_from(THIRD, server) == 202
        assert await end_of(many[0]) == b""
        assert not alone.at_eof()
    async with served(http_connections=0, http_connections_per_address=0) as server, connected(server, 2 * MOST):
        while len(server.server_state.connections) < 2 * MOST:
            await asyncio.sleep(0)
        assert await status_from(HERE, server) == 202


def test_connections_of_one_ipv6_line_are_one_addresss_and_are_forgotten_when_they_end() -> None:
    connections = Connections(0, 1)

    def enters(address: str) -> Any:
        ours, _theirs = socket.socketpair()
        connection = connections.enter(ours, module.network_of(address))
        if connection is not None:
            connection.awaits_peer = lambda: False
        else:
            ours.close()
        return connection

    first = enters("2001:db8::1")
    assert not enters("2001:db8::2")
    other = enters("2001:db8:0:1::1")
    first.close()
    again = enters("2001:db8::1")
    assert other
    assert again
    for one in (again, other, other):
        one.close()
    assert not connections._open
    assert not connections._of


GET = "GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n"
LATE = {
    "nothing": "",
    "half a header": "GET /livez HTTP/1.1\r\n",
    "nothing after an answer": f"{GET}\r\n",
    "half a header after an answer": f"{GET}\r\nGET /livez",
    "the rest of a body after its answer": f"{GET}content-length: 100000\r\n\r\n",
    "a request whose answer does not come": "GET /sleeps HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
}


@pytest.mark.parametrize("said", LATE.values(), ids=LATE)
@pytest.mark.parametrize("trickles", [False, True], ids=["silent", "trickling"])
async def test_every_step_has_its_time(monkeypatch: pytest.MonkeyPatch, said: str, trickles: bool) -> None:
    """Too short a time in one place only: it is this one that ends."""
    ends_by = "REQUEST_S" if "sleeps" in said else "HEADER_S"
    for name in ("HEADER_S", "REQUEST_S"):
        monkeypatch.setattr(module, name, 0.3 if name == ends_by else 1000.0)
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 1000)
    async with served() as server, connected(server) as [one]:
        say(one, said)
        if said.startswith(GET):  # what has come and is not read yet goes, when a connection ends amid what is sent
            assert await one.readuntil(b'{"status":"ok"}')
        more = asyncio.create_task(trickle(one, "x" * 10_000 if trickles else "", 0.05))
        assert b"HTTP/1.1 200" not in await end_of(one)
        more.cancel()
        while server.server_state.connections:
            await asyncio.sleep(0)


async def test_a_request_may_take_longer_than_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEADER_S", 0.2)
    body = json.dumps(pledge(1))
    async with served() as server, connected(server) as [one]:
        say(one, f"POST /v1/events HTTP/1.1\r\nhost: {HERE}\r\ncontent-type: {STRUCTURED['content-type']}\r\n")
        say(one, f"content-length: {len(body)}\r\n\r\n")
        await asyncio.sleep(0.5)
        say(one, body)
        assert b" 202 " in await one.readline()


async def test_one_connection_may_ask_for_longer_than_any_step_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEADER_S", 0.2)
    monkeypatch.setattr(module, "REQUEST_S", 0.2)
    async with served() as server, connected(server) as [one]:
        for _ in range(20):
            say(one, f"{GET}\r\n{GET}\r\n")  # two at a time
            for _ in range(2):
                assert await one.readuntil(b'{"status":"ok"}')
            await asyncio.sleep(0.03)


# ---- behind a proxy


async def said_by(server: Server, named: str, path: str = "/livez") -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(
            f"{server.http}{path}", headers={"x-forwarded-for": named, "x-forwarded-proto": "https"}
        )


async def test_nobody_is_believed_about_who_came_and_how_but_a_proxy_that_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own, which would believe everybody
    came: list[str] = []
    monkeypatch.setattr("services.intake.rates.Rates.came", lambda _rates, address: came.append(network_of(address)))
    odd = ["zz:zz", "unknown", "[::1", "203.0.113.5, fe80::1/64", "\x7f"]
    for proxies, believed in ((None, False), (NEXT_DOOR, False), (f"{NEXT_DOOR}, 127.0.0.0/30", True)):
        came.clear()
        async with served(http_proxies=proxies) as server:
            answer = await said_by(server, "203.0.113.5")
            assert ("strict-transport-security" in answer.headers) is believed
            for named in ("203.0.113.5", "198.51.100.1, 2001:db8::5", *odd):
                assert (await said_by(server, named, "/v1/receipts/x")).status_code == 404
        told = ["203.0.113.5", "2001:db8::/64", "?", "?", "?", "?", "?"]
        assert came == (told if believed else [HERE] * 7)


def test_an_ipv4_address_in_ipv6s_clothes_is_one_address() -> None:
    assert [network_of(f"::ffff:10.0.0.{n}") for n in (1, 2)] == ["10.0.0.1", "10.0.0.2"]


# ---- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> dict[str, Path]:
    """The settings for a certificate of 127.0.0.1."""
    made = authority.issue_cert(HERE)
    shown, key = tmp_path / "shown.pem", tmp_path / "key.pem"
    for blob in made.cert_chain_pems:
        blob.write_to_path(shown, append=True)
    key.touch(0o600)
    made.private_key_pem.write_to_path(key)
    return {"http_certificate_file": shown, "http_key_file": key}


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    return context


async def test_tls_is_shown_to_who_trusts_its_authority_and_says_that_it_stays(
    authority: trustme.CA, files: dict[str, Path]
) -> None:
    async with served(**files) as server:
        assert server.http.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(verify=trusting(authority)) as client:
            answer = await client.get(f"{server.http}/livez")
            assert (answer.status_code, answer.headers["strict-transport-security"]) == (200, "max-age=31536000")
            with pytest.raises(httpx.TransportError):
                await client.get(server.http.replace("https", "http"))
            with pytest.raises(httpx.ConnectError, match="match"):
                await client.get(f"{server.http.replace(HERE, 'localhost')}/livez")
        async with httpx.AsyncClient(verify=trusting(trustme.CA())) as stranger:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.get(f"{server.http}/livez")
    async with served() as server, httpx.AsyncClient() as client:
        assert "strict-transport-security" not in (await client.get(f"{server.http}/livez")).headers


async def test_handshakes_that_do_not_come_are_counted_and_cut_off(
    authority: trustme.CA, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_S", 0.3)
    tls = {"verify": trusting(authority)}
    async with served(**files, http_connections_per_address=2) as server, connected(server, 2) as idle:
        open_now = server._listener.connections._open
        while len(open_now) < 2:
            await asyncio.sleep(0)
        assert await status_from(NEXT_DOOR, server, **tls) == 202
        for one in idle:
            assert await end_of(one) == b""
        assert await status_from(HERE, server, **tls) == 202
        while open_now:
            await asyncio.sleep(0)


def amiss(**options: Any) -> str:
    with pytest.raises(SettingError) as told:
        Server(Bench().app, load(http_port=0, **options))
    assert told.value.exit_status == 2
    return f"{told.value.code}: {told.value.message}"


async def test_a_certificate_that_cant_be_used_is_told_at_the_start(
    authority: trustme.CA, files: dict[str, Path], tmp_path: Path
) -> None:
    shown, key = files.values()
    assert "go together" in amiss(http_certificate_file=shown)
    assert "go together" in amiss(http_key_file=key)
    assert "No such file" in amiss(**files | {"http_certificate_file": tmp_path / "nowhere.pem"})
    assert "No such file" in amiss(**files | {"http_key_file": tmp_path / "nowhere.pem"})
    other = tmp_path / "other.pem"
    other.touch(0o600)
    authority.issue_cert(HERE).private_key_pem.write_to_path(other)
    assert "is not the key of that certificate" in amiss(**files | {"http_key_file": other})
    other.write_text("no key")
    assert "no pair that is usable" in amiss(**files | {"http_key_file": other})
    other.write_bytes(_locked(key))
    assert "no pair that is usable" in amiss(**files | {"http_key_file": other}), "and nobody is asked for a passphrase"
    key.chmod(0o644)
    assert amiss(**files).startswith("key_unsafe: everybody on this machine can read")
    with pytest.raises(KeyUnsafe):
        Server(Bench().app, load(http_port=0, **files))


def _locked(key: Path) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    opened = form.load_pem_private_key(key.read_bytes(), None)
    return opened.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"passphrase")
    )


@pytest.mark.parametrize(("host", "said"), [("0.0.0.0", True), (HERE, False), (NEXT_DOOR, False)])
async def test_to_listen_to_others_without_tls_is_said(
    files: dict[str, Path], host: str, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for options in ({}, files):
        caplog.clear()
        Server(Bench().app, load(http_port=0, http_host=host, **options))._listener.close()
        assert any("without TLS" in record.getMessage() for record in caplog.records) == (said and not options)


async def test_a_port_that_was_asked_for_and_is_taken_is_told() -> None:
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"can't listen on {HERE}:{port}"):
            Server(Bench().app, load(http_port=port))
