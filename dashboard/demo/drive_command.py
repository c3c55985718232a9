"""`python -m dashboard.demo drive`: the shop's visitors, and the bench beside them."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from dashboard.demo.driver import run
from dashboard.demo.signals import on_signals

SHOP = "http://127.0.0.1:8001"


@click.command()
@click.option("--url", "urls", multiple=True, default=[SHOP], show_default=True, help="The shop; one a process.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=150.0, show_default=True, help="Requests a second."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same requests for the same seed.")
@click.option(
    "--bench-port",
    type=click.IntRange(1, 65535),
    help="Where the bench answers, on 127.0.0.1; else there is none.",
)
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Folder in which the last comparison is kept."
)
def drive(urls: tuple[str, ...], rate: float, seed: int, bench_port: int | None, data: Path | None) -> None:
    """Send the shop requests as its visitors would."""
    stop = threading.Event()
    on_signals(stop.set)
    try:
        if data:
            data.mkdir(parents=True, exist_ok=True)
        run(list(urls), rate, stop, seed=seed, bench_port=bench_port, data=data)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the bench cannot answer on port {bench_port}: {error}") from error
