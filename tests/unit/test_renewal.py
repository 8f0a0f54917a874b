"""`pumasi keys rotate` for what is this installation's own: the webhook's secrets overlap, passwords count from the next start on."""

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError
from typer.testing import CliRunner

from services import keys
from services.bus import access, fingerprints
from services.bus.embedded.directory import Running
from services.called import VARIABLE
from services.cli import build
from services.cli.keys import _LOSS, _losses, _make_beside, _next, _ours
from services.cli.shared import renewal
from services.errors import KafkaRefused, KeyMissing, UsageError
from services.notifier.channels.webhook import Webhook
from services.settings import load

BODY = '{"type":"pumasi.notice.told"}'


@pytest.fixture(autouse=True)
def _kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMASI_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PUMASI_KEYS", str(tmp_path / "keys"))


def test_passwords_made_to_ask_kafka_with_go_if_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def known(_bootstrap: str) -> dict[str, str]:
        assert (tmp_path / "keys" / "pumasi-keys.password").exists()
        raise KafkaRefused("Kafka doesn't take our user and password")

    monkeypatch.setattr(fingerprints, "known", known)
    monkeypatch.setenv("PUMASI_OPEN", "0")
    monkeypatch.setenv("PUMASI_KAFKA", "127.0.0.1:9")
    with pytest.raises(KafkaRefused):
        run("make")
    assert not [*(tmp_path / "keys").iterdir()]


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(build(), ["keys", *arguments, "--json"])
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout)


def knows(secret: str, hook: Webhook) -> bool:
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "n",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": hook._signed("n", now, BODY),
    }
    try:
        Verifier(secret).verify(BODY, headers)
    except WebhookVerificationError:
        return False
    return True


def test_two_secrets_of_the_webhook_overlap_until_the_former_is_revoked_while_the_notifier_runs() -> None:
    first = run("rotate", "webhook")["secret"]
    hook = Webhook("https://example.org/", lambda: keys.webhook_secrets(load()))
    assert knows(first, hook)
    second = run("rotate", "webhook")["secret"]
    assert knows(first, hook) and knows(second, hook)
    assert run("revoke", "webhook", "--old") == {"revoked": 1}
    assert not knows(first, hook)
    assert knows(second, hook)
    assert (keys.directory(load()) / "webhook.secret").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="always signed"):
        run("revoke", "webhook")
    (keys.directory(load()) / "webhook.secret").write_text("whsec_!")
    assert knows(second, hook), "what can't be read ends no signing"


def test_two_secrets_may_come_from_the_setting_and_are_renewed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = ("whsec_" + base64.b64encode(bytes([number] * 32)).decode() for number in (1, 2))
    monkeypatch.setenv("PUMASI_WEBHOOK_SECRET", f"{one} {other}")
    hook = Webhook("https://example.org/", lambda: keys.webhook_secrets(load()))
    assert knows(one, hook) and knows(other, hook)
    with pytest.raises(UsageError):
        run("rotate", "webhook")


def test_passwords_are_new_for_the_next_start_and_never_beside_a_broker_that_knows_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys.make_passwords(load(), access.USERS)
    before = keys.passwords(load(), access.USERS)
    assert len(run("rotate", "passwords")["made"]) == len(access.USERS)
    after = keys.passwords(load(), access.USERS)
    assert not set(before.values()) & set(after.values())
    assert len(set(after.values())) == len(access.USERS)
    running = Running("127.0.0.1:9092", 1)
    monkeypatch.setattr("services.bus.embedded.directory.running_broker", lambda _data: running)
    with pytest.raises(UsageError, match="a broker runs"):
        run("rotate", "passwords")
    monkeypatch.setenv("PUMASI_KAFKA", "k1:9092")
    with pytest.raises(UsageError, match="a cluster's users"):
        run("rotate", "passwords")
    assert keys.passwords(load(), access.USERS) == after


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("UPPER", "--all-funds"), "1 to 32 of a-z, 0-9 and -"),
        (("-x-", "--all-funds"), "1 to 32 of a-z, 0-9 and -"),
        (("x", "--fund", "no good"), "1 to 64 of A-Z"),
        (("x", "--fund", "13800138000"), "no number by which somebody could be called"),
    ],
)
def test_a_name_that_none_can_have_is_refused_with_how_it_has_to_look(
    arguments: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.make(load())
    monkeypatch.setattr("services.cli.keys._where", lambda *_: (load(), ""))
    monkeypatch.setattr("services.cli.keys._known", lambda _bootstrap: {})
    result = CliRunner().invoke(build(), ["keys", "add", "--scope", "cases", *arguments[1:], "--", arguments[0]])
    assert result.exit_code == 2
    assert says in " ".join(result.output.replace("│", " ").split())


def test_the_next_step_is_named_as_it_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "./run")
    result = CliRunner().invoke(build(), ["keys", "rotate", "webhook", "--data", "elsewhere"])
    assert "./run keys revoke --data elsewhere webhook --old" in result.output


