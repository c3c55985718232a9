"""hatch_build.py: when it fetches, and where it takes npm from."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import hatch_build
from tests.programs import ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree whose static/vendor is current, with stand-ins for the fetched files."""
    vendor = tmp_path / "static" / "vendor"
    vendor.mkdir(parents=True)
    for name in hatch_build.LOCKED:
        shutil.copy(ROOT / name, tmp_path)
    for name in hatch_build.ASSETS.values():
        (vendor / name).write_text("fetched")
    (vendor / hatch_build.STAMP).write_text(hatch_build.stamp_of(tmp_path))
    return tmp_path


def _hook(root: Path, target: str = "wheel") -> hatch_build.AssetsHook:
    anything = SimpleNamespace()
    return hatch_build.AssetsHook(str(root), {}, anything, anything, "", target)  # type: ignore[arg-type]


@pytest.fixture
def without_npm(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))


@pytest.mark.usefixtures("without_npm")
def test_it_asks_for_node_where_there_is_no_npm(tree: Path) -> None:
    (tree / "static" / "vendor" / "htmx.min.js").unlink()
    assert _hook(tree).dependencies() == [hatch_build.NODE_FROM_PYPI]


@pytest.mark.usefixtures("without_npm")
def test_it_asks_for_nothing_when_all_is_fetched(tree: Path) -> None:
    assert _hook(tree).dependencies() == []


@pytest.mark.usefixtures("without_npm")
def test_it_fetches_nothing_for_an_sdist(tree: Path) -> None:
    (tree / "static" / "vendor" / "htmx.min.js").unlink()
    assert _hook(tree, "sdist").dependencies() == []
    _hook(tree, "sdist").initialize("standard", {})
    assert not (tree / "static" / "vendor" / "htmx.min.js").exists()


@pytest.mark.usefixtures("without_npm")
def test_it_keeps_what_is_current(tree: Path) -> None:
    build_data: dict[str, dict[str, str]] = {"force_include": {}}
    _hook(tree).initialize("standard", build_data)
    assert (tree / "static" / "vendor" / "htmx.min.js").read_text() == "fetched"
    assert set(build_data["force_include"].values()) == {"dashboard/templates", "dashboard/static"}


def test_an_editable_install_copies_nothing(tree: Path) -> None:
    build_data: dict[str, dict[str, str]] = {"force_include": {}}
    _hook(tree).initialize("editable", build_data)
    assert build_data == {"force_include": {}}


def test_another_lock_makes_it_fetch_anew(tree: Path) -> None:
    assert hatch_build.is_current(tree)
    with (tree / "package-lock.json").open("a") as lock:
        lock.write("\n")
    assert not hatch_build.is_current(tree)


def test_a_missing_file_makes_it_fetch_anew(tree: Path) -> None:
    (tree / "static" / "vendor" / "uPlot.min.css").unlink()
    assert not hatch_build.is_current(tree)


@pytest.mark.usefixtures("without_npm")
def test_without_any_npm_it_says_so(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build, "find_spec", lambda _name: None)
    (tree / "static" / "vendor" / "htmx.min.js").unlink()
    with pytest.raises(FileNotFoundError, match="no npm on this machine"):
        _hook(tree).initialize("standard", {"force_include": {}})
