"""A whole Pumasi and a real Prometheus beside it: what rules and dashboards ask for is there, and each alert fires for its fault.

Faults are made for real, and mended; the rules are those of deploy/prometheus, with all lengths of time a thirtieth.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from services import metrics
from services.bus import access
from services.bus.embedded.ports import free_port
from services.bus.security import connection, servers
from services.bus.topics import COMMANDS, SUBMISSIONS
from services.settings import load
from tests.broker.raw import PARTITION, headers
from tests.broker.test_unreadable import ATTRIBUTES
from tests.deploy_files import PUMASI, clean
from tests.prometheus import Prometheus, alerts, asked, groups, needs_prometheus, series_in
from tests.soak import clocks
from tests.soak.disk import LEAST_MB, mounted

pytestmark = [pytest.mark.broker, pytest.mark.timeout(400), needs_prometheus]

HASTE = 30.0
FUND = "jilin"


class Receiver:
    """A webhook's receiver, which hears, refuses, or says nothing for as long as it is told to."""

    def __init__(self) -> None:
        self.mode = "hears"
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                while receiver.mode == "silent":
                    time.sleep(0.1)
                self.send_response(204 if receiver.mode == "hears" else 400)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self) -> None:
        self.mode = "hears"
        self._server.shutdown()


class Pumasi:
    """Broker and services, each a process of its own, which nobody starts again but the test."""

    def __init__(self, home: Path, prometheus: Prometheus) -> None:
        self.home, self.data, self.prometheus = home, home / "data", prometheus
        self.data.mkdir()
        self.disk = mounted(self.data, LEAST_MB)
        self.receiver = Receiver()
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.ports: dict[str, int] = {}
        self.environment = {**clean(), "PUMASI_DATA": str(self.data), "PUMASI_KEYS": str(home / "keys")}
        self._kafka_port, self._http_port, self._sent = free_port(), free_port(), 0
        library = clocks.library(home)
        if library is None:
            pytest.skip("needs a C compiler, to set a process's clock")
        self.clock = clocks.Clock(home / "clock", library)

    def begin(self) -> None:
        self.run("keys", "make")
        self.start_kafka()
        self.environment["PUMASI_KAFKA"] = f"127.0.0.1:{self._kafka_port}"
        webhook = {
            "PUMASI_WEBHOOK_URL": self.receiver.url,
            "PUMASI_WEBHOOK_SECRET": "whsec_" + "a" * 32,
            "PUMASI_WEBHOOK_ALLOW_PRIVATE": "1",
        }
        no_rates = {"PUMASI_SENDER_RATE": "100000", "PUMASI_ADDRESS_RATE": "100000"}
        self._more = {
            "intake": {**self.clock.environment, "PUMASI_HTTP_PORT": str(self._http_port), **no_rates},
            "notifier": webhook,
            "matcher": {"PUMASI_INSTANCE": "matcher"},
        }
        for service in metrics.SERVICES:
            self.start(service)
        scopes = [part for scope in ("funds", "cases", "pledges") for part in ("--scope", scope)]
        self.key = self.run("keys", "add", "form", *scopes, "--all-funds")["key"]
        fund = {"fund": FUND, "currency": "CNY", "vouchers_required": 0}
        case = {
            "case": "c-1",
            "beneficiary": "b-1",
            "need": "surgery",
            "route": "clinic",
            "goal": 10**9,
            "priority": "asap",
        }
        self.until(lambda: self.send("fund.configured", fund) == 202)
        assert self.send("case.submitted", {"fund": FUND, **case}) == 202, "so that who pledges is told where it goes"

    def end(self) -> None:
        for name in sorted(self.processes, key="kafka".__eq__):  # which ends when nobody needs it any more
            try:
                self.stop(name)
            except subprocess.TimeoutExpired:
                self.kill(name)
        self.receiver.close()
        if self.disk is not None:
            self.disk.unmount()

    def until(self, condition: Callable[[], Any]) -> Any:
        return self.prometheus.until(condition)

    def run(self, *command: str) -> dict[str, Any]:
        """A command that ends; what it said."""
        done = subprocess.run([*PUMASI, *command, "--json"], env=self.environment, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout or "{}")
        return told

    def start_kafka(self) -> None:
        self._start("kafka", ["kafka", "--kafka-port", str(self._kafka_port)], {})

    def start(self, service: str, name: str = "") -> None:
        """Start a process of a service, and have Prometheus look at it; it is ready then."""
        name = name or service
        port = self.ports.setdefault(name, free_port())
        more = {"PUMASI_INSTANCE": name, **self._more.get(service, {}), "PUMASI_HEALTH_PORT": str(port)}
        self._start(name, [service], more)
        self.prometheus.look_at(service, port)
        self.until(lambda: self.is_up(name))

    def _start(self, name: str, command: list[str], more: dict[str, str]) -> None:
        with (self.home / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [*PUMASI, *command, "--json"],
                env=self.environment | more,
                text=True,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.processes[name] = process
        heard = threading.Event()

        def hear() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                if not heard.is_set() and {"ready", "kafka"} & json.loads(line).keys():
                    heard.set()

        threading.Thread(target=hear, daemon=True).start()
        assert heard.wait(60), f"{name} was not ready"

    def is_up(self, name: str) -> bool:
        """Whether Prometheus has heard the process that runs now."""
        told = self.prometheus.ask(f'process_start_time_seconds{{instance="127.0.0.1:{self.ports[name]}"}}')
        began = psutil.Process(self.processes[name].pid).create_time()
        return any(abs(float(one["value"][1]) - began) < 0.5 for one in told)

    def shows(self, expr: str) -> bool:
        return any(one["value"][1] != "NaN" for one in self.prometheus.ask(expr))

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> None:
        self.processes[name].terminate()
        self.processes[name].wait(30)
        del self.processes[name]

    def send(self, kind: str, data: dict[str, Any], key: str | None = None) -> int:
        """Send an event over HTTP; the status of the answer."""
        self._sent += 1
        event = {
            "specversion": "1.0",
            "id": f"e-{self._sent}",
            "source": "/drill",
            "type": f"pumasi.{kind}",
            "data": data,
        }
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/cloudevents+json"}
        url = f"http://127.0.0.1:{self._http_port}/v1/events"
        return httpx.post(url, headers=headers, content=json.dumps(event), timeout=20).status_code

    def pledge(self) -> None:
        """Pledge something, as somebody who wants to be told."""
        contact = {"address": "mailto:donor@example.org", "language": "en"}
        pledge = {"fund": FUND, "amount": 5_000, "currency": "CNY", "contact": contact}
        self.until(lambda: self.send("pledge.made", pledge) == 202)

    def put(self, topic: str, *records: dict[str, Any]) -> None:
        """Write past the doors, as a client of Kafka's with intake's rights."""
        settings = load(kafka=self.environment["PUMASI_KAFKA"], keys=self.home / "keys", data=self.data, open=False)

        async def write() -> None:
            as_intake = connection(servers(settings, str(settings.kafka), access.INTAKE))
            async with AIOKafkaProducer(**as_intake) as producer:
                await asyncio.gather(*[await producer.send(topic, **record) for record in records])

        asyncio.run(write())

    def command(self, *partitions: int) -> None:
        """Put a command on each of these partitions, past the doors; its fund need not be there."""
        fund_of = {partition: fund for fund, partition in PARTITION.items()}
        pledge = {"pledge": "p-1", "donor": "d", "amount": 5_000, "currency": "CNY"}
        records = []
        for partition in partitions:
            value = json.dumps({"fund": fund_of[partition], **pledge}).encode()
            record = {"key": fund_of[partition].encode(), "value": value, "partition": partition}
            records.append({**record, "headers": headers("pumasi.pledge.made", "e-1")})
        self.put(COMMANDS, *records)


@pytest.fixture(scope="module")
def pumasi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pumasi]:
    home = tmp_path_factory.mktemp("drill")
    (home / "prometheus").mkdir()
    with Prometheus(home / "prometheus", HASTE) as prometheus:
        it = Pumasi(home, prometheus)
        try:
            it.begin()
            yield it
        finally:
            it.end()


