"""The image of deploy/Containerfile, built and run: the rehearsal of test_deployed.py, with each service in a container, confined as
compose.yaml says. Kafka itself runs beside them.

`PODMAN` says how podman is called (unset: `podman`); its own settings say the rest (CONTAINERS_CONF, CONTAINERS_STORAGE_CONF). The
image begins with one that a registry has; `tests/stand-in-base` makes one of that name where none is in reach.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.bus.embedded.ports import free_port
from tests.broker.test_deployed import Cluster, answers_a_pledge, until
from tests.deploy_files import COMPOSE, DEPLOY, ROOT, clean, compose

pytestmark = [pytest.mark.broker, pytest.mark.timeout(1500)]  # the first build installs and compiles everything

PODMAN = shlex.split(os.environ.get("PODMAN", "podman"))
[BASE] = set(re.findall(r"^FROM (\S+)", (DEPLOY / "Containerfile").read_text(), re.MULTILINE))
IMAGE = "localhost/pumasi-under-test"
SERVICES = ("intake", "matcher", "notifier", "ender")
SIZE_MAX = 400_000_000
"""Of what the image adds to its base, bytes."""


def podman(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*PODMAN, *command], text=True, capture_output=True)
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The image, built from this checkout."""
    if shutil.which(PODMAN[0]) is None:
        pytest.skip("needs podman: apt-get install --no-install-recommends podman buildah crun")
    if os.geteuid() != 0:
        pytest.skip("needs root, to give the keys to the user of the image")
    if podman("image", "exists", BASE, check=False).returncode and podman("pull", "-q", BASE, check=False).returncode:
        pytest.skip(f"needs {BASE}: no registry is in reach, and tests/stand-in-base was not called")
    how = ["--pull=never", "--format=docker", "--isolation=chroot", "--network=host", "--layers"]
    podman("build", *how, "-f", DEPLOY / "Containerfile", "-t", IMAGE, ROOT)
    yield IMAGE
    podman("untag", IMAGE)


def confined(service: str, *mounts: str, **environment: str) -> list[str]:
    """How a service of compose.yaml is run, but in the network of this machine, where its Kafka is; what is not said is the image's."""
    one = compose()[service]
    said = ["run", "--rm", "--network=host", f"--user={one['user']}"]
    said += ["--read-only"] * one["read_only"]
    said += [f"--cap-drop={name}" for name in one["cap_drop"]] + [
        f"--cap-add={name}" for name in one.get("cap_add", [])
    ]
    said += [f"--security-opt={name.replace(':true', '')}" for name in one["security_opt"]]
    said += [f"--tmpfs={mount}" for mount in one["tmpfs"]] + [f"--volume={mount}" for mount in mounts]
    return said + [f"--env={name}={value}" for name, value in environment.items()]


class Containers(Cluster):
    """What compose.yaml describes, in containers of the image."""

    def prepare(self) -> None:
        self.secrets.mkdir(exist_ok=True)
        entry, *arguments = compose()["prepare"]["entrypoint"]
        mounts = [self._mount(mount) for mount in compose()["prepare"]["volumes"]]
        podman(*confined("prepare", *mounts), f"--entrypoint={entry}", IMAGE, *arguments)

    def admins_keys(self) -> Path:
        """A copy that is ours: keys are taken from nobody else."""
        return shutil.copytree(self.secrets / "all", self.home / "admin", dirs_exist_ok=True)

    def called(self, service: str, *command: str, **more: str) -> tuple[list[str], dict[str, str]]:
        one = compose()[service]
        told = {name: value or "" for name, value in one["environment"].items()}
        told |= {"PUMASI_KAFKA": f"localhost:{self.ports[9092]}", "PUMASI_HEALTH_PORT": str(free_port()), **more}
        mounts = [self._mount(mount) for mount in one["volumes"]]
        name = [f"--name={self.name(service)}"] if service in SERVICES else []
        return [*PODMAN, *confined(service, *mounts, **told), *name, IMAGE, *command], clean()

    def name(self, service: str) -> str:
        return f"pumasi-{service}-{self.ports[9092]}"

    def _mount(self, mount: str) -> str:
        source, *target = mount.split(":")
        here = source.replace("./secrets", str(self.secrets))
        return ":".join([here if source.startswith("./secrets") else str((COMPOSE / source).resolve()), *target])


def in_the_image(command: str) -> str:
    """What a shell says in it, run as a service."""
    return podman(*confined("matcher"), "--entrypoint=sh", IMAGE, "-c", command).stdout


def test_the_image_is_small_and_holds_nothing_that_is_only_for_building(image: str) -> None:
    size, base = (int(podman("image", "inspect", "-f", "{{.Size}}", name).stdout) for name in (image, BASE))
    assert size - base < SIZE_MAX
    assert in_the_image("command -v gcc java pip || echo none").split()[-1:] == ["none"]
    assert "\ncython" not in in_the_image("ls /pumasi/.venv/lib/python3.*/site-packages").lower()
    assert not [name for name in in_the_image("ls -A /pumasi").split() if "key" in name or "pumasi" in name]


def test_a_service_is_nobody_and_can_write_nothing(image: str) -> None:
    assert in_the_image("id -u").split() == ["10001"]
    tried = in_the_image(
        "for at in / /pumasi /pumasi/services /var /etc; do touch $at/x 2>/dev/null && echo $at; done; true"
    )
    assert tried.split() == []
    told = dict(line.split(":\t", 1) for line in in_the_image("cat /proc/self/status").splitlines() if ":\t" in line)
    assert {int(told[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")} == {0}
    assert told["NoNewPrivs"] == "1"


def test_the_hot_path_in_it_is_compiled(image: str) -> None:
    ask = "from services.matcher.model import entities; print(entities.__file__)"
    assert in_the_image(f"python -P -c '{ask}'").strip().endswith(".so")


def test_it_answers_a_pledge_in_containers_each_healthy(image: str, data_dir: Path) -> None:
    cluster = Containers(data_dir)
    try:
        answers_a_pledge(cluster, lambda: [until(lambda one=one: is_healthy(cluster, one)) for one in SERVICES])
    finally:
        podman("rm", "--force", "--ignore", *map(cluster.name, SERVICES))


def is_healthy(cluster: Containers, service: str) -> bool:
    """By the image's own health check."""
    return podman("healthcheck", "run", cluster.name(service), check=False).returncode == 0
