"""Writes what deploy/ says of topics, users, rights and the broker from the tables that the product itself works by.

    services.bus.topics           ─► kubernetes/{dev,production}/kafka.yaml    Strimzi's Kafka and KafkaTopic
    services.bus.access           ─► kubernetes/base/users.yaml                Strimzi's KafkaUser, each with its rights
    here                          ─► kubernetes/base/services.yaml             a Deployment for each service
    topics and access             ─► kubernetes/production/scaling.yaml        KEDA's ScaledObject
    services.bus.embedded.config  ─► compose/server.properties                 a broker that asks who comes
    schemas.currencies            ─► prometheus/money.rules.yml                money in major units
    prometheus/*.rules.yml        ─► kubernetes/monitoring/rules.yaml          the same, as Prometheus' operator wants it
    deploy.dashboards             ─► grafana, kubernetes/monitoring/dashboards.yaml

Nobody edits these by hand: `python -P -m deploy.generate` writes them, and a test holds that they are what it would write.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from deploy import dashboards
from schemas.currencies import DIGITS
from services.bus.access import GRANTS, GROUPS, MATCHER, USERS, Kind, Right
from services.bus.embedded.config import FETCH_HEADROOM_BYTES, Guarded, server_properties
from services.bus.topics import COMMANDS, MAX_RECORD_BYTES, Topic, wanted_topics

HERE: Final = Path(__file__).parent
OVERLAYS: Final = {"dev": (4, 1), "production": (12, 3)}
"""Of each: partitions, replicas."""
CLUSTER: Final = "pumasi"
"""Strimzi's name of the Kafka."""
_HEAD: Final = "# Made from {} by `python -P -m deploy.generate`.\n"
_KINDS: Final = {
    Kind.TOPIC: "topic",
    Kind.GROUP: "group",
    Kind.CLUSTER: "cluster",
    Kind.TRANSACTIONAL_ID: "transactionalId",
}
SERVICES: Final = ("intake", "matcher", "notifier", "ender")
HEALTH_PORT: Final = 9100
"""Where a service in a container tells its health, and what it measures."""
IMAGE: Final = "pumasi:0.1.0"
_USER: Final = 10001
_TMP: Final = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108  # a volume of the pod's own
_CA: Final = {"key": "ca.crt", "path": "ca.crt"}
_SECRETS: Final = "/secrets"


