"""Reading a log from Kafka: the commands topic as of now, for some funds or for all. Nothing is written, no group joined."""

from collections.abc import Collection

from schemas.commands import TICK, Unreadable
from services.bus.consume.scan import Progress, TopicReader
from services.bus.envelope import read_command
from services.bus.partition import partition_of
from services.bus.topics import COMMANDS
from services.errors import UnknownId
from services.policies.commandlog import CommandLog, Said, said_of


async def recorded(bootstrap: str, funds: Collection[str], progress: Progress | None = None) -> CommandLog:
    """The commands of `funds` (of all funds if it is empty) with the ticks of their partitions.

    Raises:
        KafkaUnreachable: if no broker answers.
        TopicsMismatch: if there is no commands topic.
        UnknownId: if a fund was never configured.
    """
    said: list[Said] = []
    unreadable = 0
    async with TopicReader(bootstrap) as reader:
        partitions = len(await reader.extents(COMMANDS))
        wanted = {partition_of(fund, partitions) for fund in funds} if funds else None
        async for record in reader.records(COMMANDS, wanted, progress):
            command = read_command(record, partitions)
            if isinstance(command, Unreadable):
                unreadable += 1
            elif not funds or command.type == TICK or command.data.fund in funds:
                said.append(said_of(command, record.partition))
    log = CommandLog(tuple(said), unreadable, f"{COMMANDS} at {bootstrap}", COMMANDS)
    known = log.funds()
    if missing := sorted(set(funds) - set(known)):
        raise UnknownId(f"no fund {', '.join(missing)} was ever configured on {log.where}")
    if not known:
        raise UnknownId(f"no fund was ever configured on {log.where}")
    return log
