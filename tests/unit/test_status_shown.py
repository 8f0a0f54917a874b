"""How `status` shows money, whole at any width; who runs; what waits, and what needs somebody's hand."""

import io
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from shlex import split
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from schemas.services import Amiss, ServiceTold, WentWrong
from schemas.times import datetime_of
from services.bus.client.disks import Disk
from services.bus.consume.scan import Extent
from services.bus.deadletters.box import Box, DeadLetter, read
from services.bus.deadletters.letter import Letter, dead_letter
from services.bus.heartbeat import Heard
from services.bus.topics import DEADLETTERS
from services.cli import build
from services.cli.deadletters import screen
from services.cli.status import _as_dict, _print, _print_funds
from services.console.readmodel.running import _WORDS, SERVICES, Finding, findings, processes, span
from services.console.readmodel.survey import Late, Oldest, Partition, Survey, Waits, _of_late, _waits
from services.errors import UnknownId
from services.terminal import Terminal
from tests.ledgers import Told
from tests.unit.test_letters import Rec
from tests.unit.test_notifier_webhook import TOLD as NOTICE

FUNDS = [
    {"fund": name, "currency": currency, "open": 1, "funded": 2, "closed": None, "asked": 10**14, "placed": 1_234_567,
     "settled": None, "delivered": 4, "waiting": 10**15, "released": 0}
    for name, currency in (("jilin-room", "CNY"), ("a" * 64, "KRW"))
]  # fmt: skip
AMOUNTS = {"1,000,000,000,000.00", "12,345.67", "0.04", "10,000,000,000,000.00", "100,000,000,000,000", "1,234,567"}
NOW_MS = 1_700_000_000_000
NOBODY = {"intake": 0, "matcher": 0, "notifier": 0}
NOTHING = {"intake": "", "matcher": "", "notifier": ""}


def page(width: int) -> str:
    text = io.StringIO()
    _print_funds(Console(file=text, width=width, force_terminal=True, color_system=None), FUNDS)
    return text.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 119, 150, 300])
def test_money_is_never_cut(width: int) -> None:
    shown = page(width)
    assert set(shown.split()) >= AMOUNTS
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width


def test_where_there_is_room_a_fund_is_a_line_else_a_block() -> None:
    assert len(page(300).splitlines()) == 1 + len(FUNDS)
    assert "  asked       CNY 1,000,000,000,000.00" in page(80)


SOUND = Survey("k1:9092", [])


def test_how_much_room_is_left_is_said_where_it_is_known_and_else_who_knows(capsys: pytest.CaptureFixture[str]) -> None:
    disk = Disk(100_000_000_000, 34_000_000_000)
    _print(SOUND, public=False, disk=disk)
    assert "Its disk has 34 of 100 GB left." in capsys.readouterr().out
    assert _as_dict(SOUND, public=False, disk=disk)["disk"] == {"total_bytes": disk.total, "usable_bytes": disk.usable}
    _print(SOUND, public=False)
    assert "the ender measures: pumasi_kafka_disk_usable_bytes." in capsys.readouterr().out
    assert _as_dict(SOUND, public=False)["disk"] is None


def test_of_the_latest_dead_letters_the_code_the_sender_and_the_field_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    why = "/data/amount: must be at least 1 (too_small)"
    record = Rec(None, b"{}", [("pumasi-sender", b"clinic")], "pumasi.submissions.v1", 2, 41)
    letter = read(Rec(*dead_letter(record, "invalid_submission", why)))
    assert isinstance(letter, DeadLetter)
    found = Survey("k1:9092", [], late=Late({2: 1}, 1, latest=[letter]))
    _print(found, public=False)
    assert f"  invalid_submission, from clinic: {why}" in capsys.readouterr().out.splitlines()
    [told] = _as_dict(found, public=False)["dead_letters"]["latest"]
    assert (told["code"], told["sender"], told["message"]) == ("invalid_submission", "clinic", why)