class _Plain(yaml.SafeDumper):
    """Says everything in full, without anchors, and lines as lines."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def _text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else None)


_Plain.add_representer(str, _Plain._text)


def files() -> dict[Path, str]:
    """What is written, by path."""
    kubernetes = HERE / "kubernetes"
    made = {kubernetes / "base/users.yaml": _yaml("services/bus/access.py", (_user(user) for user in USERS))}
    for overlay, (partitions, replicas) in OVERLAYS.items():
        topics = (_topic(topic, replicas) for topic in wanted_topics(partitions, replicas))
        made[kubernetes / overlay / "kafka.yaml"] = _yaml("services/bus/topics.py", (*_kafka(replicas), *topics))
    made[kubernetes / "base/services.yaml"] = _yaml("deploy/generate.py", (*map(_deployment, SERVICES), _door()))
    made[kubernetes / "operator.yaml"] = _yaml("deploy/generate.py", [_operator()])
    scaled = _scaled(OVERLAYS["production"][0])
    made[kubernetes / "production/scaling.yaml"] = _yaml("services/bus/topics.py", scaled)
    made[HERE / "prometheus/money.rules.yml"] = _yaml("schemas/currencies.py", [_money()])
    made |= {HERE / "grafana" / name: text for name, text in dashboards.files().items()}
    monitoring = (_config_map(name, text) for name, text in dashboards.files().items())
    made[kubernetes / "monitoring/dashboards.yaml"] = _yaml("deploy/dashboards.py", monitoring)
    made[kubernetes / "monitoring/rules.yaml"] = _yaml("deploy/prometheus", [_rules()])
    made[HERE / "compose/server.properties"] = _HEAD.format("services/bus/embedded/config.py") + _broker()
    return made


def _yaml(source: str, documents: Iterable[dict[str, Any]]) -> str:
    text: str = yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=120)
    return _HEAD.format(source) + text


def _object(api: str, kind: str, name: str, labels: dict[str, str] | None = None, **parts: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": labels} if labels else {"name": name}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **parts}


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return _object("kafka.strimzi.io/v1", kind, name, {"strimzi.io/cluster": CLUSTER}, spec=spec)


def _kafka(replicas: int) -> list[dict[str, Any]]:
    """A Kafka that lets in who has a password, by TLS, from Pumasi's own pods and KEDA; its version is the operator's."""
    volume = {"id": 0, "type": "persistent-claim", "size": "20Gi", "kraftMetadata": "shared", "deleteClaim": False}
    nodes = {
        "replicas": replicas,
        "roles": ["controller", "broker"],
        "storage": {"type": "jbod", "volumes": [volume]},
        "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "jvmOptions": {"-Xms": "512m", "-Xmx": "1g"},
    }
    door = {
        "name": "tls",
        "port": 9093,
        "type": "internal",
        "tls": True,
        "authentication": {"type": "scram-sha-512"},
        "networkPolicyPeers": [
            {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "pumasi"}}},
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}},
        ],
    }
    config = {
        "auto.create.topics.enable": False,
        "default.replication.factor": replicas,
        "min.insync.replicas": max(1, replicas - 1),
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": max(1, replicas - 1),
        "offsets.retention.minutes": 525_600,  # else a notifier that was away for a week tells everything again
        "message.max.bytes": MAX_RECORD_BYTES,
        "replica.fetch.max.bytes": MAX_RECORD_BYTES + FETCH_HEADROOM_BYTES,
    }
    kafka = {"listeners": [door], "authorization": {"type": "simple"}, "config": config}
    operators: dict[str, Any] = {"topicOperator": {}, "userOperator": {}}
    pool = _resource("KafkaNodePool", "node", nodes)
    spec = {"kafka": kafka, "entityOperator": operators}
    return [pool, _object("kafka.strimzi.io/v1", "Kafka", CLUSTER, spec=spec)]


def _topic(topic: Topic, replicas: int) -> dict[str, Any]:
    config = {**topic.config, **topic.tuning}
    return _resource("KafkaTopic", topic.name, {"partitions": topic.partitions, "replicas": replicas, "config": config})


def _user(user: str) -> dict[str, Any]:
    """A user, its rights (those over the same thing in one), and its password: in the secret of its service's keys, or in that of those
    who operate."""
    service = user.removeprefix("pumasi-")
    secret = {"name": f"pumasi-keys-{service if service in SERVICES else 'operator'}", "key": f"{user}.password"}
    rights: dict[tuple[Kind, str, bool], list[Right]] = {}
    for grant in sorted(grant for grant in GRANTS if grant.user == user):
        rights.setdefault((grant.kind, grant.name, grant.prefixed), []).append(grant.right)
    return _resource(
        "KafkaUser",
        user,
        {
            "authentication": {"type": "scram-sha-512", "password": {"valueFrom": {"secretKeyRef": secret}}},
            "authorization": {"type": "simple", "acls": [_acl(*over, may) for over, may in sorted(rights.items())]},
        },
    )


def _acl(kind: Kind, name: str, prefixed: bool, rights: list[Right]) -> dict[str, Any]:
    resource: dict[str, str] = {"type": _KINDS[kind]}
    if kind is not Kind.CLUSTER:  # there is one
        resource |= {"name": name, "patternType": "prefix" if prefixed else "literal"}
    return {"resource": resource, "operations": [right.name.title().replace("_", "") for right in rights], "host": "*"}


def _deployment(service: str) -> dict[str, Any]:
    """A service of one process, by its own keys; how many of it there are, an overlay says."""
    labels = _labels(service)
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app.kubernetes.io/name": service}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
        "template": {"metadata": {"labels": labels}, "spec": _pod(service, service, [service], _probes(service))},
    }
    return _object("apps/v1", "Deployment", service, labels, spec=spec)


def _operator() -> dict[str, Any]:
    """A pod in which somebody runs commands: `kubectl exec -it operator -- pumasi status`. It isn't part of any overlay."""
    pod = _pod("operator", "operator", [], {"command": ["sleep", "infinity"]}) | {"restartPolicy": "Never"}
    return _object("v1", "Pod", "operator", _labels("operator"), spec=pod)


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "pumasi"}


