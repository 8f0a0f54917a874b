"""The life of the embedded broker: formatted once, started, asked until it answers, watched, stopped or killed."""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self

from services.bus.access import BROKER
from services.bus.client.producer import TROUBLE
from services.bus.client.users import let_in
from services.bus.embedded import classes
from services.bus.embedded.config import Door, Guarded, jvm_options, log4j2_properties, server_properties
from services.bus.embedded.directory import DirectoryLock, claim, write_atomically
from services.bus.embedded.jars import ensure_jars_apart
from services.bus.embedded.java import find_java
from services.bus.embedded.ports import HOST, Reservation, free_port, is_free, is_reserved, port_taken, refuse_if_taken
from services.bus.security import Security, Servers, connection
from services.errors import BrokerFailed, DataDirForeign, PortTaken, SettingError
from services.secret_files import environment

DEFAULT_PORT = 9092
START_STALLED_S, START_MAX_S = 120.0, 3600.0
"""A start is given up when nothing was logged for so long, or after an hour. Measured: 3 to 4 s in all on two idle cores. After a kill
each log takes its time to be recovered, and a start that was given up for its length alone would begin anew for ever."""
STOP_GRACE_S = 30.0
PORT_TRIES = 3
POLL_S = 0.05
_USERS_EVERY_S = 1.0
"""How often its users' passwords are looked at."""
GUARD = Path(__file__).with_name("guard.py")
_CRASHED_BY = (signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGSEGV)
_CRASHES = {-number for number in _CRASHED_BY} | {128 + number for number in _CRASHED_BY}
"""Statuses that say so: as `subprocess` tells them, and as the guard does."""
_COMPLAINT = re.compile(r"\b(ERROR|FATAL|OutOfMemoryError|Exception)\b|\[error\]")
_CALM = re.compile(r"^\S+ (INFO|DEBUG) ")


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
    free, or start() raises PortTaken. `heap_mb` is the JVM's largest heap in MiB. `doors` are further listeners, for proxies;
    `more` further settings of the broker. `passwords` tells those of its users: it then asks everybody for one, and gives each
    the rights that `services.bus.access` says; when they change while it is watched, its users change too. Without them it lets
    everybody in, and to everything.

        async with EmbeddedKafka(Path(".pumasi")) as kafka:
            kafka.bootstrap  # "127.0.0.1:9092"

    It dies with the process that started it, however that ends.
    """

    def __init__(
        self,
        data: Path,
        port: int | None = None,
        *,
        heap_mb: int = 384,
        watcher: Watcher | None = None,
        doors: Sequence[Door] = (),
        more: Mapping[str, object] | None = None,
        passwords: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self.data = data.absolute()
        self.home = self.data / "kafka"
        self.port_asked, self.heap_mb, self.watcher = port, heap_mb, watcher or _Nobody()
        self.doors, self.more = tuple(doors), dict(more or {})
        self.passwords = passwords
        self.at_format: Sequence[str] = ()
        """What Kafka's `format` is told besides."""
        self.classes: Sequence[str] | None = None
        """What Java is told of Kafka's classes (`services.bus.embedded.classes`); None: to take those that lie ready."""
        self.grace_s = STOP_GRACE_S
        self._known: Mapping[str, str] = {}
        self.bootstrap = ""
        self.itself: str = ""
        """Where the broker is asked by whoever started it: as itself, if it asks for passwords."""
        self.pid = 0
        self.cluster = ""
        self._classpath = ""
        self._logs = (self.home / "kafka.log", self.home / "console.log")
        self._logs_from: dict[Path, int] = {}  # log → its length when the JVM began: what is before is of another life
        self._lock = DirectoryLock(self.data)
        self._reservation = Reservation()
        self._guard: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._abandoned = False

    # ---- the life

    async def start(self) -> str:
        """Bring the broker up; returns its bootstrap servers once it has answered a metadata request.

        Raises SettingError, JavaMissing, JarsUnavailable, DataDirForeign, DataDirLocked, PortTaken, BrokerFailed. After an error
        nothing runs.
        """
        assert self._guard is None, "started once"
        _choose_port(
            self.port_asked
        )  # a port that is taken, or a password that is none, is told before anything is made
        if self.passwords is not None:
            self.passwords()
        self.cluster = await asyncio.to_thread(claim, self.data)
        await asyncio.to_thread(self._lock.acquire)
        try:
            self._classpath = await self._prepared()
            await self._start_on_some_port()
        except BaseException:
            await self.kill()
            raise
        self._say_where()
        self.watcher.stage("ready")
        return self.bootstrap

    async def restart(self) -> None:
        """Bring a broker that ended back, on its port and directory; what it had acknowledged is there.

        Raises BrokerFailed, or PortTaken if something else got the port meanwhile: it may be tried again then. Raises DataDirForeign.
        """
        await self._reap(10, keep=True)
        try:
            self._refuse_other_cluster()
            refuse_if_taken(self.port, "--kafka-port")
            self._spawn(self.port)
            await self._until_it_answers()
            self._say_where()
        except BaseException as error:
            self._dropped_classes()
            self._kill_jvm()
            await self._reap(10, keep=True)
            if isinstance(error, OSError):  # the directory is gone, or its disk is full
                raise self._failed(f"the Kafka broker can't be started again ({error})") from error
            raise

    async def stop(self) -> None:
        """End the broker cleanly (SIGTERM, after `grace_s` SIGKILL). Safe to repeat, and after it ended by itself."""
        if self._lock.fd < 0:  # never started, or stopped already: nothing here is ours
            return
        (self.data / "broker.json").unlink(missing_ok=True)
        self._close_lifeline()  # the guard takes it from here
        await self._reap(self.grace_s + 10)

    async def kill(self) -> None:
        """kill -9 of the JVM, as a crash: nothing is flushed, nothing said. For tests, and after a failed start."""
        self._kill_jvm()
        await self._reap(10)

    async def wait(self) -> None:
        """Return never, unless the broker ends without being asked to, or takes no users any more: then raise BrokerFailed."""
        while await self._runs_for(_USERS_EVERY_S):
            with contextlib.suppress(SettingError):  # a file is just being replaced
                await self._let_in()
        if self._guard is not None and self._lifeline >= 0:
            raise self._failed(f"the Kafka broker ended by itself, {_how_it_ended(self._guard.returncode)}")

    @property
    def port(self) -> int:
        """The TCP port it answers on; 0 before the first start."""
        return int(self.bootstrap.rpartition(":")[2] or 0)

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
        classpath = os.pathsep.join(map(str, ensure_jars_apart(self._on_download)))
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
        properties.write_text(server_properties(draft, DEFAULT_PORT, DEFAULT_PORT + 1, more=self.more))
        command = self._java(
            *classes.options(), "kafka.tools.StorageTool", "format", "-t", self.cluster, "-c", str(properties), *self.at_format
        )  # fmt: skip
        done = subprocess.run(
            command, env=_environment(classpath), capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode in _CRASHES and classes.drop():
            self._format(classpath)
            return
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

    async def _start_on_some_port(self) -> None:
        """A port may be taken between the look and the start; then another is tried, unless it was asked for."""
        self.watcher.stage("start")
        for attempt in range(PORT_TRIES):
            try:
                port = _choose_port(self.port_asked)
                self._reservation.take(port)
                self._spawn(port)
                await self._until_it_answers()
            except (PortTaken, BrokerFailed) as error:
                again = self._dropped_classes() if isinstance(error, BrokerFailed) else not self.port_asked
                if not again or attempt == PORT_TRIES - 1:
                    raise
                self._kill_jvm()
                await self._reap(10, keep=True)
            else:
                return

    def _spawn(self, port: int) -> None:
        controller_port, guarded = self._inside()
        properties = self.home / "server.properties"
        properties.touch(0o600)
        properties.write_text(
            server_properties(self.home / "log", port, controller_port, self.doors, self.more, guarded)
        )
        ready = classes.options() if self.classes is None else self.classes
        command = self._java(*ready, "kafka.Kafka", str(properties))
        kafka_log = self.home / "kafka.log"
        self._logs_from = {kafka_log: kafka_log.stat().st_size if kafka_log.exists() else 0}
        theirs, self._lifeline = os.pipe()
        try:
            with (self.home / "console.log").open("wb") as console:
                self._guard = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(GUARD), str(theirs), str(self.grace_s), *command],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=console, env=_environment(self._classpath),
                    pass_fds=(theirs, self._lock.fd), start_new_session=True,
                )  # fmt: skip
        finally:
            os.close(theirs)
        assert self._guard.stdout is not None
        self.pid = int(self._guard.stdout.readline() or 0)
        self.bootstrap = self.itself = f"{HOST}:{port}"
        if guarded is not None:
            alone = Security("SASL_PLAINTEXT", BROKER, guarded.password, "PLAIN")
            self.itself = Servers(f"{HOST}:{guarded.port}", alone)

    def _dropped_classes(self) -> bool:
        """Whether Java crashed and Kafka's classes lay ready: they are removed then, and it may be tried again."""
        return self._guard is not None and self._guard.returncode in _CRASHES and classes.drop()

    async def _runs_for(self, seconds: float) -> bool:
        """Whether it runs so long; if not, that is told at once: the guard's output ends with it."""
        if self._guard is None or self._guard.stdout is None or not self.running:
            return False
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(said := self._guard.stdout.fileno(), ended.set)
        try:
            await asyncio.wait_for(ended.wait(), seconds)
        except TimeoutError:
            return True
        finally:
            loop.remove_reader(said)
        return self.running

    def _inside(self) -> tuple[int, Guarded | None]:
        """The controller's port, and how the broker speaks to itself; other ones in each life."""
        return free_port(), Guarded(free_port(), secrets.token_urlsafe(32)) if self.passwords is not None else None

    def _say_where(self) -> None:
        write_atomically(
            self.data / "broker.json", {"bootstrap": self.bootstrap, "pid": self.pid, "cluster": self.cluster}
        )

    def _java(self, *arguments: str) -> list[str]:
        return [str(find_java()), *jvm_options(self.home, self.heap_mb), *arguments]

    async def _until_it_answers(self) -> None:
        logged, began = 0, time.monotonic()
        moved = began
        while (answered := await _cluster_at(self.itself)) is None:
            if not self.running:
                if "Address already in use" in self._logged():
                    raise port_taken(self.port)
                ended = _how_it_ended(self._guard.returncode) if self._guard else ""
                raise self._failed(f"the Kafka broker ended while it started, {ended}")
            if (now := self._logged_bytes()) != logged:
                logged, moved = now, time.monotonic()
            if time.monotonic() - moved > START_STALLED_S or time.monotonic() - began > START_MAX_S:
                raise self._failed(
                    f"the Kafka broker did not answer at {self.bootstrap} within {time.monotonic() - began:.0f} s, and has logged "
                    f"nothing for {time.monotonic() - moved:.0f} s"
                )
            await asyncio.sleep(POLL_S)
        if answered != self.cluster:  # somebody else's broker: no client of ours may be sent there
            raise port_taken(self.port)
        self._known = {}
        await self._let_in()

    async def _let_in(self) -> None:
        """Let the broker know of its users, if it doesn't yet."""
        if self.passwords is None or (passwords := self.passwords()) == self._known:
            return
        try:
            async with asyncio.timeout(START_STALLED_S):
                await let_in(self.itself, passwords)
                self._known = passwords
        except TROUBLE as error:
            raise self._failed(
                f"the Kafka broker answers, and took no users and rights ({type(error).__name__})"
            ) from error

    def _failed(self, what: str) -> BrokerFailed:
        lines = self._logged().splitlines()
        complaints = [line for line in lines if _COMPLAINT.search(line) and not _CALM.search(line)]
        told = f": {' | '.join(complaints[-2:])}" if complaints else ""
        return BrokerFailed(f"{what}{told}", hint=f"Its log is {self.home / 'kafka.log'}.")

    def _logged(self) -> str:
        """What this JVM has logged, stack traces left out."""
        told: list[str] = []
        for path in self._logs:
            with contextlib.suppress(OSError), path.open(errors="replace") as log:
                log.seek(max(self._logs_from.get(path, 0), path.stat().st_size - 50_000))
                told += [line for line in log.read().splitlines() if not line.startswith("\tat ")]
        return "\n".join(told)

    def _logged_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._logs if path.exists())

    def _kill_jvm(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._close_lifeline()

    def _close_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def _reap(self, patience_s: float, *, keep: bool = False) -> None:
        """Wait until guard and JVM are gone; whatever is left after `patience_s` is killed. `keep` holds directory and port."""
        self._close_lifeline()
        if self._guard is not None:
            try:
                await asyncio.to_thread(self._guard.wait, patience_s)
            except subprocess.TimeoutExpired:
                os.killpg(self._guard.pid, signal.SIGKILL)
                await asyncio.to_thread(self._guard.wait)
            if self._guard.stdout is not None:
                self._guard.stdout.close()
            self._guard, self.pid = None, 0
        if not keep:
            self._lock.release()
            self._reservation.release()


async def _cluster_at(bootstrap: str) -> str | None:
    """The id of the cluster that answers a metadata request at `bootstrap` and names a broker in it: it then serves."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    host, _, port = bootstrap.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        client = AIOKafkaAdminClient(**connection(bootstrap) | {"request_timeout_ms": 5_000})
    except OSError:
        return None
    try:
        await client.start()
        told = await client.describe_cluster()
        return str(told["cluster_id"]) if told["brokers"] else None
    except (KafkaError, OSError):
        return None
    finally:
        await client.close()


def _environment(classpath: str) -> dict[str, str]:
    """The JVM's."""
    return {
        **environment(),
        "CLASSPATH": classpath,
        "MALLOC_ARENA_MAX": "2",
    }  # not a store of free memory for each few threads


def _choose_port(asked: int | None) -> int:
    if asked is None:
        return DEFAULT_PORT if is_free(DEFAULT_PORT) and not is_reserved(DEFAULT_PORT) else free_port()
    if asked == 0:
        return free_port()
    refuse_if_taken(asked, "--kafka-port")
    return asked


def _how_it_ended(status: int | None) -> str:
    """An exit status in words; the guard gives 128 + signal, as shells do."""
    if status is None:
        return "without a status"
    try:
        return f"by {signal.Signals(status - 128).name}" if status > 128 else f"with exit status {status}"
    except ValueError:
        return f"with exit status {status}"