@pytest.mark.parametrize(
    ("name", "told"),
    [(b"clinic", "says it is clinic"), (b"Kim_Min-ji", "from nobody known"), (None, "from nobody known")],
)
def test_whom_an_unsigned_record_claims_to_be_from_is_told_as_a_claim(
    name: bytes | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = Rec(None, b"{}", [("pumasi-sender", name)] if name else [], "pumasi.submissions.v1", 2, 41)
    kept = dead_letter(record, "unsigned", "no signature")
    assert b"Kim" not in b"".join(value or b"" for _, value in kept.headers)
    letter = read(Rec(*kept))
    assert isinstance(letter, DeadLetter)
    _print(Survey("k1:9092", [], late=Late({2: 1}, 1, latest=[letter])), public=False)
    assert f"  unsigned, {told}: no signature" in capsys.readouterr().out.splitlines()
    screen.print_list([letter], Box({letter.id: letter}), 1)
    screen.print_letter(letter, Letter(*kept), Box({letter.id: letter}))
    shown = capsys.readouterr().out
    assert shown.count("says it is clinic") == (2 if name == b"clinic" else 0)


def test_no_letter_tells_as_a_sender_what_can_be_none() -> None:
    """Whoever wrote the letter."""
    kept = dead_letter(Rec(None, b"{}", [], "pumasi.submissions.v1", 2, 41), "unsigned", "why")
    letter = read(Rec(kept.key, kept.value, [*kept.headers, ("pumasi-sender", b"Kim_Min-ji")]))
    assert isinstance(letter, DeadLetter)
    assert letter.sender is None


@pytest.mark.parametrize(
    ("late", "told"),
    [
        (Late(), None),
        (Late({2: 1}, 1), "1 record could not be read and lies in pumasi.deadletters.v1 (partition 2), 1 in the last"),
        (
            Late({0: 6, 3: 8}),
            "14 records could not be read and lie in pumasi.deadletters.v1 (partition 0, 3), none of late",
        ),
    ],
)
def test_dead_letters_are_counted_and_it_is_said_where_they_lie(
    late: Late, told: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Survey("k1:9092", [], late=late)
    _print(found, public=False)
    shown = capsys.readouterr().out
    assert "✓" in shown
    assert told in shown if told else "Dead letters" not in shown
    letters = {"total": sum(late.letters.values()), "of_late": late.letters_of_late, "partitions": late.letters}
    assert _as_dict(found, public=False)["dead_letters"] == letters | {"latest": []}
    assert "dead_letters" not in _as_dict(found, public=True)


class Notices:
    """Reads what notices are told; from others nothing."""

    def __init__(self, *values: bytes) -> None:
        self._values = values

    async def since(self, _topic: str, _ms: int) -> dict[int, Extent]:
        return {0: Extent(0, len(self._values))}

    async def records(self, *_: object) -> AsyncIterator[SimpleNamespace]:
        for number, value in reversed(list(enumerate(self._values))):  # partitions are not in the order of time
            yield SimpleNamespace(value=value, timestamp=NOW_MS + number)


async def test_of_the_latest_notices_given_up_the_kind_the_person_and_the_day_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    day = datetime_of(NOW_MS * 1000)
    told = [
        NOTICE.model_copy(update={"to": f"d-{number}", "told_at": day, "outcome": outcome})
        for number, outcome in enumerate(["gave-up", "failed", "gave-up", "gave-up", "delivered", "suppressed"])
    ]
    values = [*(one.wire() for one in told), b'{"outcome":"failed","of":"another version"}']
    found: list[Finding] = []
    late = await _of_late(Notices(*values), {DEADLETTERS}, NOW_MS, found)
    survey = replace(SOUND, late=late, findings=found)
    assert (late.given_up, [one.to for one in late.latest_given_up]) == (5, ["d-1", "d-2", "d-3"])
    _print(survey, public=False)
    lines = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("✗ 5 notices of the last 24 hours"))
    assert lines[place + 1] == "  settled to d-1, 2023-11-14: failed"
    assert lines[place + 3] == "  settled to d-3, 2023-11-14: gave-up"
    [first, *_] = _as_dict(survey, public=False)["latest_notices_given_up"]
    assert (first["kind"], first["to"], first["outcome"]) == ("settled", "d-1", "failed")


def test_a_command_stays_on_one_line_and_all_else_keeps_to_the_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Terminal, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    long = "pumasi explain pledge " + "p" * 64 + " --fund jilin"
    since = [Oldest("pledge", "p-1", "2023-11-14T00:00:00Z", long)]
    told = Finding(
        "x",
        "a partition " * 9,
        "If all that is there is known and lost for good, then type `pumasi keys make --lost` x",
    )
    _print(replace(SOUND, waits=[Waits("rate", "jilin", 1, "a pledge waits", since)], findings=[told]), public=False)
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()]
    assert any(long in line for line in lines)
    assert "`pumasi keys make --lost` x" in lines
    assert [line for line in lines if len(line) > 80] == [long], lines


# ---- who runs


def heard(service: str, name: str, seconds_ago: float = 1.0, **more: object) -> Heard:
    at = datetime_of((NOW_MS - 3_600_000) * 1000)
    told = ServiceTold(process=f"{service}-{name}", version="1.0", keys={}, service=service, since=at)
    return Heard(told.model_copy(update=more), int(NOW_MS - seconds_ago * 1000))


ALL = [heard("intake", "a"), heard("matcher", "a"), heard("notifier", "a")]


def codes(*told: Heard, members: dict[str, int] = NOBODY, waiting: dict[str, str] = NOTHING) -> list[str]:
    return [one.code for one in findings(processes(told, NOW_MS), told, members, waiting)]


