"""A story played against the engine in this process: no broker, no services, milliseconds.

It answers what the rule makes of a story, and who would hear of it; that the services around the rule come to the same is the
demo's part.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas.commands import TICK, Command, read_data
from schemas.notices import Tidings
from schemas.times import text_of
from services.matcher.engine.engine import Engine
from services.notifier.audience import Audience
from services.readmodel.books import FactDict
from services.stories.scenario import Row, Story, on_the_bus


@dataclass(frozen=True)
class Told:
    """What came of one row, or of a tick (`row` is None): the entry's value without its hash, and who hears what of it."""

    row: Row | None
    entry: FactDict
    tidings: tuple[Tidings, ...]

    @property
    def facts(self) -> list[FactDict]:
        facts: list[FactDict] = self.entry["facts"]
        return facts


def rehearse(story: Story, ticks: bool = False) -> Iterator[Told]:
    """Play a story, row by row; with `ticks`, one comes before each row, as if the clock never stood still.

    Raises ConservationBreach if money would appear or vanish.
    """
    engine, audience, seq = Engine(), Audience(0), 0
    for row in story.rows:
        said: list[tuple[Row | None, str, str, dict[str, Any]]] = [(row, row.type, row.id, on_the_bus(row.data))]
        for of, kind, name, data in [(None, TICK, "tick", {}), *said] if ticks else said:
            fund, at, facts = engine.execute(
                Command(kind, name, row.at, read_data(kind, json.dumps(data).encode()), seq)
            )
            cause = {"id": name, "type": kind, "offset": seq}
            seq += 1
            entry = {"seq": seq, "fund": fund, "at": text_of(at), "cause": cause, "facts": facts}
            yield Told(of, entry, tuple(audience.hear(entry)))


def heard_after(story: Story) -> list[Counter[str]]:
    """After each row, how many notices have gone out for each fund."""
    heard, after = Counter[str](), []
    for told in rehearse(story):
        heard.update(tidings.fund for tidings in told.tidings)
        after.append(heard.copy())
    return after
