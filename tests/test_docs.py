"""The documentation names every setting and every command, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from dashboard.cli.main import main
from dashboard.settings import PREFIX, Settings

DOCS = Path(__file__).parent.parent / "docs"


def _documented(file: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (DOCS / file).read_text(encoding="utf-8"), re.MULTILINE))


def test_every_setting_is_documented_and_no_other() -> None:
    documented = _documented("configuration.md", rf"^\| `({PREFIX}[A-Z_]+)` \|")
    assert documented == {PREFIX + name.upper() for name in Settings.model_fields}


def test_documented_defaults_are_the_defaults() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{PREFIX}{name.upper()}` |"))
        if isinstance(field.default, str | int | float) and field.default != "":
            assert f"| `{field.default}` |" in row


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _rows() -> dict[str, str]:
    """The command of each row without what may follow it, and what is written of it in whole."""
    rows = _documented("commands.md", r"^\| `(cachedeck [^`]+)` \|")
    return {" ".join(word for word in row.split() if re.fullmatch("[a-z]+", word)): row for row in rows}


def test_every_command_is_documented_and_no_other() -> None:
    assert set(_rows()) == {path for path, _ in _commands(main, "cachedeck")}


def test_every_option_of_every_command_is_documented_and_no_other() -> None:
    rows = _rows()
    for path, command in _commands(main, "cachedeck"):
        options = {one.opts[0] for one in command.params if isinstance(one, click.Option)}
        assert set(re.findall("--[a-z][a-z0-9]*(?:-[a-z]+)*", rows[path])) == options, path


def test_every_cache_option_is_documented() -> None:
    from dashboard.cache.servers import target

    rows = _documented("configuration.md", r"^\| (`[a-z_`, ]+`) \| [^|]+ \| [^|]+ \|$")
    documented = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert documented >= target._OPTIONS


def test_files_that_the_docs_name_are_there() -> None:
    root = DOCS.parent
    folders = [
        *root.glob("*.py"),
        *DOCS.rglob("*.py"),
        *(root / "dashboard").rglob("*.py"),
        *(root / "tests").rglob("*.py"),
    ]
    files = [f"/{path.relative_to(root).as_posix()}" for path in folders]
    for page in (root / "README.md", *DOCS.glob("*.md")):
        for name in re.findall(r"[\w./-]*\w\.py\b", page.read_text(encoding="utf-8")):
            assert any(file.endswith(f"/{name}") for file in files), (page.name, name)