def test_where_all_run_or_none_nothing_is_found() -> None:
    assert codes(*ALL) == []
    assert codes() == []
    assert codes(members={"intake": 1, "matcher": 2, "notifier": 1}) == [], "of a version that told nothing of itself"


def test_a_service_that_is_missing_beside_others_or_where_something_waits_for_it_is_found() -> None:
    assert codes(*ALL[:2]) == ["no_notifier"]
    assert codes(waiting={**NOTHING, "notifier": "1 entry is untold"}) == ["no_notifier"]


def test_an_ender_is_missed_only_where_one_has_to_run() -> None:
    needed = NOBODY | {"ender": 0}
    assert codes(*ALL, members=needed) == ["no_ender"]
    assert codes(*ALL, heard("ender", "a"), members=needed) == []
    assert codes(*ALL, heard("ender", "frozen", 40), members=needed) == ["no_ender", "service_silent"]
    assert codes(*ALL, heard("ender", "frozen", 40)) == ["service_silent"]
    assert codes(members=needed) == [], "where nothing runs nobody needs one"


def test_a_process_that_is_silent_is_found_and_after_a_day_forgotten() -> None:
    assert codes(*ALL, heard("matcher", "dead", 40)) == ["service_silent"]
    assert codes(*ALL[:2], heard("notifier", "dead", 40)) == ["no_notifier", "service_silent"]
    assert codes(*ALL, heard("matcher", "dead", 90_000)) == []


def test_of_a_silent_process_it_is_said_how_to_end_it_and_not_to_start_another_beside_what_supervises_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = [*ALL[::2], heard("matcher", "frozen", 40, pid=4711)]
    missing, silent = findings(processes(told, NOW_MS), told, NOBODY, NOTHING)
    assert (missing.code, silent.code) == ("no_matcher", "service_silent")
    for one in (missing, silent):
        assert "`kill -9 4711`. What supervises it" in str(one.hint)
        assert "Start one" not in str(one.hint)
    _print(replace(SOUND, services=processes(told, NOW_MS)), public=False)
    assert "silent for 40 s (pid 4711)" in capsys.readouterr().out
    [within] = findings(processes([*ALL, heard("matcher", "b", 40, pid=1)], NOW_MS), told, NOBODY, NOTHING)
    assert "kill -9" not in str(within.hint), "a number that means something else outside its container"
    [none] = findings(processes(ALL[::2], NOW_MS), told, NOBODY, NOTHING)
    assert "Start one" in str(none.hint)


def test_what_a_process_says_is_amiss_is_found_once() -> None:
    off = heard("intake", "b", amiss=(Amiss(code="clock_off"),))
    [found] = findings(processes([*ALL, off], NOW_MS), [], NOBODY, NOTHING)
    assert (found.code, "set the clock" in found.message) == ("clock_off", True)
    late = heard("notifier", "b", amiss=(Amiss(code="not_told", partition=2),))
    [found] = findings(processes([*ALL, late], NOW_MS), [], NOBODY, NOTHING)
    assert (found.code, "b, partition 2: notices have waited" in found.message) == ("not_told", True)
    passes = heard("intake", "b", amiss=(Amiss(code="warming_up"),))
    remarked = heard("matcher", "b", amiss=(Amiss(code="ledger_tampered", partition=1),))
    over = heard("matcher", "c", went_wrong=WentWrong(code="fenced", at=datetime_of(NOW_MS * 1000)))
    assert codes(*ALL, passes, remarked, over) == []


def test_keys_that_differ_are_found_between_machines_and_from_those_in_use() -> None:
    one, other = {"id": "1" * 16}, {"id": "2" * 16}
    assert codes(*ALL, heard("intake", "b", keys=one), heard("intake", "c", keys=one)) == []
    assert codes(*ALL, heard("intake", "b", keys=one), heard("intake", "c", keys=other)) == ["keys_differ"]
    in_use = Heard(ServiceTold(process="keys", version="1.0", keys=one), NOW_MS)
    assert codes(*ALL, in_use, heard("intake", "c", keys=other)) == ["keys_differ"]
    renewed = Heard(ServiceTold(process="keys", version="1.0", keys={**one, "id.former": "2" * 16}), NOW_MS)
    assert codes(*ALL, renewed, heard("intake", "b", keys=one), heard("intake", "c", keys=other)) == [], (
        "two are in use"
    )
    assert codes(*ALL, in_use, heard("intake", "gone", 40, keys=other)) == ["service_silent"], "who is dead uses none"


# ---- what waits


