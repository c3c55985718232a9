"""`cachedeck policy`: see a cache's settings of memory and eviction, change them, try them, take them back."""

from __future__ import annotations

import json

import click

from dashboard.cli.desk import opened
from dashboard.cli.policy_change import roll_back, set_settings
from dashboard.cli.policy_json import of_change, of_current, of_trial
from dashboard.cli.policy_trial import end_trial, try_settings
from dashboard.cli.policy_words import current_lines, history_lines
from dashboard.cli.text import say
from dashboard.jobs import tuning
from dashboard.store import setting_changes, trials


@click.group("policy")
def policy_group() -> None:
    """Settings of memory and eviction: see, change, try and take back."""


policy_group.add_command(set_settings)
policy_group.add_command(try_settings)
policy_group.add_command(roll_back)
policy_group.add_command(end_trial)


@policy_group.command("show")
@click.option("--cache", "name", help="Which cache; may be left out when only one is configured.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(name: str | None, *, as_json: bool) -> None:
    """Print the settings of every node, and what each policy would mean for this cache."""
    with opened(name) as desk:
        now = tuning.current(desk.store, desk.settings, desk.cache)
        apart = tuning.not_in_file(desk.cache, now.nodes)
        open_ones = trials.open_on(desk.store, [desk.cache.name])
        if as_json:
            click.echo(json.dumps(of_current(desk.cache.name, now, apart, open_ones), ensure_ascii=False))
            return
        say(current_lines(desk.cache.name, now, apart, open_ones))


@policy_group.command("history")
@click.option("--cache", "name", help="Which cache; may be left out when only one is configured.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many changes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with changes and trials.")
def history(name: str | None, limit: int, *, as_json: bool) -> None:
    """Print the changes of settings that Cachedeck made, the newest first, and the trials."""
    with opened(name) as desk:
        changes = setting_changes.of_cache(desk.store, desk.cache.name, limit)
        tried = trials.of_cache(desk.store, desk.cache.name, limit)
    if as_json:
        told = {"changes": [of_change(one) for one in changes], "trials": [of_trial(one) for one in tried]}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    say(history_lines(changes, tried))
    if not changes and not tried:
        click.echo("Cachedeck has changed no setting of this cache.", err=True)
