"""The matcher processes: each runs the real `Matcher`, is started, and is stopped in one of the ways in which processes stop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from services.matcher.app import Matcher
from services.news import MatcherNews
from services.settings import Settings
from tests.simulation.broker import BOOTSTRAP
from tests.simulation.clock import Process, VirtualLoop
from tests.simulation.network import Network

_START_AGAIN_SECONDS = 0.5


class Service:
    """One place for a matcher: what a supervisor starts again whenever it ends.

    Attributes:
        process: the present one.
        matcher: what it runs; None before it has begun.
        starts: how many processes there have been.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.starts = 0
        self.process: Process | None = None
        self.matcher: Matcher | None = None


class Cluster:
    """All matchers.

    Args:
        loop: the clock.
        network: what they reach the broker by.
        settings: of every matcher.
        named: whether each has a name of its own.
        told: for stories.
        heard: called with all news of matchers.

    Attributes:
        recovering: how many recoveries are under way; what a compacted topic forgets after a day is not forgotten meanwhile.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        network: Network,
        settings: Settings,
        named: bool,
        told: Callable[[str], None],
        heard: Callable[[MatcherNews], None],
    ) -> None:
        self._loop, self._network, self._told, self._heard = loop, network, told, heard
        self._settings, self._named = settings, named
        self.services: list[Service] = []
        self.recovering: set[Process] = set()

    def add(self, name: str) -> None:
        """A place for one more matcher, and the first process in it."""
        self.services.append(Service(name))
        self._start(self.services[-1])

    def kill(self, process: Process) -> None:
        """`kill -9`."""
        if process.alive:
            self._told(f"{process.name}: killed")
            process.kill()
            self._network.forget(process)
            self.recovering.discard(process)

    def stop(self, process: Process) -> None:
        """SIGTERM: let it finish what is at hand, and leave."""
        service = self._service(process)
        if service is not None and service.matcher is not None:
            self._told(f"{process.name}: told to stop")
            self._loop.start(process, self._leave(service.matcher, process))

    def start_again(self, process: Process) -> None:
        """What a supervisor does once a process has ended; one that does not end is killed first."""
        service = self._service(process)
        if service is not None:
            self.kill(process)
            self._start(service)

    def is_member(self, process: Process, member: str) -> bool:
        """Whether a member of the consumer group is this process."""
        return member.startswith(f"{process.name}-")

    def _service(self, process: Process) -> Service | None:
        return next((service for service in self.services if service.process is process), None)

    def _start(self, service: Service) -> None:
        service.starts += 1
        process = service.process = Process(f"{service.name}{service.starts}")
        service.matcher = None
        self._told(f"{process.name}: started")
        self._loop.start(process, self._serve(service, process))

    async def _serve(self, service: Service, process: Process) -> None:
        settings = self._settings.model_copy(update={"instance": service.name}) if self._named else self._settings
        matcher = Matcher(BOOTSTRAP, settings, partial(self._tell, process))
        try:
            await matcher.start()
        except Exception as error:
            self._told(f"{process.name}: could not start: {error!r}")
            self._loop.later(_START_AGAIN_SECONDS, self.start_again, process)
            return
        service.matcher = matcher

    async def _leave(self, matcher: Matcher, process: Process) -> None:
        await matcher.stop()
        self._told(f"{process.name}: stopped")
        self.kill(process)

    def _tell(self, process: Process, news: MatcherNews) -> None:
        self._told(f"{process.name}: {news}")
        self._heard(news)