def test_what_waits_for_somebody_outside_is_told_with_its_reason_and_is_no_finding() -> None:
    told = Told("jilin")
    told.case("c-1", 100_000)
    told("fund.configured", currency="CNY", vouchers_required=1)
    told("case.submitted", case="c-2", beneficiary="b-2", need="test", route="home", goal=500, priority="routine")
    told.pledge("p-1", 130_000)
    told("pledge.made", pledge="p-2", donor="d-2", amount=100, currency="EUR")
    waits = list(_waits(told.read().funds["jilin"]))
    assert [[(one.kind, one.id, one.explain) for one in each.oldest] for each in waits] == [
        [("case", "c-2", "pumasi explain case c-2 --fund jilin")],
        [("pledge", "p-2", "pumasi explain pledge p-2 --fund jilin")],
        [("pledge", "p-1", "pumasi explain pledge p-1 --fund jilin")],
    ]
    assert [(one.code, one.message) for one in waits] == [
        ("voucher", "1 case waits for vouchers"),
        ("rate", "1 pledge waits for a rate of EUR"),
        ("case", "CNY 300.00 of 1 pledge waits for a case: no open case lacks money"),
    ]


def test_an_id_that_looks_like_an_option_is_asked_for_as_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told("--yes")
    told.case("c-1", 100)
    told.pledge("--kafka", 300)
    [waits] = _waits(told.read().funds["--yes"])
    asked: list[Any] = []

    async def ask(*arguments: Any) -> Any:
        asked.extend(arguments[1:4])
        raise UnknownId("enough")

    monkeypatch.setattr("services.console.explain.explain.explain", ask)
    program, *command = split(waits.oldest[0].explain)
    CliRunner().invoke(build(), command, env={"PUMASI_KAFKA": "k1:9092"})
    assert (program, asked) == ("pumasi", ["pledge", "--kafka", "--yes"])


def test_the_oldest_of_what_waits_are_named_since_when_with_the_command_that_tells_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = Told("jilin")
    for number in (1, 2, 3, 4, 5):
        told.pledge(f"p-{number}", 100)
    told.case("c-1", 150)  # takes the first, and half of the second
    told("pledge.withdrawn", pledge="p-3")
    told("case.closed", case="c-1", outcome="completed")
    [waits] = _waits(told.read().funds["jilin"])
    assert [one.id for one in waits.oldest] == ["p-2", "p-4", "p-5"], "p-1 waits anew, since the case was closed"
    assert waits.number == 4
    _print(Survey("k", [], waits=[waits]), public=False)
    shown = capsys.readouterr().out.splitlines()
    assert any(line.startswith("  pledge p-2, since 2") and "explain pledge p-2 --fund jilin" in line for line in shown)
    assert "  and 1 more" in shown


# ---- all of it


def test_the_page_fits_80_columns_and_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("services.terminal._ROOM", 80)
    rows = [
        Partition(number, 1_234_567, 2_469_133, 2, 1_234_565, "2026-11-24T10:53:00Z", None, None, 7)
        for number in (0, 1)
    ]
    who = processes([*ALL[:2], heard("matcher", "dead", 400)], NOW_MS)
    found = Survey(
        "127.0.0.1:9092", [], 1, who, rows, findings=[Finding("no_notifier", "no notifier runs", "Start one.")]
    )
    _print(found, public=False)
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) <= 80
    assert [line.split()[:2] for line in shown if line.startswith(("intake", "matcher", "notifier"))] == [
        ["intake", "intake-a"], ["matcher", "matcher-a"], ["matcher", "matcher-dead"], ["notifier", "none"],
    ]  # fmt: skip
    assert any("silent for 6 min" in line for line in shown)
    assert "untaken" not in "".join(shown), "a topic that nobody sends on is not spoken of"
    _print(Survey("k", [], partitions=[replace(rows[0], untaken=3)]), public=False)
    assert ["partition", "untaken", "commands"] in [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert shown[-2:] == ["✗ no notifier runs. (no_notifier)", "  Start one."]
    assert not any("✓" in line for line in shown)


@pytest.mark.parametrize(("seconds", "told"), [(59.9, "59 s"), (60, "1 min"), (7200, "2 h"), (90_000, "1 day")])
def test_a_span_is_told_in_its_largest_unit(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_operators_read_of_every_code() -> None:
    root = Path(__file__).parents[2]
    sources = [
        (root / "services" / "console" / "readmodel" / f"{name}.py").read_text() for name in ("survey", "running")
    ]
    codes = {code for source in sources for code in re.findall(r'(?:Finding\(\s*|code = |else )"([a-z_]+)"', source)}
    codes |= set(_WORDS) | {f"no_{service}" for service in SERVICES} | {"intake_behind", "notifier_behind"}
    assert {"keys_differ", "partition_stopped", "partition_stands_still", "ledger_tampered"} <= codes
    table = (root / "deploy" / "OPERATING.md").read_text()
    assert not [code for code in sorted(codes) if f"`{code}`" not in table]
