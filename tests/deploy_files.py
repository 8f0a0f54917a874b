"""What deploy/ holds, as data; and what a container of it would run, run on this machine instead."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"


def compose() -> dict[str, Any]:
    """The services of compose.yaml, anchors followed, and `${NAME:-default}` as its default."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (COMPOSE / "compose.yaml").read_text())
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services


def clean() -> dict[str, str]:
    """The environment without settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PUMASI_")}


def settings_of(service: dict[str, Any], replaced: dict[str, str]) -> dict[str, str]:
    """The environment in which a service of compose.yaml starts; its mounts, and all else that is `replaced`, as here."""
    mounts = {}
    for mount in service.get("volumes", []):
        source, target, *_ = mount.split(":")
        mounts[target] = source
    told = {"PUMASI_KEYS": "/keys", **service.get("environment", {})}
    ours = clean()
    for name, said in told.items():
        value = said or ""
        for here, there in {**mounts, **replaced}.items():
            value = re.sub(rf"^{re.escape(here)}(?=/|$)", there, value)
        ours[name] = value
    return {name: value for name, value in ours.items() if value}


KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("dev", "production")


def manifests() -> dict[Path, list[dict[str, Any]]]:
    """Every file of deploy/kubernetes that is applied as it is, by path: neither kustomizations nor patches."""
    files = (path for path in KUBERNETES.rglob("*.yaml") if path.name != "kustomization.yaml")
    patches = {KUBERNETES / "production" / name for name in ("intake.yaml", "notifier.yaml")}
    return {path: documents(path.read_text()) for path in sorted(files) if path not in patches}


def documents(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]


FOREIGN = {"kafka", "prometheus", "grafana"}
"""Services of compose.yaml that are none of Pumasi's own commands."""
PUMASI = [sys.executable, "-P", "-m", "services.cli"]
