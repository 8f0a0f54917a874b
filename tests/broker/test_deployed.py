"""deploy/compose rehearsed on this machine: its own Kafka configuration, keys, users and commands, without the containers around them.

What compose.yaml says of each service is read from it: the command, the settings, and which directory of keys it has. So a service that
lacks a key or a right, or is told a setting that is none, doesn't get here to its first answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.bus import access
from services.bus.client import users
from services.bus.embedded.config import jvm_options, log4j2_properties
from services.bus.embedded.jars import ensure_jars
from services.bus.embedded.java import find_java
from services.bus.embedded.ports import free_port
from services.bus.security import Servers, servers
from services.settings import load
from tests.deploy_files import COMPOSE, DEPLOY, PUMASI, clean, compose, settings_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(400)]  # a dozen commands, each a process of its own

PATIENCE_S = 60.0
SENDER = "pumasi-sender-clinic"


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@contextmanager
def running(command: list[str], **how: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, text=True, **how) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


class Cluster:
    """What `prepare` made in a directory, and the Kafka that compose.yaml describes, on ports of this machine."""

    def __init__(self, home: Path) -> None:
        self.home, self.secrets = home, home / "secrets"
        self.ports = {9092: free_port(), 9093: free_port(), 9094: free_port()}
        self.prepare()

    def prepare(self) -> None:
        subprocess.run(
            ["sh", COMPOSE / "prepare", self.secrets, DEPLOY / "hand-out"],
            env={**clean(), "PUMASI": " ".join(PUMASI)}, check=True, capture_output=True,
        )  # fmt: skip

    @contextmanager
    def kafka(self) -> Iterator[None]:
        text = (COMPOSE / "server.properties").read_text().replace("/secrets", str(self.secrets / "kafka"))
        text = text.replace("/var/lib/kafka/data", str(self.home / "log")).replace("//kafka:", "//localhost:")
        for port, here in self.ports.items():
            text = re.sub(rf":{port}\b", f":{here}", text)
        properties = self.home / "server.properties"
        properties.write_text(text)
        (self.home / "tmp").mkdir(exist_ok=True)
        (self.home / "log4j2.properties").write_text(log4j2_properties(self.home / "kafka.log"))
        java = [str(find_java()), *jvm_options(self.home, 384), "-cp", os.pathsep.join(map(str, ensure_jars()))]
        [said] = re.findall(r"kafka-storage\.sh (.+)", compose()["kafka"]["command"][0])
        said = said.replace("/deploy/server.properties", str(properties))
        format_ = said.replace("/secrets", str(self.secrets / "kafka")).split()
        subprocess.run([*java, "kafka.tools.StorageTool", *format_], check=True, capture_output=True)
        with (self.home / "console.log").open("w") as log, running([*java, "kafka.Kafka", str(properties)], stdout=log):
            yield

    def admins_keys(self) -> Path:
        return self.secrets / "all"

    def as_admin(self) -> Servers:
        told = load(
            kafka=f"localhost:{self.ports[9092]}",
            keys=self.admins_keys(),
            open=False,
            kafka_ca_file=self.secrets / "ca/ca.crt",
        )
        return servers(told, str(told.kafka), access.BROKER)

    async def let_in_a_sender(self) -> None:
        await users.let_in(self.as_admin(), {SENDER: "a password"})

    def called(self, service: str, *command: str, **more: str) -> tuple[list[str], dict[str, str]]:
        """How a command is called with what a service of compose.yaml has, and in which environment."""
        told = settings_of(compose()[service], {"kafka:9092": f"localhost:{self.ports[9092]}"})
        env = {name: value.replace("./secrets", str(self.secrets)) for name, value in told.items()} | more
        return [*PUMASI, *command], env

    def run(self, service: str, *command: str, **more: str) -> tuple[int, dict[str, Any]]:
        """A command that ends, by default the service's own; its exit status, and what it said."""
        said, env = self.called(service, *(command or compose()[service]["command"]), "--json", **more)
        done = subprocess.run(said, env=env, text=True, capture_output=True)
        told = done.stdout or "".join(line for line in done.stderr.splitlines() if line.startswith("{"))
        return done.returncode, json.loads(told)

    @contextmanager
    def service(self, name: str, **more: str) -> Iterator[dict[str, Any]]:
        """A service that goes on; what it said once it was ready."""
        command, env = self.called(name, *compose()[name]["command"], "--json", **more)
        with running(command, env=env, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield next((told for line in process.stdout if "ready" in (told := json.loads(line))), {})


def test_what_compose_describes_answers_a_pledge_with_each_service_by_its_own_keys_and_rights(data_dir: Path) -> None:
    answers_a_pledge(Cluster(data_dir))


def answers_a_pledge(cluster: Cluster, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Walk through it; `meanwhile` is called once all services run."""
    keys = {path: path.read_bytes() for path in sorted(cluster.secrets.rglob("*")) if path.is_file()}
    cluster.prepare()
    assert keys == {path: path.read_bytes() for path in keys}, "what is there is never touched"
    with cluster.kafka(), ExitStack() as services:
        untold = until(
            lambda: (found := cluster.run("access", "access"))[1].get("code") != "kafka_unreachable" and found
        )
        assert untold[0] == 1
        assert "pumasi-matcher: WRITE TOPIC pumasi.ledger.v1" in untold[1]["missing"]
        code, told = cluster.run("access")
        assert (code, told["ok"], len(told["passwords_given"])) == (0, True, 10)
        assert cluster.run("access", "access") == (
            0,
            {"missing": [], "too_much": [], "passwords_given": [], "ok": True},
        )
        code, told = cluster.run("access", "access", PUMASI_KAFKA_USER="pumasi-operator")
        assert (code, told["code"]) == (1, "kafka_refused")
        asyncio.run(cluster.let_in_a_sender())
        assert cluster.run("access")[0] == 0
        rights = asyncio.run(users.rights(cluster.as_admin()))
        assert rights == access.grants_of({SENDER}), "a sender's user that the admin made stays"
        assert cluster.run("topics")[0] == 0

        ready = {
            name: services.enter_context(cluster.service(name, PUMASI_HTTP_PORT="0"))
            for name in ("ender", "intake", "matcher", "notifier")
        }
        assert {name: told.get("ready") for name, told in ready.items()} == {name: name for name in ready}
        http = ready["intake"]["http"].replace("0.0.0.0", "127.0.0.1")
        assert until(lambda: httpx.get(f"{http}/readyz").status_code == 200)
        meanwhile()
        scopes = [part for scope in ("funds", "pledges") for part in ("--scope", scope)]
        _, sender = cluster.run("pumasi", "keys", "add", "form", *scopes, "--all-funds")
        fund = {"fund": "jilin", "currency": "CNY", "share": 10_000, "weights": "equal", "vouchers_required": 0}
        pledge = {
            "fund": "jilin",
            "pledge": "p-1",
            "amount": 5_000,
            "currency": "CNY",
            "contact": {"address": "mailto:a@example.org"},
        }
        for kind, data in (("fund.configured", fund), ("pledge.made", pledge)):
            assert until(lambda kind=kind, data=data: answered(http, sender["key"], kind, data)) == "applied"


def answered(http: str, key: str, kind: str, data: dict[str, Any]) -> str:
    """The state of a submission once it has one; empty until then."""
    event = {"specversion": "1.0", "id": kind, "source": "/form", "type": f"pumasi.{kind}", "data": data}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json"}
    answer = httpx.post(f"{http}/v1/events", headers=headers, content=json.dumps(event))
    if answer.status_code != 202:
        assert answer.status_code in (401, 503), answer.text  # the sender isn't known yet
        return ""
    receipt = answer.json().get("receipt") or answer.json()["accepted"][0]["receipt"]
    state = httpx.get(f"{http}/v1/receipts/{receipt}").json()["state"]
    return "" if state == "accepted" else state
