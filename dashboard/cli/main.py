"""The `cachedeck` command: one verb a capability.

A verb's module is loaded when the verb is used: the process that only watches over gunicorn or over
other programs should not hold a database driver and a client library in its memory.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import click

from dashboard import __version__
from dashboard.settings import BadSettings, Settings, load_settings, prepare_data_folder


class _Verbs(click.Group):
    """Loads verbs late, and turns what the operator can mend into one sentence and an exit code, never a trace."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "analyze": "dashboard.cli.analyze:analyze_command",
        "audit": "dashboard.cli.audit:audit_group",
        "config": "dashboard.cli.config:config_group",
        "demo": "dashboard.cli.demo:demo_group",
        "events": "dashboard.cli.events:events_group",
        "export": "dashboard.cli.export:export_command",
        "invalidate": "dashboard.cli.invalidate:invalidate_command",
        "keys": "dashboard.cli.keys:keys_command",
        "operator": "dashboard.cli.operators:operator_group",
        "policy": "dashboard.cli.policy:policy_group",
        "publish": "dashboard.cli.publish:publish_command",
        "undo": "dashboard.cli.undo:undo_command",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.elsewhere})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self.elsewhere.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BadSettings as error:
            raise click.ClickException(str(error)) from None
        except Exception as error:
            # Errors of the cache and of the store carry a sentence, by which they are known without loading either.
            sentence = getattr(error, "sentence", None)
            if not isinstance(sentence, str):
                raise
            raise click.ClickException(f"{sentence} {getattr(error, 'advice', '')}".strip()) from None


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cachedeck")
def main() -> None:
    """Cachedeck: the cache operator's dashboard for Redis and Valkey."""


@main.command()
def up() -> None:
    """Start everything: the web process, the worker and, if no cache is configured, a Valkey with demo traffic."""
    from dashboard.up import run_up

    sys.exit(run_up(load_settings()))


@main.command()
def web() -> None:
    """Start the web process (gunicorn) on CACHEDECK_HOST and CACHEDECK_PORT."""
    from dashboard.serve import run_web

    settings = load_settings()
    prepare_data_folder(settings)
    _log_to_stderr(settings)
    run_web(settings)


@main.command()
def worker() -> None:
    """Start the worker: it samples every cache and does the background work."""
    from dashboard.jobs.worker import run

    settings = load_settings()
    prepare_data_folder(settings)
    _log_to_stderr(settings)
    if run(settings):
        os._exit(0)  # all is written down; the thread that waits for a server must not keep the process


def _log_to_stderr(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every look at the schema
