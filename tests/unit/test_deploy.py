"""deploy/ is what the product's own tables say, and what the systems that read it take."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose

from deploy import generate
from services import keys
from services.bus import access
from services.cli import build
from services.settings import Settings, load
from tests.deploy_files import COMPOSE, DEPLOY, FOREIGN, PUMASI, clean, compose, settings_of


@pytest.mark.parametrize("path", generate.files(), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_what_is_made_from_tables_is_what_they_say_now(path: Path) -> None:
    """Renew with: python -P -m deploy.generate"""
    assert path.read_text() == generate.files()[path]


def test_users_have_the_rights_of_the_table_and_no_others() -> None:
    """Read back from the YAML, by the names that Kafka itself has for kinds and rights."""
    found = set()
    for user in yaml.safe_load_all((DEPLOY / "kubernetes/base/users.yaml").read_text()):
        for acl in user["spec"]["authorization"]["acls"]:
            what = acl["resource"]
            kind = access.Kind[{"transactionalId": "TRANSACTIONAL_ID"}.get(what["type"], what["type"].upper())]
            over = (what.get("name", "kafka-cluster"), what.get("patternType") == "prefix")
            for right in acl["operations"]:
                known = next(one for one in access.Right if one.name.replace("_", "") == right.upper())
                found.add(access.Grant(user["metadata"]["name"], known, kind, *over))
    assert found == access.GRANTS


def test_compose_is_what_its_specification_allows() -> None:
    PyCompose.from_json(json.dumps(yaml.safe_load((COMPOSE / "compose.yaml").read_text())))


def test_the_specification_is_asked() -> None:
    wrong = yaml.safe_load((COMPOSE / "compose.yaml").read_text().replace("read_only:", "readonly:"))
    with pytest.raises(ValueError, match="readonly"):
        PyCompose.from_json(json.dumps(wrong))


@pytest.mark.parametrize("name", sorted(compose().keys() - FOREIGN - {"prepare"}))
def test_a_service_of_compose_is_a_command_with_settings_that_exist(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = compose()[name]
    app = build()
    known = {command.name for command in (*app.registered_commands, *app.registered_groups)}
    assert set(service.get("command", ["status"])[:1]) <= known
    for variable, value in settings_of(service, {}).items():
        monkeypatch.setenv(variable, value)
    load()


def test_containers_may_do_nothing_that_they_need_not() -> None:
    for name, service in compose().items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if name != "prepare":  # gives others their files, without a network
            assert service["user"].split(":")[0] not in ("0", "root"), name
            assert "cap_add" not in service, name
    assert compose()["prepare"]["network_mode"] == "none"


def test_access_asks_for_a_cluster() -> None:
    done = subprocess.run([*PUMASI, "access", "--json"], env=clean(), capture_output=True, text=True)
    assert (done.returncode, json.loads(done.stderr)["code"]) == (2, "usage")


@pytest.fixture
def handed_out(tmp_path: Path) -> Path:
    settings = load(keys=tmp_path / "all", data=tmp_path / "data")
    keys.make(settings)
    keys.make_passwords(settings, access.USERS)
    hand_out(tmp_path)
    return tmp_path


def hand_out(home: Path) -> None:
    subprocess.run([DEPLOY / "hand-out", home / "all", home], check=True)


def of(home: Path, service: str) -> Settings:
    return load(keys=home / service, data=home / "data")


def test_each_service_gets_the_keys_that_it_reads_and_no_others(handed_out: Path) -> None:
    for service in ("intake", "matcher", "notifier", "ender"):
        assert keys.kafka_password(of(handed_out, service), f"pumasi-{service}")
    assert keys.fingerprints(of(handed_out, "intake")) == keys.fingerprints(of(handed_out, "all"))
    assert keys.private_key(of(handed_out, "intake"), "intake")
    assert keys.notifier_private_key(of(handed_out, "notifier"))
    held = {service: {path.name for path in (handed_out / service).iterdir()} for service in ("matcher", "ender")}
    assert held == {service: {f"pumasi-{service}.password"} for service in held}
    has = [path.parent.name for path in handed_out.rglob("notifier.key")]
    assert sorted(has) == ["all", "notifier"]
    assert not list(handed_out.glob("[!a]*/reporter.key"))


def test_a_renewed_key_is_handed_out_over_the_former_one(handed_out: Path) -> None:
    key = handed_out / "notifier/notifier.key"
    former, inode = key.read_bytes(), key.stat().st_ino
    everything = of(handed_out, "all")
    keys.make_next(everything, 0)
    keys.put_webhook_secrets(everything, ["whsec_" + "a" * 40, "whsec_" + "b" * 40])
    keys.successor(everything)
    hand_out(handed_out)
    assert len(keys.private_keys(of(handed_out, "notifier"), "notifier")) == 2
    keys.succeed(everything)
    keys.put_webhook_secrets(everything, ["whsec_" + "a" * 40])
    hand_out(handed_out)
    assert key.read_bytes() != former
    assert key.stat().st_ino == inode, "the former one lies elsewhere on the disk"
    assert len(keys.private_keys(of(handed_out, "notifier"), "notifier")) == 1
    assert keys.webhook_secrets(of(handed_out, "notifier")) == ["whsec_" + "a" * 40]
    assert len(keys.pseudonym_keys(of(handed_out, "intake"))) == 2


def test_intakes_former_key_is_handed_out_beside_the_new_one_until_it_is_revoked(handed_out: Path) -> None:
    everything = of(handed_out, "all")
    former = keys.private_key(everything, "intake")
    for whose in keys.RINGS:
        keys.keep_former(everything, whose)
        keys.successor(everything, whose)
        keys.succeed(everything, whose)
    hand_out(handed_out)
    ring = keys.private_keys(of(handed_out, "intake"), "intake")
    assert ring == keys.private_keys(everything, "intake")
    assert ring[1:] == [former]
    assert keys.public_key(of(handed_out, "intake"), "reporter") == keys.public_key(everything, "reporter")
    assert not list(handed_out.glob("[!a]*/reporter*.key"))
    held = (handed_out / "intake" / keys.former_names(everything, "intake")[0]).open("rb")
    content = held.read()
    keys.destroy_former(everything, "intake")
    hand_out(handed_out)
    assert keys.private_keys(of(handed_out, "intake"), "intake") == ring[:1]
    with held:
        held.seek(0)
        assert held.read() != content, "it is overwritten before it goes"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_prepare_gives_everybody_their_own_and_may_be_repeated(tmp_path: Path) -> None:
    """Also where Docker was quicker, and made the directories that it mounts."""
    secrets = tmp_path / "secrets"
    for name in ("all", "kafka", "intake"):
        (secrets / name).mkdir(parents=True, mode=0o755)
    command = ["sh", COMPOSE / "prepare", secrets, DEPLOY / "hand-out", "10001:10001", "1000:1000"]
    for _ in range(2):
        subprocess.run(command, env={**clean(), "PUMASI": " ".join(PUMASI)}, check=True, capture_output=True)
        owners = {path.name: (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) for path in secrets.iterdir()}
        ours = dict.fromkeys(("all", "intake", "matcher", "notifier", "ender"), (10001, 0o700))
        assert owners == {**ours, "kafka": (1000, 0o700), "ca": (0, 0o755)}
        files = [path for path in secrets.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} - {0o600} == {0o644}
        assert [path.name for path in files if stat.S_IMODE(path.stat().st_mode) == 0o644] == ["ca.crt"]
        assert {path.stat().st_uid for path in files if path.parent.name in ours} == {10001}


def test_the_certificate_that_prepare_makes_for_kafka_passes_the_strict_check_of_later_pythons(tmp_path: Path) -> None:
    """ssl.VERIFY_X509_STRICT, which contexts have from Python 3.13 on: so in the image, be it not so here."""
    secrets = tmp_path / "secrets"
    command = ["sh", COMPOSE / "prepare", secrets, DEPLOY / "hand-out"]
    subprocess.run(command, env={**clean(), "PUMASI": " ".join(PUMASI)}, check=True, capture_output=True)
    kafka = secrets / "kafka/kafka.pem"
    strict = ["-x509_strict", "-purpose", "sslserver", "-CAfile", secrets / "ca/ca.crt"]
    for name in (["-verify_hostname", "kafka"], ["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"]):
        said = subprocess.run(["openssl", "verify", *strict, *name, kafka], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr


UNITS = DEPLOY / "systemd"


def units(at: Path) -> list[Path]:
    """The units with each service's own name, as if Pumasi were installed where these tests run."""
    made = []
    for unit in sorted(UNITS.glob("*.*")):
        text = unit.read_text().replace("/opt/pumasi/.venv/bin/python", sys.executable)
        names = (
            [unit.name]
            if "@" not in unit.name
            else [unit.name, *(unit.name.replace("@", f"@{one}") for one in SERVICES)]
        )
        for name in names if unit.suffix in (".service", ".target") else ():
            (at / name).write_text(text)
            made.append(at / name)
    return made


