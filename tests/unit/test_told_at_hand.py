"""What is said at the moment that it matters: another port than asked for, a question left by Ctrl-C, that Kafka is gone."""

import asyncio
import sys
from pathlib import Path

import pytest
import typer

from services.bus.produce.publisher import Publisher
from services.cli.shared import renewal
from services.cli.up import _say_ready
from services.errors import KafkaUnreachable
from services.settings import load
from services.system.whole import System


def test_up_says_that_a_port_was_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def shown(at: int, http: int, **given: object) -> list[str]:
        system = System(
            f"127.0.0.1:{at}", f"http://127.0.0.1:{http}", tmp_path / "c", {}, None, None, None,  # type: ignore[arg-type]
        )  # fmt: skip
        _say_ready(system, load(data=tmp_path, **given), None, as_json=False)
        return [line for line in capsys.readouterr().out.splitlines() if "is taken" in line]

    assert shown(9092, 8080) == []
    assert shown(30001, 33087) == [
        "Port 8080 is taken, so the HTTP door is at http://127.0.0.1:33087.",
        "Port 9092 is taken, so Kafka is at 127.0.0.1:30001.",
    ]
    assert shown(30001, 33087, kafka_port=0, http_port=0) == [], "any port was asked for"
    assert shown(30001, 8080, kafka="127.0.0.1:30001") == [], "it is no broker of ours"


def test_a_question_left_by_ctrl_c_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def left(*_: object, **__: object) -> None:
        raise typer.Abort

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typer, "prompt", left)
    with pytest.raises(KeyboardInterrupt):
        renewal.ask("All keys will be destroyed.", "panic")


@pytest.mark.parametrize("reached", [False, True])
async def test_how_to_get_to_kafka_is_not_told_to_who_has_been_there(reached: bool) -> None:
    """A broker that died under `up` comes back by itself; to start another would be wrong advice."""
    said: list[str] = []

    def away() -> str:
        raise KafkaUnreachable("no Kafka broker answers", hint="Start one.")

    publisher = Publisher(away, [], "test", told=said.append)
    publisher._reached = reached
    publisher.start()
    async with asyncio.timeout(10):
        while not said:
            await asyncio.sleep(0.01)
    await publisher.stop()
    assert said == ["no Kafka broker answers." if reached else "no Kafka broker answers. Start one."]
