"""What a user gets: the sdist, the wheel built from it, installed elsewhere, started, looked at."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import hatch_build
from tests.programs import ROOT, environment, running
from tests.servers import HOST, free_port

pytestmark = pytest.mark.packaging


def _tracked() -> list[str]:
    """The files of a clean checkout: what git tracks or would, and what is still there."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def _run(*command: str | Path, cwd: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of a clean checkout and the wheel that was built from that sdist."""
    checkout, target = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for name in _tracked():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    _run(sys.executable, "-m", "build", "--outdir", target, checkout, cwd=target)
    return target


@pytest.fixture(scope="module")
def contents(dist: Path) -> set[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        return set(wheel.namelist())


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an otherwise empty environment with the wheel and what it asks for, in locked versions."""
    folder = tmp_path_factory.mktemp("installed")
    versions = re.findall(r"^\S+==\S+(?: ;[^\\\n]*)?", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)
    (folder / "versions.txt").write_text("\n".join(versions))
    _run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = [folder / "venv/bin/python", "-m", "pip", "--disable-pip-version-check"]
    _run(*pip, "install", "--quiet", "-c", folder / "versions.txt", next(dist.glob("*.whl")), cwd=folder)
    _run(*pip, "check", cwd=folder)
    return folder / "venv/bin"


@pytest.fixture(scope="module")
def url(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a `cachedeck web` that runs from the installed wheel, far from the checkout."""
    elsewhere, port = tmp_path_factory.mktemp("elsewhere"), free_port()
    settings = environment(elsewhere / "data", CACHEDECK_PORT=str(port))
    settings.pop("PYTHONPATH")
    with running([str(installed / "cachedeck"), "web"], settings, cwd=elsewhere) as program:
        program.has_said("Serving at")
        yield f"http://{HOST}:{port}"


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=120) as answer:
        body: bytes = answer.read()
    return body


def test_the_wheel_holds_every_file_of_the_package(contents: set[str]) -> None:
    ours = {name for name in _tracked() if name.startswith("dashboard/")}
    assert {name for name in ours if "/migrations/" in name}
    assert ours <= contents


@pytest.mark.parametrize("folder", ["templates", "static"])
def test_the_wheel_holds_what_lies_beside_the_package(contents: set[str], folder: str) -> None:
    ours = {f"dashboard/{name}" for name in _tracked() if name.startswith(f"{folder}/")}
    assert ours
    assert ours <= contents


def test_the_wheel_holds_the_fetched_assets_with_their_licences(contents: set[str]) -> None:
    assert {f"dashboard/static/vendor/{name}" for name in hatch_build.ASSETS.values()} <= contents


def test_the_wheel_holds_nothing_else(contents: set[str]) -> None:
    assert {name.split("/")[0].partition("-")[0] for name in contents} == {"dashboard", "cachedeck"}
    assert not [name for name in contents if "axe" in name or "node_modules" in name]


def test_the_sdist_holds_no_fetched_assets(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = sdist.getnames()
    assert any(name.endswith("/hatch_build.py") for name in names)
    assert not [name for name in names if "/static/vendor/" in name or "/node_modules/" in name]


def test_the_login_page_comes_with_all_that_it_links(url: str) -> None:
    page = _read(f"{url}/login").decode()
    linked = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert "password" in page
    assert any("/vendor/htmx.min.js" in link for link in linked)
    assert all(_read(url + link) for link in linked)


def test_the_installed_program_knows_its_version(installed: Path, tmp_path: Path) -> None:
    _run(installed / "cachedeck", "--version", cwd=tmp_path)