def _pod(name: str, keys: str, args: list[str], more: dict[str, Any]) -> dict[str, Any]:
    """Nothing of it is root, may be written to, or knows the cluster's API.

    Keys are files of our own, which nobody else may read (`services.keys`). Kubernetes mounts secrets as links to files of root; so
    they are copied into memory first.
    """
    held: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    copy = "mkdir -p -m 0700 /keys/own && install -m 0600 /secret/* /keys/own/"
    own = {"name": "keys", "mountPath": "/keys"}
    env = {
        "PUMASI_KAFKA": f"{CLUSTER}-kafka-bootstrap:9093",
        "PUMASI_KAFKA_CA_FILE": "/ca/ca.crt",
        "PUMASI_KEYS": "/keys/own",
        **({"PUMASI_HEALTH_HOST": "0.0.0.0", "PUMASI_HEALTH_PORT": str(HEALTH_PORT)} if name in SERVICES else {}),  # noqa: S104  # the pod's
        **({"PUMASI_HTTP_HOST": "0.0.0.0", "PUMASI_HTTP_HOSTS": "localhost,intake"} if name == "intake" else {}),  # noqa: S104  # the pod's
    }
    itself = {"name": "PUMASI_INSTANCE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    small = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [
            {
                "name": "keys",
                "image": IMAGE,
                "command": ["sh", "-euc", copy],
                "securityContext": held,
                "resources": small,
                "volumeMounts": [{"name": "secret", "mountPath": "/secret", "readOnly": True}, own],
            }
        ],
        "containers": [
            {
                "name": name,
                "image": IMAGE,
                **({"args": args} if args else {}),
                "env": [*({"name": key, "value": value} for key, value in env.items()), itself],
                **more,
                "securityContext": held,
                "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
                "volumeMounts": [own, {"name": "ca", "mountPath": "/ca", "readOnly": True}, _TMP],
            }
        ],
        "volumes": [
            {"name": "secret", "secret": {"secretName": f"pumasi-keys-{keys}", "defaultMode": 0o440}},
            {"name": "keys", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "ca", "secret": {"secretName": f"{CLUSTER}-cluster-ca-cert", "items": [_CA]}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        ],
    }


def _probes(service: str) -> dict[str, Any]:
    """Whether the process serves, and whether what it takes would be answered. Intake is asked where its senders ask, by a name that
    this door answers to; the others at the port for it."""
    door = {"port": 8080, "httpHeaders": [{"name": "Host", "value": "localhost"}]}
    where = door if service == "intake" else {"port": HEALTH_PORT}
    http = [{"name": "http", "containerPort": 8080}] if service == "intake" else []

    def ask(path: str, **how: int) -> dict[str, Any]:
        return {"httpGet": {"path": path, **where}, "timeoutSeconds": 5, **how}

    return {
        "ports": [*http, {"name": "health", "containerPort": HEALTH_PORT}],
        "startupProbe": ask("/livez", periodSeconds=2, failureThreshold=60),
        "livenessProbe": ask("/livez", periodSeconds=10, failureThreshold=6),
        "readinessProbe": ask("/readyz", periodSeconds=5, failureThreshold=2),
    }


def _door() -> dict[str, Any]:
    ports = [{"name": "http", "port": 8080, "targetPort": "http"}]
    spec = {"selector": {"app.kubernetes.io/name": "intake"}, "ports": ports}
    return _object("v1", "Service", "intake", _labels("intake"), spec=spec)


