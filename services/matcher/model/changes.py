"""Changes: which entities differ from the last checkpoint, each once, in the order in which they first changed.

An entity knows itself whether it is listed here. That is cheaper than looking it up, and most changes concern cases that are
listed already. The order matters: the same commands give the same checkpoint, record by record.
"""

from __future__ import annotations

from services.matcher.model.entities import Case, Pledge


class Changes:
    """The entities of a fund that have changed since its last checkpoint."""

    __slots__ = ("_entities",)

    def __init__(self) -> None:
        self._entities: list[Case | Pledge] = []

    def __len__(self) -> int:
        return len(self._entities)

    def add(self, entity: Case | Pledge) -> None:
        """List an entity, unless it is listed."""
        if not entity.listed:
            entity.listed = True
            self._entities.append(entity)

    def pop(self) -> Case | Pledge:
        """The last one, which is not listed any more; there must be one."""
        entity = self._entities.pop()
        entity.listed = False
        return entity
