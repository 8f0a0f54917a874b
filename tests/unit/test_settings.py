"""Settings: where they come from, what is refused, and that their table can be made from them."""

import pytest

from services.errors import SettingError
from services.settings import Settings, as_markdown, load


def test_defaults_are_the_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load()
    assert (settings.kafka, settings.kafka_port, settings.http_port, settings.partitions) == (None, 9092, 8080, 4)
    assert settings.kafka_port_asked is None


def test_an_option_wins_over_the_variable_and_none_means_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMASI_PARTITIONS", "8")
    monkeypatch.setenv("PUMASI_KAFKA_PORT", "19092")
    assert load(partitions=None).partitions == 8
    assert load(partitions=12).partitions == 12
    assert load().kafka_port_asked == 19092


@pytest.mark.parametrize(
    ("given", "kept"), [("", None), (" ", None), ("k1:9092, k2:9092,", "k1:9092,k2:9092"), ("[::1]:9092", "[::1]:9092")]
)
def test_bootstrap_servers_are_host_and_port(monkeypatch: pytest.MonkeyPatch, given: str, kept: str | None) -> None:
    monkeypatch.setenv("PUMASI_KAFKA", given)
    assert load().kafka == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [("KAFKA", "localhost"), ("KAFKA", "k:0"), ("KAFKA", "k:70000"), ("PARTITIONS", "0"), ("HEAP_MB", "2048"), ("LANGUAGE", "fr"),
     ("TICK_SECONDS", "0"), ("KAFKA_PORT", "http"), ("HTTP_HOST", "999.1.1.1"), ("HTTP_HOST", "a b")],
)  # fmt: skip
def test_what_cannot_be_used_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"PUMASI_{name}", value)
    with pytest.raises(SettingError) as told:
        load()
    assert f"PUMASI_{name}" in told.value.message
    assert value in told.value.message
    assert told.value.exit_status == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "localhost", "door.example.org", "1.example.org"])
def test_an_address_is_an_ip_address_or_a_name(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("PUMASI_HTTP_HOST", host)
    assert load().http_host == host


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("PUMASI_TICK_SECOND", "PUMASI_TICK_SECONDS"), ("PUMASI_KAFKAPORT", "PUMASI_KAFKA_PORT"), ("PUMASI_X", None)],
)
def test_a_variable_that_is_no_setting_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str | None
) -> None:
    monkeypatch.setenv(name, "s3cret")
    with pytest.raises(SettingError) as told:
        load()
    assert told.value.message == f"no such setting: {name}" + (f" (did you mean {nearest}?)" if nearest else "")
    assert "s3cret" not in f"{told.value.message} {told.value.hint}"


def test_what_the_run_script_and_kubernetes_set_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PURE",
        "PYTHON",
        "CALLED_AS",
        "SERVICE_HOST",
        "INTAKE_SERVICE_PORT_HTTP",
        "PORT_8080_TCP",
        "INTAKE_PORT_80_TCP_ADDR",
    ):
        monkeypatch.setenv(f"PUMASI_{name}", "1")
    monkeypatch.setenv("PUMASI_INTAKE_PORT", "tcp://10.0.0.1:80")
    assert load().partitions == 4


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMASI_WEBHOOK_SECRET", "whsec_abc")
    assert "whsec_abc" not in repr(load())


def test_every_setting_has_a_row_that_explains_it() -> None:
    assert as_markdown().count("\n") == 2 + len(Settings.model_fields)
    assert all(len(field.description or "") > 20 for field in Settings.model_fields.values())
    assert "| `PUMASI_TICK_SECONDS` | `60` |" in as_markdown()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PARTITIONS", "x", "must be a whole number"),
        ("HTTP_PORT", "70000", "must be at most 65535"),
        ("TICK_SECONDS", "z", "must be a number"),
        ("OPEN", "maybe", "must be 1 or 0"),
        ("LANGUAGE", "fr", "must be one of: en, ko, zh"),
        ("CHECKPOINT_SECONDS", "0", "must be more than 0"),
        ("HTTP_HOST", "a b", "not an address, such as 127.0.0.1, ::1, or a name"),
    ],
)
def test_a_value_is_refused_in_words_for_people(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"PUMASI_{name}", value)
    with pytest.raises(SettingError) as refused:
        load()
    assert refused.value.message == f"PUMASI_{name}: {told} (it is {value!r})"