def _scaled(partitions: int) -> list[dict[str, Any]]:
    """As many matchers as the lag asks for, and never more than there are partitions."""
    trigger = {
        "type": "kafka",
        "metadata": {
            "bootstrapServers": f"{CLUSTER}-kafka-bootstrap.pumasi.svc:9093",
            "consumerGroup": GROUPS[MATCHER],
            "topic": COMMANDS,
            "lagThreshold": "500",
            "offsetResetPolicy": "earliest",
            "allowIdleConsumers": "false",
            "sasl": "scram_sha512",
            "tls": "enable",
        },
        "authenticationRef": {"name": "kafka"},
    }
    from_secrets = [
        {"parameter": "username", "name": "pumasi-keda", "key": "username"},
        {"parameter": "password", "name": "pumasi-keda", "key": "password"},
        {"parameter": "ca", "name": f"{CLUSTER}-cluster-ca-cert", "key": "ca.crt"},
    ]
    scaling = {
        "scaleTargetRef": {"name": "matcher"},
        "minReplicaCount": 1,
        "maxReplicaCount": partitions,
        "fallback": {"failureThreshold": 3, "replicas": 2},  # what can't be read asks for neither none nor all
        "triggers": [trigger],
    }
    keda = "keda.sh/v1alpha1"
    return [
        _object(keda, "TriggerAuthentication", "kafka", spec={"secretTargetRef": from_secrets}),
        _object(keda, "ScaledObject", "matcher", spec=scaling),
    ]


def _money() -> dict[str, Any]:
    """A rule that says money in major units, by the digits that each currency has."""
    of: defaultdict[int, list[str]] = defaultdict(list)
    for currency, digits in sorted(DIGITS.items()):
        of[digits].append(currency)
    usual = max(of, key=lambda digits: len(of[digits]))
    others = [digits for digits in sorted(of) if digits != usual]
    named = {10**digits: f'=~"{"|".join(of[digits])}"' for digits in others}
    rest = {10**usual: f'!~"{"|".join("|".join(of[digits]) for digits in others)}"'}
    minor = "sum by (stage, currency) (pumasi_money_minor_units{currency%s}) / %s"
    parts = [minor % (which, units) for units, which in {**rest, **named}.items()]
    rule = {"record": "pumasi:money_major_units:sum", "expr": "\nor ".join(parts)}
    return {"groups": [{"name": "pumasi-money", "rules": [rule]}]}


def _rules() -> dict[str, Any]:
    alerts = yaml.safe_load((HERE / "prometheus/pumasi.rules.yml").read_text())
    labels = {"app.kubernetes.io/part-of": "pumasi"}
    spec = {"groups": [*alerts["groups"], *_money()["groups"]]}
    return _object("monitoring.coreos.com/v1", "PrometheusRule", "pumasi", labels, spec=spec)


def _config_map(name: str, text: str) -> dict[str, Any]:
    """As Grafana's sidecar finds it."""
    labels = {"app.kubernetes.io/part-of": "pumasi", "grafana_dashboard": "1"}
    return _object("v1", "ConfigMap", f"dashboard-{name.removesuffix('.json')}", labels, data={name: text})


def _broker() -> str:
    """As the embedded one, but for who may come: other containers, by TLS. Its own password is a file, and kept, as is an admin's."""
    return server_properties(
        Path("/var/lib/kafka/data"),
        9092,
        9093,
        guarded=Guarded(9094, f"${{file:{_SECRETS}/broker.properties:password}}"),
        more={
            "listeners": "CLIENTS://0.0.0.0:9092,BROKER://127.0.0.1:9094,CONTROLLER://127.0.0.1:9093",
            "advertised.listeners": "CLIENTS://kafka:9092,BROKER://127.0.0.1:9094",
            "listener.security.protocol.map": "CLIENTS:SASL_SSL,BROKER:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": f"{_SECRETS}/kafka.pem",
            "config.providers": "file",
            "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
            "config.providers.file.param.allowed.paths": _SECRETS,
        },
    )


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