SERVICES = ("intake", "matcher", "notifier", "ender")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")


@needs_systemd
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", *units(tmp_path)], capture_output=True, text=True)
    ours = [line for line in said.stderr.splitlines() if "pumasi" in line]
    assert not ours
    assert said.returncode == 0, said.stderr


@needs_systemd
@pytest.mark.parametrize(("unit", "most"), [("pumasi@intake.service", 20), ("pumasi-kafka.service", 25)])
def test_systemd_finds_little_that_a_unit_may_do_and_need_not(unit: str, most: int, tmp_path: Path) -> None:
    """In tenths of systemd's own measure, from 0 to 10, of how exposed a service is. A unit that says nothing has 9.6."""
    path = next(path for path in units(tmp_path) if path.name == unit)
    said = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={most}", path],
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_each_unit_has_its_user_its_keys_and_a_command_with_settings_that_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = re.findall(r"^u (\S+)", (UNITS / "pumasi.sysusers").read_text(), re.MULTILINE)
    assert users == ["pumasi-kafka", *(f"pumasi-{name}" for name in SERVICES)]
    target = (UNITS / "pumasi.target").read_text()
    for name in ("kafka", *SERVICES):
        unit = UNITS / ("pumasi-kafka.service" if name == "kafka" else "pumasi@.service")
        text = unit.read_text().replace("%i", name)
        assert f"User=pumasi-{name}\n" in text
        assert f"services.cli {name}" in text
        assert unit.name.replace("@", f"@{name}") in target
        for variable, value in re.findall(r"(PUMASI_\w+)=(\S+)", text):
            monkeypatch.setenv(variable, value)
        assert load().keys == Path(f"/etc/pumasi/keys/{name}")
        for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "UMask=0077", "CapabilityBoundingSet="):
            assert line in text.splitlines(), name
