"""The lock files say exactly what is installed, by hash, and from no particular place."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.programs import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def _locked(path: Path) -> dict[str, str]:
    """Canonical name -> the text of its entry, hashes included."""
    entries = re.split(r"\n(?=\S)", path.read_text())
    return {canonicalize_name(entry.split("==")[0]): entry for entry in entries if "==" in entry.split("\n")[0]}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_each_requirement_has_a_hash(path: Path) -> None:
    locked = _locked(path)
    assert locked
    assert not [name for name, entry in locked.items() if "--hash=sha256:" not in entry]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_no_lock_names_an_index(path: Path) -> None:
    assert not re.search(r"https?://|file:|--index-url|--find-links", path.read_text())


def test_what_the_package_needs_is_locked_in_a_version_that_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for lock, requirements in {
        "runtime.txt": project["project"]["dependencies"],
        "dev.txt": project["project"]["dependencies"] + project["dependency-groups"]["dev"],
    }.items():
        locked = _locked(ROOT / "requirements" / lock)
        for requirement in map(Requirement, requirements):
            entry = locked[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(entry.split("==")[1].split()[0]), (lock, str(requirement))


def test_tests_run_with_the_versions_that_users_get() -> None:
    runtime, dev = (_locked(ROOT / "requirements" / name) for name in ("runtime.txt", "dev.txt"))
    assert {name: entry.split()[0] for name, entry in runtime.items()}.items() <= {
        name: entry.split()[0] for name, entry in dev.items()
    }.items()


def test_each_npm_package_has_its_integrity_and_no_address() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
