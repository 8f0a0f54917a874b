"""What a process tells of itself: the value on `pumasi.services.v1`, compacted by process.

Who reads it takes the fields it knows: more will be told.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.values import Id, Model

SERVICE_TYPE = "pumasi.service.told"


class ServiceTold(Model):
    """A process, as it stood when it told."""

    process: Annotated[Id, Field(description="Which process")]
    version: Annotated[str, Field(description="Of Pumasi")]
    keys: Annotated[
        dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]],
        Field(description="Fingerprints of the keys in use, by the key's name"),
    ]
