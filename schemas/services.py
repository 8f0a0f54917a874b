"""What a process says about itself: the value on `pumasi.services.v1`, compacted by process.

One shape says two things. A running service says how it is, its *heartbeat*, and takes it back when it ends cleanly. And whoever
has keys first, or renews them, announces which are in use: that record names no `service`, and stays.

Whatever is amiss is a code and a place: nothing here is free text. Readers take the fields that they know: there will be more.
"""

from typing import Annotated, Literal

from pydantic import Field

from schemas.values import Id, Instant, Model

SERVICE_TYPE = "pumasi.service.told"

ServiceName = Literal["intake", "matcher", "notifier", "ender"]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="Stable, for programs")]
Partition = Annotated[int, Field(ge=0, description="The partition concerned, if it is one")]


class Amiss(Model):
    """Why a process does not get on, everywhere or in one partition."""

    code: Code
    partition: Partition | None = None


class WentWrong(Amiss):
    """The last thing that went wrong, over by now or not."""

    at: Annotated[Instant, Field(description="When, by the clock of the process")]


class ServiceTold(Model):
    """A process, as it stood when it told."""

    process: Annotated[Id, Field(description="Which process")]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]{1,40}$", description="Of Pumasi")]
    keys: Annotated[
        dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]],
        Field(
            description="Fingerprints by the key's name: of those that the process uses; without `service`, of those in use"
        ),
    ]
    service: Annotated[
        ServiceName | None,
        Field(description="Which service runs as this process; none: it only says which keys are in use"),
    ] = None
    pid: Annotated[int | None, Field(ge=1, description="Its process id, where it runs")] = None
    since: Annotated[Instant | None, Field(description="When it started, by its own clock")] = None
    positions: Annotated[
        dict[Annotated[str, Field(pattern=r"^[0-9]{1,6}$")], Annotated[int, Field(ge=0)]],
        Field(
            description="By partition that it has, the offset that it goes on from: of submissions an intake, of commands a matcher, "
            "of the ledger a notifier"
        ),
    ] = Field(default={})
    amiss: Annotated[tuple[Amiss, ...], Field(description="Why it does not get on; nothing if it does")] = ()
    went_wrong: Annotated[WentWrong | None, Field(description="What went wrong last; none if nothing has")] = None

    def wire(self) -> bytes:
        """The value as it goes on the topic: JSON without the members that say nothing."""
        return self.model_dump_json(exclude_defaults=True).encode()
