"""deploy/kubernetes is what Kubernetes, Strimzi and KEDA take, and holds together: names, keys, users, numbers."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from deploy.generate import SERVICES
from services import keys
from services.bus import access
from services.bus.topics import wanted_topics
from services.settings import load
from tests.deploy_files import KUBERNETES, OVERLAYS, ROOT, documents, manifests
from tests.prometheus import groups

SCHEMAS = json.loads((ROOT / "tests/manifests/schemas.json").read_text())
KUSTOMIZE = (
    ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"] if shutil.which("kubectl") else []
)
needs_kustomize = pytest.mark.skipif(not KUSTOMIZE, reason="neither kustomize nor kubectl is here")


def amiss(one: dict[str, Any]) -> list[str]:
    """What is wrong with a manifest, by the schema of its kind."""
    schema = SCHEMAS["kinds"].get(f"{one['apiVersion']}/{one['kind']}")
    assert schema, f"{one['apiVersion']}/{one['kind']} is in no schema: tests/manifests"
    found = Draft202012Validator({**schema, "definitions": SCHEMAS["definitions"]}).iter_errors(one)
    return [f"{one['kind']} {one['metadata'].get('name')}: {error.json_path}: {error.message[:200]}" for error in found]


def rendered(overlay: str) -> list[dict[str, Any]]:
    done = subprocess.run([*KUSTOMIZE, KUBERNETES / overlay], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def named(found: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def pods(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: one["spec"]["template"]["spec"] for name, one in named(found, "Deployment").items()}


@pytest.mark.parametrize("path", manifests(), ids=lambda path: str(path.relative_to(KUBERNETES)))
def test_a_manifest_is_what_its_kind_allows(path: Path) -> None:
    assert [wrong for one in manifests()[path] for wrong in amiss(one)] == []


@pytest.mark.parametrize(
    ("kind", "where", "value"),
    [
        ("Deployment", ("spec", "template", "spec", "hostnetwork"), False),
        ("KafkaUser", ("spec", "authorization", "acls", 0, "operation"), "Read"),
        ("Kafka", ("spec", "zookeeper"), {}),
        ("ScaledObject", ("spec", "maxReplicas"), 3),
    ],
)
def test_a_field_that_is_none_is_found(kind: str, where: tuple[Any, ...], value: Any) -> None:
    one = next(one for found in manifests().values() for one in found if one["kind"] == kind)
    place = one
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = value
    assert amiss(one)


@needs_kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_an_overlay_renders_is_allowed_and_refers_to_what_is_there(overlay: str) -> None:
    found = rendered(overlay)
    assert [wrong for one in found for wrong in amiss(one)] == []
    [namespace] = named(found, "Namespace")
    assert {one["metadata"].get("namespace", namespace) for one in found} == {namespace}
    deployments = named(found, "Deployment")
    assert set(deployments) == set(SERVICES)
    assert set(named(found, "KafkaUser")) == set(access.USERS)
    labels = [one["spec"]["template"]["metadata"]["labels"].items() for one in deployments.values()]
    for kind in ("PodDisruptionBudget", "NetworkPolicy", "Service"):
        for name, one in named(found, kind).items():
            chooses = one["spec"].get("podSelector") or one["spec"]["selector"]
            assert any(chooses.get("matchLabels", chooses).items() <= these for these in labels), (kind, name)
    for scaled in named(found, "ScaledObject").values():
        assert scaled["spec"]["scaleTargetRef"]["name"] in deployments


@needs_kustomize
def test_production_scales_matchers_by_lag_and_never_above_the_partitions() -> None:
    found = rendered("production")
    spec = named(found, "ScaledObject")["matcher"]["spec"]
    [trigger] = spec["triggers"]
    topic = named(found, "KafkaTopic")[trigger["metadata"]["topic"]]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, topic["spec"]["partitions"])
    assert trigger["metadata"]["allowIdleConsumers"] == "false"
    assert "replicas" not in named(found, "Deployment")["matcher"]["spec"], "KEDA says it"
    group = trigger["metadata"]["consumerGroup"]
    assert group == access.GROUPS[access.MATCHER]
    asks = access.Grant(access.OPERATOR, access.Right.DESCRIBE, access.Kind.GROUP, "pumasi-", True)
    assert asks in access.GRANTS, "or KEDA, which comes as the operator, is not told the lag"


@needs_kustomize
def test_production_speaks_tls_has_probes_and_keeps_three_copies() -> None:
    found = rendered("production")
    containers = {name: pod["containers"][0] for name, pod in pods(found).items()}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        ask = containers["intake"][probe]["httpGet"]
        assert (ask["scheme"], ask["port"]) == ("HTTPS", 8080)
        assert ask["path"] == ("/readyz" if probe == "readinessProbe" else "/livez")
        assert ask["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
    hosts = next(one["value"] for one in containers["intake"]["env"] if one["name"] == "PUMASI_HTTP_HOSTS")
    assert "localhost" in hosts.split(","), "or the probes are refused"
    for name in set(containers) - {"intake"}:
        told = {one["name"]: one.get("value") for one in containers[name]["env"]}
        assert {"name": "health", "containerPort": int(told["PUMASI_HEALTH_PORT"])} in containers[name]["ports"]
        for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            assert containers[name][probe]["httpGet"] == {"path": path, "port": int(told["PUMASI_HEALTH_PORT"])}
    assert containers["notifier"]["args"] == ["notifier", "--quiet"]
    assert {it["spec"]["replicas"] for it in named(found, "KafkaTopic").values()} == {3}
    assert named(found, "KafkaNodePool")["node"]["spec"]["replicas"] == 3
    http = next(it["secret"] for it in pods(found)["intake"]["volumes"] if it["name"] == "http")
    assert http["defaultMode"] == 0o440


def test_prometheus_operator_is_told_to_scrape_every_process_under_the_names_that_the_rules_ask_for() -> None:
    [monitor] = named(manifests()[KUBERNETES / "monitoring/scraping.yaml"], "PodMonitor").values()
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    [relabelling] = endpoint["relabelings"]
    assert (relabelling["targetLabel"], relabelling["replacement"]) == ("job", "pumasi-$1")
    chosen = monitor["spec"]["selector"]["matchLabels"].items()
    for name, one in named(manifests()[KUBERNETES / "base/services.yaml"], "Deployment").items():
        template = one["spec"]["template"]
        assert chosen <= template["metadata"]["labels"].items()
        assert template["metadata"]["labels"]["app.kubernetes.io/name"] == name
        assert endpoint["port"] in [port["name"] for port in template["spec"]["containers"][0]["ports"]]
    [rules] = named(manifests()[KUBERNETES / "monitoring/rules.yaml"], "PrometheusRule").values()
    assert rules["spec"]["groups"] == sorted(groups(), key=lambda group: group["name"] == "pumasi-money")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_topics_are_those_of_the_table(overlay: str) -> None:
    found = named(manifests()[KUBERNETES / overlay / "kafka.yaml"], "KafkaTopic")
    partitions = max(it["spec"]["partitions"] for it in found.values())
    [replicas] = {it["spec"]["replicas"] for it in found.values()}
    told = {name: (it["spec"]["partitions"], it["spec"]["config"]) for name, it in found.items()}
    wanted = wanted_topics(partitions, replicas)
    assert told == {it.name: (it.partitions, {**it.config, **it.tuning}) for it in wanted}


def test_pods_may_do_nothing_that_they_need_not_and_are_told_settings_that_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = pods(manifests()[KUBERNETES / "base/services.yaml"])
    found["operator"] = manifests()[KUBERNETES / "operator.yaml"][0]["spec"]
    for name, pod in found.items():
        assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False), name
        assert pod["enableServiceLinks"] is False, name
        for container in (*pod["initContainers"], *pod["containers"]):
            held = container["securityContext"]
            assert (held["allowPrivilegeEscalation"], held["readOnlyRootFilesystem"]) == (False, True), name
            assert held["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name
        [container] = pod["containers"]
        assert container.get("args", [name]) == [name]
        for told in container["env"]:
            monkeypatch.setenv(told["name"], told.get("value", "one"))
        load()


def test_the_secrets_have_all_that_is_asked_of_them_and_open_like_the_keys_themselves(tmp_path: Path) -> None:
    everything = load(keys=tmp_path / "all", data=tmp_path / "data")
    keys.make(everything)
    keys.make_passwords(everything, access.USERS)
    made = subprocess.run([KUBERNETES / "secrets", tmp_path / "all"], capture_output=True, text=True, check=True)
    found = documents(made.stdout)
    assert [wrong for one in found for wrong in amiss(one)] == []
    secrets = {
        name: {file: base64.b64decode(value) for file, value in one["data"].items()}
        for name, one in named(found, "Secret").items()
    }
    for user in manifests()[KUBERNETES / "base/users.yaml"]:
        asked = user["spec"]["authentication"]["password"]["valueFrom"]["secretKeyRef"]
        said = secrets[asked["name"]][asked["key"]].decode()
        assert said == keys.kafka_password(everything, user["metadata"]["name"]), "what Strimzi is told is what we show"
    mounted = set(re.findall(r"secretName: (pumasi-keys-\S+)", (KUBERNETES / "base/services.yaml").read_text()))
    assert mounted == {f"pumasi-keys-{name}" for name in SERVICES}
    assert {*mounted, "pumasi-keys-operator", "pumasi-keda"} == secrets.keys()
    operator = secrets["pumasi-keys-operator"]["pumasi-operator.password"]
    assert secrets["pumasi-keda"] == {"username": b"pumasi-operator", "password": operator}
    for name in SERVICES:  # as the init container copies them
        (tmp_path / name).mkdir(mode=0o700)
        for file, value in secrets[f"pumasi-keys-{name}"].items():
            (tmp_path / name / file).write_bytes(value)
            (tmp_path / name / file).chmod(0o600)
    assert keys.fingerprints(load(keys=tmp_path / "intake")) == keys.fingerprints(everything)
    assert keys.notifier_private_key(load(keys=tmp_path / "notifier"))
    assert [name for name, secret in secrets.items() if "notifier.key" in secret] == ["pumasi-keys-notifier"]
    assert not [name for name, secret in secrets.items() if "reporter.key" in secret]
