"""`python -m dashboard.demo`: the shop (`serve`), its visitors (`drive`), and all patterns side by side (`compare`).

The cache's address may hold a password and therefore comes by the environment (DEMO_CACHE_URL), where no process
list shows it. Each runs until SIGTERM or SIGINT; the shop and its visitors log to standard output.
"""

from __future__ import annotations

import logging
import sys

import click

from dashboard.demo.compare_command import compare
from dashboard.demo.drive_command import drive
from dashboard.demo.serve_command import serve


@click.group()
def main() -> None:
    """A small shop behind a cache, and the visitors that keep it busy."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)


main.add_command(compare)
main.add_command(serve)
main.add_command(drive)


if __name__ == "__main__":
    main(prog_name="python -m dashboard.demo")