Fault = Callable[[Pumasi], Iterator[Callable[[], object] | None]]
FAULTS: dict[Fault, set[str]] = {}
"""What is made, and the alerts that fire. Each fault yields once it is there, with what goes on meanwhile; then it is mended."""


def fault(*names: str) -> Callable[[Fault], Fault]:
    return lambda made: FAULTS.setdefault(made, set(names)) and made


@fault("PumasiServiceDown", "PumasiAnswersLate")
def the_matcher_is_killed(it: Pumasi) -> Iterator[None]:
    it.kill("matcher")
    it.pledge()
    yield
    it.start("matcher")


@fault("PumasiProcessDown")
def one_of_two_notifiers_is_killed(it: Pumasi) -> Iterator[None]:
    it.start("notifier", "notifier-2")
    it.kill("notifier-2")
    yield
    it.prometheus.leave("notifier", it.ports["notifier-2"])


@fault("PumasiProcessRestarts")
def a_process_ends_whenever_it_was_started(it: Pumasi) -> Iterator[Callable[[], object]]:
    def again() -> None:
        it.kill("ender")
        it.start("ender")

    yield again


@fault("PumasiNotReady")
def the_broker_is_down(it: Pumasi) -> Iterator[None]:
    it.stop("kafka")
    yield
    it.start_kafka()


