"""`pumasi report access` on a real broker: whoever holds the reporter's key joins boxes to the ledger, and nobody else."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from nacl.public import PrivateKey

from schemas.times import text_of
from schemas.values import Access
from services import keys
from services.bus.embedded import EmbeddedKafka
from services.intake.contacts import Sealer
from services.settings import Settings, load
from tests.ledgers import Told, publish

DAY = 86_400 * 10**6


async def report(kafka: EmbeddedKafka, kept: Path, *options: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "report", "access", *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PUMASI_KAFKA": kafka.bootstrap, "PUMASI_KEYS": str(kept), "COLUMNS": "120"},
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def reporter(path: Path) -> tuple[Settings, Sealer]:
    """An installation's keys, and what seals for its reporter."""
    settings = load(data=path / "data", keys=path / "keys")
    keys.make(settings)
    return settings, Sealer(
        b"k" * 32, PrivateKey.generate().public_key, reporter_key=keys.public_key(settings, "reporter")
    )


def season(fund: str, sealer: Sealer, **people: tuple[int, str]) -> Told:
    """Seven people in each place, or as many as are named, each asking for 10,000; the first six are paid for after two days."""
    told = Told(fund)
    for province, (number, status) in people.items():
        access = Access.model_validate({"province": province.replace("_", "-"), "status": status})
        for person in range(number):
            told.case(f"{province}-{person}", 10_000, access_box=sealer.seal_access(access))
    told("clock.ticked", at=text_of(told.now + 2 * DAY))
    told.pledge("p-1", 60_000)
    return told


async def test_it_joins_boxes_to_the_ledger_for_who_holds_the_key(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    settings, sealer = reporter(tmp_path)
    jilin = season("jilin", sealer, CN_JL=(7, "unregistered"), CN_BJ=(3, "registered"), CN_TJ=(2, "unknown"))
    jilin.case("CN_JL-0", 10_000, access_box=sealer.seal_access(Access(province="CN-TJ", status="unknown")))
    assert jilin.entries[-1][2].count(b'"duplicate"'), "the box that counts is the first one's"
    jilin.case("silent", 500)
    other = season("yanbian", sealer, CN_LN=(5, "unknown"))
    await publish(topics_reset.bootstrap, jilin, other)

    code, out, err = await report(topics_reset, keys.directory(settings), "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["suppressed_below"], told["unopened"]) == (5, 0)
    group = {
        "province": "CN-JL",
        "status": "unregistered",
        "people": 7,
        "asked": 70_000,
        "own": 0,
        "funded": 60_000,
        "days": 2,
    }
    rest = {"people": 6, "asked": 50_500, "own": 0, "funded": 0, "days": None}
    assert told["funds"][0] == {"fund": "jilin", "currency": "CNY", "groups": [group], "hidden": 2, "rest": rest}
    assert [one["province"] for one in told["funds"][1]["groups"]] == ["CN-LN"]

    code, out, _ = await report(topics_reset, keys.directory(settings), "--fund", "yanbian", "--json")
    assert json.loads(out)["funds"] == [told["funds"][1]], "the same of each fund, whichever else is asked for"

    code, out, _ = await report(topics_reset, keys.directory(settings))
    assert code == 0
    assert "CN-JL" in out and "all others" in out and "CN-BJ" not in out
    code, out, err = await report(topics_reset, keys.directory(settings), "--fund", "nowhere", "--json")
    assert (code, json.loads(err)["code"]) == (1, "unknown_id")


async def test_without_the_key_or_with_another_it_says_which(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    settings, sealer = reporter(tmp_path / "ours")
    theirs, theirs_sealer = reporter(tmp_path / "theirs")
    told = season("jilin", sealer, CN_JL=(7, "unregistered"))
    await publish(topics_reset.bootstrap, told)

    def refused(found: tuple[int, str, str]) -> dict[str, Any]:
        code, out, err = found
        assert (code, out) == (2, "")
        error: dict[str, Any] = json.loads(err)
        return error

    other = refused(await report(topics_reset, keys.directory(theirs), "--json"))
    assert other["code"] == "key_other"
    assert keys.fingerprints(theirs, "reporter")["reporter"] in other["message"]
    (keys.directory(settings) / "reporter.key").unlink()
    missing = refused(await report(topics_reset, keys.directory(settings), "--json"))
    assert (missing["code"], "reporter.key" in missing["message"]) == ("key_missing", True)

    behind = len(told.commands)
    told.case("later", 10_000, access_box=theirs_sealer.seal_access(Access(province="CN-JL", status="unregistered")))
    told.commands[:], entries = told.commands[behind:], told.entries[-1:]
    told.entries[:] = entries
    await publish(topics_reset.bootstrap, told)
    code, out, err = await report(topics_reset, keys.directory(theirs), "--json")
    assert (code, json.loads(out)["unopened"]) == (1, 7), err
