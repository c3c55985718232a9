"""`cachedeck operator`: accounts from the command line, for the first admin and for a lost password."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import click

from dashboard.settings import BadSettings, load_settings, prepare_data_folder
from dashboard.store import audit, operators
from dashboard.store.audit import JSON, Attempt, Change
from dashboard.store.engine import Store, open_store
from dashboard.store.errors import StoreError
from dashboard.store.operators import Operator, Role

ROLES = [role.label for role in Role]


@click.group("operator")
def operator_group() -> None:
    """Add operators, list them, change their role or password, disable them."""


@operator_group.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="viewer looks, operator acts, admin manages.")
@click.option("--reason", default="", help="Kept in the audit trail.")
def add(name: str, role: str, reason: str) -> None:
    """Add an operator NAME. Asks for the password; reads one line where the input is no terminal."""
    with opened_store() as store:
        password = _new_password()
        with _change(store, "operator.add", name, None, reason) as attempt:
            operators.add(store, name, password, Role.parse(role))
            attempt.done(after={"role": role})
    click.echo(f"{name} was added as {role}.")


@operator_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON list, times as epoch seconds.")
def list_them(as_json: bool) -> None:
    """List all operators, the disabled ones too."""
    with opened_store() as store:
        found = operators.all_operators(store)
    if as_json:
        click.echo(json.dumps([_facts(one) for one in found], indent=2))
        return
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        click.echo(f"{one.name:{width}}  {one.role.label:8}  {'enabled' if one.enabled else 'disabled'}")


@operator_group.command("passwd")
@click.argument("name")
@click.option("--reason", default="", help="Kept in the audit trail.")
def passwd(name: str, reason: str) -> None:
    """Set the password of NAME; their sessions end."""
    with opened_store() as store:
        one, password = _named(store, name), _new_password()
        with _change(store, "operator.password", one.name, None, reason) as attempt:
            operators.set_password(store, one.id, password)
            attempt.done(after={"password": "changed"})
    click.echo(f"{name} has a new password.")


@operator_group.command("disable")
@click.argument("name")
@click.option("--reason", default="", help="Kept in the audit trail.")
def disable(name: str, reason: str) -> None:
    """Let NAME in no longer; their sessions end."""
    _set_enabled(name, reason, enabled=False)


@operator_group.command("enable")
@click.argument("name")
@click.option("--reason", default="", help="Kept in the audit trail.")
def enable(name: str, reason: str) -> None:
    """Let a disabled NAME in again."""
    _set_enabled(name, reason, enabled=True)


@operator_group.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--reason", default="", help="Kept in the audit trail.")
def change_role(name: str, role: str, reason: str) -> None:
    """Give NAME another ROLE; their sessions end."""
    with opened_store() as store:
        one = _named(store, name)
        with _change(store, "operator.role", one.name, {"role": one.role.label}, reason) as attempt:
            operators.set_role(store, one.id, Role.parse(role))
            attempt.done(after={"role": role})
    click.echo(f"{name} is {role} now.")


@contextmanager
def opened_store() -> Iterator[Store]:
    """The store of the settings, closed afterwards; what it refuses ends the command with a sentence."""
    try:
        settings = load_settings()
        prepare_data_folder(settings)
        with closing(open_store(settings.database)) as store:
            yield store
    except BadSettings as error:
        raise click.ClickException(str(error)) from None
    except StoreError as error:
        raise click.ClickException(f"{error.sentence} {error.advice}".strip()) from None


def _set_enabled(name: str, reason: str, *, enabled: bool) -> None:
    action = "operator.enable" if enabled else "operator.disable"
    with opened_store() as store:
        one = _named(store, name)
        with _change(store, action, one.name, {"enabled": one.enabled}, reason) as attempt:
            operators.set_enabled(store, one.id, enabled)
            attempt.done(after={"enabled": enabled})
    click.echo(f"{name} is {'enabled' if enabled else 'disabled'} now.")


def _change(
    store: Store, action: str, subject: str, before: JSON | None, reason: str
) -> AbstractContextManager[Attempt]:
    """An audited change in the name of the user of this machine."""
    actor = f"cli:{getpass.getuser()}"
    return audit.record(store, Change(actor, "local", "", action, subject, before, reason))


def _named(store: Store, name: str) -> Operator:
    found = operators.by_name(store, name)
    if found is None:
        raise click.ClickException(f"There is no operator {name!r}.")
    return found


def _new_password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt="Password again"))
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.ClickException("No password came on standard input.")
    return password


def _facts(one: Operator) -> dict[str, JSON]:
    return {
        "name": one.name,
        "role": one.role.label,
        "enabled": one.enabled,
        "created_at": one.created_at,
        "last_login_at": one.last_login_at,
    }
