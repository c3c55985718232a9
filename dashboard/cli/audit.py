"""`cachedeck audit`: verify the chain of the audit trail, and take it elsewhere."""

from __future__ import annotations

import click

from dashboard.cli.operators import opened_store
from dashboard.store import audit
from dashboard.store.audit_query import STATUSES, BadFilter, from_query
from dashboard.store.audit_text import as_line


@click.group("audit")
def audit_group() -> None:
    """Verify the audit trail and export it."""


@audit_group.command("verify")
@click.pass_context
def verify(context: click.Context) -> None:
    """Walk the whole chain of hashes. Exit status 0: whole; 1: changed, missing or added rows.

    Note the head hash somewhere that this machine cannot write to: who can rewrite the whole trail
    can rewrite its hashes too, but not your note.
    """
    with opened_store() as store:
        checked = audit.verify(store)
    for problem in checked.problems:
        click.echo(problem, err=True)
    verdict = "is damaged" if checked.problems else "is whole"
    click.echo(f"The audit trail {verdict}: {checked.entries} rows, head {checked.head or 'none'}")
    context.exit(1 if checked.problems else 0)


@audit_group.command("export")
@click.option("--actor", default="", help="Only changes by this operator.")
@click.option("--cache", default="", help="Only changes to this cache.")
@click.option("--action", default="", help="Only this action, such as key.ttl.")
@click.option("--subject", default="", help="Only subjects that contain this.")
@click.option("--status", type=click.Choice([s for s, _ in STATUSES if s]), help="Only this outcome.")
@click.option("--since", default="", help="From this time on, such as 2026-01-31 or 2026-01-31T14:05 (UTC).")
@click.option("--until", default="", help="Up to this time.")
def export(**filters: str | None) -> None:
    """Print the entries as JSON lines, oldest first."""
    try:
        wanted = from_query({name: value or "" for name, value in filters.items()})
    except BadFilter as error:
        raise click.ClickException(str(error)) from None
    with opened_store() as store:
        for entry in audit.export(store, wanted):
            click.echo(as_line(entry), nl=False)
