"""A module that calls itself pure is held to it by the contract of import-linter that says what this means."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONTRACT = "pure modules know no redis"


def _held() -> tuple[str, ...]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = (one["source_modules"] for one in contracts if one["name"] == CONTRACT)
    return tuple(found)


def _claiming() -> set[str]:
    """Without those of the lab, which has a stricter contract of its own."""
    found = set()
    for path in (ROOT / "dashboard").rglob("*.py"):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if " Pure" in said or "[pure]" in said:
            found.add(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    return {name for name in found if not name.startswith("dashboard.lab.")}


def test_whatever_calls_itself_pure_is_held_to_it() -> None:
    held = _held()
    loose = {name for name in _claiming() if not any(name == one or name.startswith(f"{one}.") for one in held)}
    assert loose == set()


def test_the_contract_names_modules_that_are_there() -> None:
    for name in _held():
        path = ROOT.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
