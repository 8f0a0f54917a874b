"""What the page for receivers says is what the notifier does; its programs are run by `tests/broker/test_receivers.py`."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import get_args

from schemas import generate
from schemas.notices import CaseKind, DonorKind, Notice, NoticeOutcome, Tidings
from schemas.submissions import Language
from schemas.values import CLASSES, SCHEMES
from services.notifier.channels.webhook import Patience
from services.notifier.untold import AHEAD_MAX
from tests.unit.test_departures import all_over
from tests.unit.test_notifier_seasons import Season

PAGE = (Path(__file__).parents[2] / "services/notifier/README.md").read_text("utf-8")
EVERY = {"id", "kind", "to", "role", "fund", "currency", "digits", "urgency", "entry", "at"}
"""What every notice has, before it has words."""


def kinds() -> dict[tuple[str, str], list[str]]:
    """The table of kinds: to whom and what → the members it names."""
    rows = PAGE.partition("<!-- kinds")[2].partition("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("|")][2:]
    return {(to, kind.strip("`")): re.findall(r"`([a-z_?]+)`", says) for to, kind, _, says, _ in cells}


def farewells() -> Iterator[Tidings]:
    """What no season has: funds there forget nobody."""
    fund = all_over(10)
    for day in (8, 11):
        fund.tick(day)
        yield from fund.tidings


def test_the_table_has_every_kind_and_no_other() -> None:
    cases, donors = (list(get_args(kinds)) for kinds in (CaseKind, DonorKind))
    assert sorted(kinds()) == sorted([("case", kind) for kind in cases] + [("donor", kind) for kind in donors])


def test_each_kind_says_what_its_row_names() -> None:
    seen: defaultdict[tuple[str, str], list[set[str]]] = defaultdict(list)
    for one in (*chain.from_iterable(Season(seed).tidings for seed in range(120)), *farewells()):
        members = json.loads(one.model_dump_json(by_alias=True, exclude_defaults=True)).keys()
        assert members >= EVERY
        seen["donor" if one.role == "donor" else "case", one.kind].append(members - EVERY)
    for kind, named in kinds().items():
        always = {name for name in named if not name.endswith("?")}
        for members in seen[kind]:
            assert always <= members <= {name.rstrip("?") for name in named}, kind
        assert seen[kind], kind


def test_the_example_is_the_golden_one() -> None:
    (name, block), *others = re.findall(r"(?s)<!-- golden: (\S+) -->\n```json\n(.*?)```", PAGE)
    assert not others
    assert json.loads(block) == json.loads((generate.HERE / "golden" / generate.VERSION / name).read_text("utf-8"))


def test_how_long_a_receiver_is_waited_for_is_as_it_says() -> None:
    patience, said = Patience(), " ".join(PAGE.split())
    assert f"an answer is waited for {patience.timeout_s:g} s" in said
    assert f"none within {patience.timeout_s:g} s" in said
    assert (
        f"tries again, {patience.attempts} times in all, after {patience.pause_s:g} s and then twice as long each time; a "
        f"`Retry-After` is followed, up to {patience.pause_max_s:g} s; then `gave-up`; if nobody had an answer meanwhile, other "
        f"notices get one try each for {patience.down_s:g} s"
    ) in said
    assert (
        f"up to {AHEAD_MAX:,} later notices of the same partition, with at most {patience.at_once} requests open"
        in said
    )


def test_words_and_members_that_it_names_are_those_of_the_contract() -> None:
    said = " ".join(PAGE.split())
    assert f"(`{'`, `'.join(get_args(Language))}`)" in said
    assert f"(`{'`, `'.join(reversed(CLASSES))}`)" in said
    assert f"`{' '.join(SCHEMES)}`" in said
    assert all(f"`{outcome}`" in said for outcome in get_args(NoticeOutcome))
    of_the_topic = [name for name in Notice.model_fields if name in ("told_at", "channel", "outcome", "attempts")]
    assert f"with `{'`, `'.join(of_the_topic[:-1])}` and `{of_the_topic[-1]}`" in said
