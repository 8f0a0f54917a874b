"""Replaying a recorded log to engines, under a policy: from its first command on, or from an instant on.

The commands stay the same: donors who paid pay, people who died die, and nobody hands over sooner because money was there sooner.
No log can say what people would have done under another policy; a generated season (`season.driver`) can, by assumption. The
engine refuses a recorded command that would have been impossible under the policy, and the result lists it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.commands import Command
from services.matcher.engine.engine import Decision, Engine
from services.policies.commandlog import CommandLog, Said
from services.policies.policy import Policy

CONFIGURED = "pumasi.fund.configured"
CHANGE_ID = "policy-change"
CHANGE_OFFSET = -1
"""Offset of a change of policy that was not in the log."""


@dataclass(frozen=True)
class LogSource:
    """A recorded log; what people did stays what they did.

    Attributes:
        since: microseconds since 1970; a policy holds from the first command that isn't earlier. None: all along.
    """

    log: CommandLog
    since: int | None = None

    @property
    def span(self) -> tuple[int, int]:
        return self.log.span

    @property
    def size(self) -> int:
        return len(self.log.said)

    def play(self, policy: Policy) -> Iterator[tuple[Command, Decision]]:
        """Every command with the answer to it, in an order that keeps that of each partition and follows the time."""
        engines: dict[int, Engine] = {}
        offsets: dict[int, int] = {}
        configured: dict[str, tuple[int, Said]] = {}
        since, changed = self.since, self.since is None
        for reached, said in in_order(self.log):
            if since is not None and not changed and reached >= since:
                changed = True
                for partition, earlier in configured.values():
                    under = _under(policy, earlier, CHANGE_OFFSET)
                    command = Command(under.type, CHANGE_ID, since, under.data, under.offset, trace=under.trace)
                    yield command, engines[partition].execute(command)
            offset = offsets[said.partition] = offsets.get(said.partition, -1) + 1
            command = said.command(offset)
            if said.type == CONFIGURED and changed:
                command = _under(policy, said, offset)
            engine = engines.setdefault(said.partition, Engine())
            decision = engine.execute(command)
            accepted = any(fact["fact"] == "fund_configured" for fact in decision.facts)
            if accepted:  # a refused one configures nothing
                configured[command.data.fund] = (said.partition, said)
            yield command, decision


def _under(policy: Policy, said: Said, offset: int) -> Command:
    data = json.dumps(policy.over(json.loads(said.data)))
    return said._replace(data=data.encode()).command(offset)


def in_order(log: CommandLog) -> list[tuple[int, Said]]:
    """The commands with the largest time their partition has reached, by that time; each partition keeps its order."""
    reached: dict[int, int] = {}
    timed = []
    for said in log.said:
        time = reached[said.partition] = max(said.counts, reached.get(said.partition, said.counts))
        timed.append((time, said))
    return sorted(timed, key=lambda one: one[0])
