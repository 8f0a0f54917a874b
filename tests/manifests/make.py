"""Makes `schemas.json`: what the systems that read deploy/kubernetes take, of those kinds that stand there, and strictly.

The tests need nothing of those systems but this file. From a new version of one of them it is made by

    python -P -m tests.manifests.make KUBERNETES CRD …

    KUBERNETES   the folder `kubernetes_validate/kubernetes-json-schema/v…-local-strict` of the wheel kubernetes-validate (PyPI)
    CRD          YAML files of custom resource definitions: KEDA's lie in its Go module, config/crd/bases. Strimzi's are made by
                 `java -cp … io.strimzi.crdgenerator.CrdGenerator --target-kube 1.30+ --crd-api-version v1 CLASS=FILE` from the Maven
                 artefacts io.strimzi:crd-generator and io.strimzi:api, with Java 21 or newer. Prometheus' operator's are made by
                 `controller-gen crd:maxDescLen=0 paths=…/v1` (sigs.k8s.io/controller-tools) from its Go module pkg/apis/monitoring

All of them are licensed under Apache-2.0. Descriptions are left out.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

SCHEMAS = Path(__file__).with_name("schemas.json")
KINDS = {
    "apps/v1/Deployment": "deployment-apps-v1",
    "v1/Pod": "pod-v1",
    "v1/ConfigMap": "configmap-v1",
    "v1/Namespace": "namespace-v1",
    "v1/Secret": "secret-v1",
    "v1/Service": "service-v1",
    "networking.k8s.io/v1/NetworkPolicy": "networkpolicy-networking-v1",
    "policy/v1/PodDisruptionBudget": "poddisruptionbudget-policy-v1",
}


def kubernetes(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Kubernetes' own kinds, and the definitions that they refer to."""
    every = json.loads((folder / "_definitions.json").read_text())["$defs"]
    kinds = {kind: said(json.loads((folder / f"{name}.json").read_text())) for kind, name in KINDS.items()}
    needed: dict[str, Any] = {}
    left = [*kinds.values()]
    while left:
        for name in references(left.pop()) - needed.keys():
            needed[name] = said(every[name])
            left.append(needed[name])
    return kinds, needed


def references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"].rpartition("/")[2]} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*map(references, schema.values()))
    return set().union(*map(references, schema)) if isinstance(schema, list) else set()


def said(schema: Any) -> Any:
    """Without descriptions, and with references into this file."""
    if isinstance(schema, list):
        return [said(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        name: said(one)
        for name, one in schema.items()
        if not (name in ("description", "$schema") and isinstance(one, str))
    }
    if isinstance(kept.get("$ref"), str):
        kept["$ref"] = "#/definitions/" + kept["$ref"].rpartition("/")[2]
    return kept


def custom(definition: dict[str, Any]) -> dict[str, Any]:
    """The kinds of a custom resource definition: of each version, what may stand there, and nothing else."""
    spec = definition["spec"]
    return {
        f"{spec['group']}/{version['name']}/{spec['names']['kind']}": strict(said(version["schema"]["openAPIV3Schema"]))
        for version in spec["versions"]
    }


def strict(schema: Any) -> Any:
    """Kubernetes drops what a structural schema doesn't name; here it is an error."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(one) for name, one in schema.items()}
    open_ = made.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
    if made.get("type") == "object" and made.get("properties") and not open_ and made.get("title") != "metadata":
        made["additionalProperties"] = False
    if made.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    return made


def main(folder: str, *files: str) -> None:
    kinds, definitions = kubernetes(Path(folder))
    for file in files:
        kinds |= custom(yaml.safe_load(Path(file).read_text()))
    SCHEMAS.write_text(
        json.dumps({"kinds": kinds, "definitions": definitions}, separators=(",", ":"), sort_keys=True) + "\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
