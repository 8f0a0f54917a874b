"""How clients connect is said once: by the settings, for a user, and carried by the address."""

import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from services import keys, secret_files
from services.bus import access
from services.bus.embedded.broker import _environment
from services.bus.embedded.config import Door, Guarded, server_properties
from services.bus.security import ANSWER_MS, Security, Servers, client_properties, connection, servers
from services.errors import KeyMissing, SettingError
from services.settings import SECRET, Settings, load
from services.system.supervisor import Service

HERE, AWAY = "127.0.0.1:9092", "127.0.0.1:9092,kafka-1.example.org:9092"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("PUMASI_KEYS")
    monkeypatch.delenv("PUMASI_OPEN")
    made = load(data=tmp_path / "data")
    keys.make_passwords(made, access.USERS)
    return made


def test_unless_told_otherwise_a_user_shows_its_own_password(settings: Settings) -> None:
    told = connection(servers(settings, HERE, access.MATCHER))
    assert told == {
        "bootstrap_servers": HERE,
        "request_timeout_ms": ANSWER_MS,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "pumasi-matcher",
        "sasl_plain_password": keys.kafka_password(settings, access.MATCHER),
    }
    assert type(told["bootstrap_servers"]) is str
    assert told["sasl_plain_password"] not in repr(servers(settings, HERE, access.MATCHER).security)


@pytest.mark.parametrize("where", [AWAY, "10.0.0.1:9092", "kafka:9092"])
def test_towards_another_machine_it_is_within_tls(settings: Settings, where: str) -> None:
    told = connection(servers(settings, where, access.INTAKE))
    assert told["security_protocol"] == "SASL_SSL"
    assert told["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert told["ssl_context"].check_hostname


def test_the_form_of_a_certificate_matters_as_little_as_before_python_3_13(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strimzi's certificates lack an authority key identifier, and the image has Python 3.13."""
    really = ssl.create_default_context

    def as_from_3_13(**how: Any) -> ssl.SSLContext:
        context = really(**how)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", as_from_3_13)
    context = connection(servers(settings, AWAY, access.INTAKE))["ssl_context"]
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


@pytest.mark.parametrize("where", [HERE, "localhost:9092", "[::1]:9092"])
def test_on_this_machine_it_need_not_be(settings: Settings, where: str) -> None:
    assert connection(servers(settings, where, access.INTAKE))["security_protocol"] == "SASL_PLAINTEXT"


def test_tls_alone_and_with_a_certificate_of_ours(settings: Settings) -> None:
    told = connection(servers(load(data=settings.data, kafka_security="tls"), AWAY, access.INTAKE))
    assert (told["security_protocol"], "sasl_mechanism" in told) == ("SSL", False)
    with pytest.raises(SettingError, match="PUMASI_KAFKA_KEY_FILE"):
        servers(load(data=settings.data, kafka_security="mtls"), AWAY, access.INTAKE)
    mtls = load(data=settings.data, kafka_security="mtls", kafka_certificate_file="/no/cert", kafka_key_file="/no/key")
    with pytest.raises(SettingError, match=r"can't use /no/cert with /no/key \(No such file"):
        servers(mtls, AWAY, access.INTAKE)


def test_open_is_open_and_a_plain_string_too(settings: Settings) -> None:
    plain = {"bootstrap_servers": HERE, "request_timeout_ms": ANSWER_MS, "security_protocol": "PLAINTEXT"}
    assert connection(servers(load(data=settings.data, open=True), HERE, access.INTAKE)) == plain
    assert connection(servers(load(data=settings.data, kafka_security="plain"), HERE, access.INTAKE)) == plain
    assert connection(HERE) == plain


def test_a_cluster_may_have_other_users_and_passwords(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "password"
    secret_files.write(file, "of theirs\n")
    theirs = load(data=settings.data, kafka_user="somebody", kafka_password_file=file)
    told = connection(servers(theirs, HERE, access.INTAKE))
    assert (told["sasl_plain_username"], told["sasl_plain_password"]) == ("somebody", "of theirs")
    file.unlink()
    with pytest.raises(KeyMissing) as missing:
        servers(theirs, HERE, access.INTAKE)
    assert "PUMASI_KAFKA_SECURITY=plain" in missing.value.hint


def test_kafkas_own_tools_are_told_the_same() -> None:
    text = client_properties(Servers(HERE, Security("SASL_SSL", "u", "p", ca_file=Path("/etc/ca.pem"))))
    assert dict(line.split("=", 1) for line in text.splitlines()) == {
        "bootstrap.servers": HERE,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": 'org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="p";',
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "/etc/ca.pem",
    }


def test_every_listener_asks() -> None:
    text = server_properties(Path("/log"), 1, 2, [Door("PROXY", 3, 4)], guarded=Guarded(5, "secret"))
    told = dict(line.split("=", 1) for line in text.splitlines())
    names = [one.split(":", 1)[0] for one in told["listeners"].split(",")]
    assert names == ["CLIENTS", "PROXY", "BROKER", "CONTROLLER"]
    assert told["listener.security.protocol.map"] == ",".join(f"{name}:SASL_PLAINTEXT" for name in names)
    mechanisms = [told[f"listener.name.{name.lower()}.sasl.enabled.mechanisms"] for name in names]
    assert mechanisms == ["SCRAM-SHA-512", "SCRAM-SHA-512", "PLAIN", "PLAIN"]
    assert told["allow.everyone.if.no.acl.found"] == "false"
    assert "PLAINTEXT" not in told["listener.security.protocol.map"].replace("SASL_PLAINTEXT", "")


def test_no_secret_goes_where_nobody_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.system.whole import _services

    assert {"PUMASI_PSEUDONYM_KEY", "PUMASI_WEBHOOK_SECRET"} <= SECRET
    for name in SECRET:
        monkeypatch.setenv(name, "secret")
    assert "secret" not in _environment("a.jar").values()
    assert _environment("a.jar")["PATH"] == os.environ["PATH"]
    given: dict[str, tuple[str, ...]] = {
        one.name: one.secrets
        for one in _services(Settings.model_construct(), HERE, 1, {}, {})
        if isinstance(one, Service)
    }
    assert given == {
        "ender": (), "matcher": (), "notifier": ("PUMASI_WEBHOOK_URL", "PUMASI_WEBHOOK_SECRET"),
        "intake": ("PUMASI_PSEUDONYM_KEY", "PUMASI_ID_KEY"),
    }  # fmt: skip