@fault("PumasiClockDrifts", "PumasiClockOff")
def the_clock_of_intake_is_off(it: Pumasi) -> Iterator[None]:
    it.clock.step(200)
    yield
    it.clock.step(0)


@fault("PumasiDiskFills")
def the_brokers_disk_fills(it: Pumasi) -> Iterator[None]:
    if it.disk is None:
        pytest.skip("needs root, to mount a small filesystem for the broker's data")
    ballast, room = it.data / "ballast", shutil.disk_usage(it.data)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.free - room.total // 20)
    again(it, "ender")  # which asks at its start, and then once a minute
    yield
    ballast.unlink()
    again(it, "ender")


def again(it: Pumasi, service: str) -> None:
    it.stop(service)
    it.start(service)


@fault("PumasiDeadLetters")
def somebody_writes_what_is_no_event(it: Pumasi) -> Iterator[None]:
    it.put(SUBMISSIONS, {"value": b"no event at all"})
    yield


@fault("PumasiRefusalsFlood")
def a_sender_goes_on_with_a_key_that_was_revoked(it: Pumasi) -> Iterator[Callable[[], object]]:
    key = it.run("keys", "add", "leaver", "--scope", "pledges", "--all-funds")["key"]
    it.run("keys", "revoke", "leaver")
    pledge = {"fund": FUND, "amount": 5_000, "currency": "CNY", "donor": "d"}
    it.until(lambda: it.send("pledge.made", pledge, key=key) == 401)
    yield lambda: [it.send("pledge.made", pledge, key=key) for _ in range(5)]


@fault("PumasiNoticesLate")
def the_receiver_says_nothing(it: Pumasi) -> Iterator[None]:
    it.receiver.mode = "silent"
    it.pledge()
    yield
    it.receiver.mode = "hears"


@fault("PumasiNoticesGivenUp")
def the_receiver_refuses(it: Pumasi) -> Iterator[None]:
    it.receiver.mode = "refuses"
    it.pledge()
    yield
    it.receiver.mode = "hears"


@fault("PumasiTransactionsFail", "PumasiRecoveriesFlap")
def two_matchers_have_one_name(it: Pumasi) -> Iterator[Callable[[], object]]:
    it.start("matcher", "twin")
    yield lambda: it.command(*PARTITION.values())
    it.stop("twin")
    it.prometheus.leave("matcher", it.ports["twin"])


