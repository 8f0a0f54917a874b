"""The life of the embedded broker: formatted once, started, asked until it answers, watched, stopped or killed."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol, Self

import psutil

from services.bus.kafka.config import HOST, jvm_options, log4j2_properties, server_properties
from services.bus.kafka.directory import DirectoryLock, claim, write_atomically
from services.bus.kafka.jars import ensure_jars
from services.bus.kafka.java import find_java
from services.errors import BrokerFailed, DataDirForeign, PortTaken

DEFAULT_PORT = 9092
START_TIMEOUT_S = 120.0  # measured: 3 to 4 s on two idle cores; recovery of much data after a kill takes longer
STOP_GRACE_S = 30.0
PORT_TRIES = 3
POLL_S = 0.05
GUARD = Path(__file__).with_name("guard.py")


class Watcher(Protocol):
    """Is told how far a start is; called from any thread."""

    def stage(self, name: str) -> None:
        """A stage begins: `download`, `format`, `start`, `ready`."""

    def download(self, fetched: int, total: int, received: int) -> None:
        """Jars fetched, jars to fetch, bytes received."""


class _Nobody:
    def stage(self, name: str) -> None: ...

    def download(self, fetched: int, total: int, received: int) -> None: ...


class EmbeddedKafka:
    """One broker on one data directory.

    `port` is a TCP port on 127.0.0.1: None takes 9092, or a free one if that is taken; 0 takes a free one; any other must be
    free, or start() raises PortTaken. `heap_mb` is the JVM's largest heap in MiB.

        async with EmbeddedKafka(Path(".pumasi")) as kafka:
            kafka.bootstrap  # "127.0.0.1:9092"

    It dies with the process that started it, however that ends.
    """

    def __init__(
        self, data: Path, port: int | None = None, *, heap_mb: int = 384, watcher: Watcher | None = None
    ) -> None:
        self.data = data.absolute()
        self.home = self.data / "kafka"
        self.port_asked, self.heap_mb, self.watcher = port, heap_mb, watcher or _Nobody()
        self.bootstrap = ""
        self.pid = 0
        self.cluster = ""
        self._lock = DirectoryLock(self.data)
        self._guard: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._abandoned = False

    # ---- the life

    async def start(self) -> str:
        """Bring the broker up; gives its bootstrap servers once it has answered a metadata request.

        Raises JavaMissing, JarsUnavailable, DataDirForeign, DataDirLocked, PortTaken, BrokerFailed. After an error nothing runs.
        """
        assert self._guard is None, "started once"
        _choose_port(self.port_asked)  # a port that is taken is told before anything is made
        self.cluster = await asyncio.to_thread(claim, self.data)
        await asyncio.to_thread(self._lock.acquire)
        try:
            classpath = await self._prepared()
            await self._start_on_some_port(classpath)
        except BaseException:
            await self.kill()
            raise
        write_atomically(
            self.data / "broker.json", {"bootstrap": self.bootstrap, "pid": self.pid, "cluster": self.cluster}
        )
        self.watcher.stage("ready")
        return self.bootstrap

    async def stop(self) -> None:
        """End the broker cleanly (SIGTERM, after 30 s SIGKILL). Safe to repeat, and after it ended by itself."""
        (self.data / "broker.json").unlink(missing_ok=True)
        self._close_lifeline()  # the guard takes it from here
        await self._reap(STOP_GRACE_S + 10)

    async def kill(self) -> None:
        """kill -9 of the JVM, as a crash: nothing is flushed, nothing said. For tests, and after a failed start."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._close_lifeline()
        await self._reap(10)

    async def wait(self) -> None:
        """Return never, unless the broker ends without being asked to: then raise BrokerFailed."""
        while self.running:
            await asyncio.sleep(0.2)
        if self._guard is not None and self._lifeline >= 0:
            raise self._failed("the Kafka broker ended by itself")

    @property
    def running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # ---- the steps

    async def _prepared(self) -> str:
        """`_prepare` in a thread. A cancelled start waits for it to notice, so nothing works on a directory no longer locked."""
        preparing = asyncio.create_task(asyncio.to_thread(self._prepare))
        try:
            return await asyncio.shield(preparing)
        except asyncio.CancelledError:
            self._abandoned = True
            await asyncio.gather(preparing, return_exceptions=True)  # what it says of its end is of no interest
            raise

    def _on_download(self, fetched: int, total: int, received: int) -> None:
        if self._abandoned:
            raise InterruptedError("the start was cancelled")
        self.watcher.download(fetched, total, received)

    def _prepare(self) -> str:
        """Everything before the JVM: the class path, the directory, the format. Blocks."""
        self.watcher.stage("download")
        classpath = os.pathsep.join(map(str, ensure_jars(self._on_download)))
        shutil.rmtree(self.home / "tmp", ignore_errors=True)  # native libraries of a broker that was killed
        (self.home / "tmp").mkdir(parents=True)
        (self.home / "log4j2.properties").write_text(log4j2_properties(self.home / "kafka.log"))
        if not (self.home / "log" / "meta.properties").exists():
            self.watcher.stage("format")
            self._format(classpath)
        self._refuse_other_cluster()
        return classpath

    def _format(self, classpath: str) -> None:
        """Format beside the final place and rename: a format cut short leaves nothing that looks finished."""
        draft = self.home / "log.formatting"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self.home / "log", ignore_errors=True)  # without meta.properties it holds no data
        properties = self.home / "format.properties"
        properties.write_text(server_properties(draft, DEFAULT_PORT, DEFAULT_PORT + 1))
        # The light compiler alone: this JVM lives for a second.
        command = self._java(
            "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "-t", self.cluster, "-c", str(properties)
        )
        done = subprocess.run(
            command, env=_environment(classpath), capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode != 0:
            raise BrokerFailed(f"Kafka could not format {draft}: {(done.stderr or done.stdout).strip()[-400:]}")
        properties.unlink()
        draft.rename(self.home / "log")

    def _refuse_other_cluster(self) -> None:
        text = (self.home / "log" / "meta.properties").read_text()
        found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
        if found.get("cluster.id", "").replace("\\", "") != self.cluster:
            raise DataDirForeign(
                f"{self.home / 'log'} belongs to another Kafka cluster ({found.get('cluster.id')}, not {self.cluster})",
                hint="Name the directory it came from, or a new one, with --data DIR.",
            )

    async def _start_on_some_port(self, classpath: str) -> None:
        """A port may be taken between the look and the start; then another is tried, unless it was asked for."""
        self.watcher.stage("start")
        for attempt in range(PORT_TRIES):
            port = _choose_port(self.port_asked)
            self._spawn(classpath, port)
            try:
                await self._until_it_answers()
            except PortTaken:
                if self.port_asked or attempt == PORT_TRIES - 1:
                    raise
                self._close_lifeline()
                await self._reap(10, keep_lock=True)
            else:
                return

    def _spawn(self, classpath: str, port: int) -> None:
        properties = self.home / "server.properties"
        properties.write_text(server_properties(self.home / "log", port, _free_port()))
        command = self._java("kafka.Kafka", str(properties))
        theirs, self._lifeline = os.pipe()
        try:
            with (self.home / "console.log").open("wb") as console:
                self._guard = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(GUARD), str(theirs), str(STOP_GRACE_S), *command],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=console, env=_environment(classpath),
                    pass_fds=(theirs, self._lock.fd), start_new_session=True,
                )  # fmt: skip
        finally:
            os.close(theirs)
        assert self._guard.stdout is not None
        with self._guard.stdout as said:
            self.pid = int(said.readline() or 0)
        self.bootstrap = f"{HOST}:{port}"

    def _java(self, *arguments: str) -> list[str]:
        return [str(find_java()), *jvm_options(self.home, self.heap_mb), *arguments]

    async def _until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not await _answers(self.bootstrap):
            if not self.running:
                if "Address already in use" in self._last_words(200):
                    raise _port_taken(int(self.bootstrap.rpartition(":")[2]))
                raise self._failed("the Kafka broker ended while it started")
            if time.monotonic() > deadline:
                raise self._failed(
                    f"the Kafka broker did not answer at {self.bootstrap} within {START_TIMEOUT_S:.0f} s"
                )
            await asyncio.sleep(POLL_S)

    def _failed(self, what: str) -> BrokerFailed:
        return BrokerFailed(f"{what}: {self._last_words(3)}", hint=f"Its log is {self.home / 'kafka.log'}.")

    def _last_words(self, lines: int) -> str:
        """The last lines that name an error in the broker's logs; empty if there are none."""
        told: list[str] = []
        for name in ("kafka.log", "console.log"):
            with contextlib.suppress(OSError):
                text = (self.home / name).read_text(errors="replace")[-50_000:]
                told += [line for line in text.splitlines() if not line.startswith("\tat ")]
        return " | ".join(told[-lines:])

    def _close_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def _reap(self, patience_s: float, *, keep_lock: bool = False) -> None:
        """Wait until guard and JVM are gone; whatever is left after `patience_s` is killed."""
        if self._guard is not None:
            try:
                await asyncio.to_thread(self._guard.wait, patience_s)
            except subprocess.TimeoutExpired:
                os.killpg(self._guard.pid, signal.SIGKILL)
                await asyncio.to_thread(self._guard.wait)
            self._guard, self.pid = None, 0
        if not keep_lock:
            self._lock.release()


async def _answers(bootstrap: str) -> bool:
    """Whether a broker at `bootstrap` answers a metadata request and names itself in it: it then serves."""
    from aiokafka.client import AIOKafkaClient
    from aiokafka.errors import KafkaError

    host, _, port = bootstrap.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=5_000)
    except OSError:
        return False
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()


def _environment(classpath: str) -> dict[str, str]:
    return {**os.environ, "CLASSPATH": classpath}


def _choose_port(asked: int | None) -> int:
    if asked is None:
        return DEFAULT_PORT if _is_free(DEFAULT_PORT) else _free_port()
    if asked == 0:
        return _free_port()
    if not _is_free(asked):
        raise _port_taken(asked)
    return asked


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: closed connections don't count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _port_taken(port: int) -> PortTaken:
    return PortTaken(
        f"port {port} on {HOST} is taken{_by_whom(port)}",
        hint="Stop that one, name another with --kafka-port N, or leave the option out: a free port is then chosen and printed.",
    )


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return ""