async def test_a_next_key_that_is_there_is_not_said_to_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        pass

    keys.make(load())
    for name in ("hold", "refuse_if_behind", "move"):
        monkeypatch.setattr(fingerprints, name, nothing)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    name, made = await _next(load(), "k1:9092")
    assert made == [f"{name}.key"]
    assert await _next(load(), "k1:9092") == (name, [])
    with keys.renewing(load()), pytest.raises(UsageError, match="right now"):
        await _next(load(), "k1:9092")


@pytest.mark.parametrize("name", ["notifier", "intake", "reporter", "webhook", "passwords"])
def test_no_sender_is_called_as_what_is_our_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.cli.keys._where", lambda *_: (load(), ""))
    monkeypatch.setattr("services.cli.keys._known", lambda _bootstrap: {})
    with pytest.raises(UsageError, match="no sender's name"):
        run("add", name, "--scope", "cases", "--all-funds")


@pytest.mark.parametrize("lost", ["pseudonym", "id", "intake", "notifier"])
async def test_of_each_lost_key_it_is_said_what_that_means_before_another_takes_its_place(
    lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load()
    keys.make(settings)
    former, asked = keys.fingerprints(settings), list[str]()

    async def known(_bootstrap: str) -> dict[str, str]:
        return former

    async def tell(*_: object) -> None:
        pass

    def no(what: str, _word: str) -> None:
        asked.append(what)
        raise typer.Exit(1)

    monkeypatch.setattr(fingerprints, "known", known)
    monkeypatch.setattr(fingerprints, "tell", tell)
    (keys.directory(settings) / f"{lost}.key").unlink()
    with pytest.raises(UsageError, match="can't be undone"):
        await _make_beside(settings, "nowhere:1", lost=True, yes=False)
    monkeypatch.setattr(renewal, "ask", no)
    with pytest.raises(typer.Exit):
        await _make_beside(settings, "nowhere:1", lost=True, yes=False)
    assert [name for name, means in _LOSS.items() if means[:40] in asked[0]] == [lost]
    assert not (keys.directory(settings) / f"{lost}.key").exists()
    assert f"{lost}.key" in await _make_beside(settings, "nowhere:1", lost=True, yes=True)


def test_what_a_loss_means_is_known_of_every_key_and_nothing_is_said_of_passwords() -> None:
    assert [line.partition(":")[0] for line in _losses([*keys.MADE, "pumasi-intake.password"])] == [
        "id.key", "intake.key", "notifier.key", "pseudonym.key", "reporter.key"
    ]  # fmt: skip
    assert _losses(["pseudonym-20270101T120000Z.key"])[0].startswith("pseudonym-20270101T120000Z.key: who took part")


def test_the_webhooks_secret_is_listed_by_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    async def known(_bootstrap: str) -> dict[str, str]:
        return {}

    monkeypatch.setattr(fingerprints, "known", known)
    assert _ours(load(), "nowhere:1") == []
    first = run("rotate", "webhook")["secret"]
    [before] = _ours(load(), "nowhere:1")
    assert (before["key"], before["here"], before["former"]) == ("webhook", True, [])
    run("rotate", "webhook")
    [after] = _ours(load(), "nowhere:1")
    assert after["former"] == [before["in_use"]]
    assert first not in str(after)


def test_where_keys_should_lie_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing) as missing:
        fingerprints.refuse_if_lost("k1:9092", ["id"], ["id.key"], keys.directory(load()))
    assert f"back into {tmp_path / 'keys'} from" in str(missing.value.hint)