@fault("PumasiPartitionStopped", "PumasiLagGrows", "PumasiSubmissionsStuck")
def batches_are_damaged_where_they_lie(it: Pumasi) -> Iterator[Callable[[], object]]:
    partition = PARTITION[FUND]
    it.put(SUBMISSIONS, {"value": b"no event", "partition": partition})  # how far it is, is known from the first on
    it.until(lambda: it.shows(f'pumasi_submissions_lag_records{{partition="{partition}"}} == 0'))
    it.kill("intake")
    it.kill("matcher")
    it.command(partition)
    it.put(SUBMISSIONS, {"value": b"no event", "partition": partition})
    it.stop("kafka")
    segments = [max(it.data.rglob(f"{topic}-{partition}/*.log")) for topic in (COMMANDS, SUBMISSIONS)]
    sound = {segment: segment.read_bytes() for segment in segments}
    for segment in segments:
        overwrite(segment, damaged(sound[segment]))
    it.start_kafka()
    it.start("matcher")
    it.start("intake")
    yield lambda: it.command(*[partition] * 100)
    it.stop("kafka")
    for segment in segments:
        overwrite(segment, sound[segment])
    it.start_kafka()


def damaged(log: bytes) -> bytes:
    """The same log, whose last batch says that it is of a codec that nobody knows, as if its writer had."""
    place, made = 0, bytearray(log)
    while (end := place + 12 + struct.unpack_from(">i", log, place + 8)[0]) < len(log):
        place = end
    made[place + ATTRIBUTES] = made[place + ATTRIBUTES] & ~7 | 5
    struct.pack_into(">I", made, place + 17, calc_crc32c(bytes(made[place + 21 :])))
    return bytes(made)


def overwrite(file: Path, begins: bytes) -> None:
    """Let a file begin so; what came behind it stays."""
    with file.open("r+b") as opened:
        opened.write(begins)


def test_there_is_a_fault_for_each_alert() -> None:
    assert set().union(*FAULTS.values()) == alerts().keys()


def test_rules_and_dashboards_ask_for_what_a_running_system_has(pumasi: Pumasi) -> None:
    """And every panel has something to show, once a little of everything has happened."""
    exprs = [rule["expr"] for group in groups() for rule in group["rules"]] + [expr for _, expr in asked()]
    unseen = {series: series for series in set().union(*map(series_in, exprs))}
    unseen |= {f"{where}: {expr}": expr for where, expr in asked(__rate_interval="5s")}

    def all_seen() -> bool:
        pumasi.pledge()
        pumasi.send("pledge.withdrawn", {"fund": FUND, "pledge": "unknown"})
        pumasi.send("pledge.made", {"fund": FUND})
        pumasi.put(SUBMISSIONS, {"value": b"no event"})
        for name in [name for name, expr in unseen.items() if pumasi.shows(expr)]:
            del unseen[name]
        return not unseen

    with contextlib.suppress(AssertionError):
        pumasi.until(all_seen)
    assert not unseen


@pytest.mark.parametrize("made", FAULTS, ids=lambda made: made.__name__)
def test_alerts_fire_for_a_fault_and_go_once_it_is_mended(pumasi: Pumasi, made: Fault) -> None:
    wanted = FAULTS[made]
    pumasi.until(lambda: not wanted & pumasi.prometheus.firing().keys())
    work = made(pumasi)
    go_on = next(work)

    def fire() -> bool:
        if go_on is not None:
            go_on()
        return wanted <= pumasi.prometheus.firing().keys()

    try:
        pumasi.until(fire)
        assert "error" not in str(pumasi.prometheus.firing()), "templates"
    finally:
        next(work, None)
    pumasi.until(lambda: not wanted & pumasi.prometheus.firing().keys())
