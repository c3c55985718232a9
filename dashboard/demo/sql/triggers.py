"""Triggers by which every change of a row grows its version and is noted in the outbox, whoever makes it.

They are in the database, so a change made by psql, sqlite3 or another program is told of like the shop's own, and in
the same transaction as the change, so neither can happen without the other. What no trigger sees is not told: TRUNCATE,
and rows that SQLite's INSERT OR REPLACE removes on the way.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from dashboard.demo.sql.schema import KINDS, Versioned

CHANNEL = "shop_outbox"  # of PostgreSQL's NOTIFY


def create_triggers(connection: sa.Connection) -> None:
    """To be called when the tables are filled: what they are filled with is no news."""
    for statement in _sqlite() if connection.dialect.name == "sqlite" else _postgres():
        connection.exec_driver_sql(statement)


def _sqlite() -> Iterator[str]:
    for table, key in (("users", "id"), ("products", "id"), ("prices", "sku")):
        # A change that does not grow the version itself. The inner UPDATE does, and so ends here.
        yield f"""CREATE TRIGGER {table}_grow AFTER UPDATE ON {table} WHEN NEW.version <= OLD.version BEGIN
            UPDATE {table} SET version = OLD.version + 1 WHERE {key} = NEW.{key}; END"""  # noqa: S608
    for event, users in (
        ("INSERT", "NEW.user_id"),
        ("UPDATE", "OLD.user_id, NEW.user_id"),
        ("DELETE", "OLD.user_id"),
    ):
        # The profile shows how many posts there are, so it has changed as well.
        yield f"""CREATE TRIGGER posts_{event.lower()} AFTER {event} ON posts BEGIN
            UPDATE users SET version = version + 1, posts_version = posts_version + 1
            WHERE id IN ({users}); END"""  # noqa: S608
    for kind, row in KINDS.items():
        yield from _sqlite_telling(kind, row)


def _sqlite_telling(kind: str, row: Versioned) -> Iterator[str]:
    table, key, version = row.table.name, row.key.name, row.version.name
    note = f"INSERT INTO outbox (kind, row_id, version) VALUES ('{kind}',"  # noqa: S608 - names of our own tables
    yield f"""CREATE TRIGGER tell_{kind}_changed AFTER UPDATE ON {table} WHEN NEW.{version} > OLD.{version} BEGIN
        {note} NEW.{key}, NEW.{version}); END"""
    yield f"CREATE TRIGGER tell_{kind}_made AFTER INSERT ON {table} BEGIN {note} NEW.{key}, NULL); END"
    yield f"CREATE TRIGGER tell_{kind}_removed AFTER DELETE ON {table} BEGIN {note} OLD.{key}, NULL); END"
    yield f"""CREATE TRIGGER tell_{kind}_renamed AFTER UPDATE OF {key} ON {table} WHEN NEW.{key} <> OLD.{key} BEGIN
        {note} OLD.{key}, NULL); {note} NEW.{key}, NULL); END"""


def _postgres() -> Iterator[str]:
    # A trigger runs with the search path of whoever changes the row; each function brings its own.
    yield from (f"CREATE FUNCTION {body}" for body in (_GROW, _POSTS, _TELL, _NOTIFY))
    for table in ("users", "products", "prices"):
        yield f"CREATE TRIGGER grow BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION grow()"
    any_change = "AFTER INSERT OR UPDATE OR DELETE"
    yield f"CREATE TRIGGER posts_changed {any_change} ON posts FOR EACH ROW EXECUTE FUNCTION posts_changed()"
    for kind, row in KINDS.items():
        arguments = f"'{kind}', '{row.key.name}', '{row.version.name}'"
        table = row.table.name
        yield f"CREATE TRIGGER tell_{kind} {any_change} ON {table} FOR EACH ROW EXECUTE FUNCTION tell({arguments})"
    yield "CREATE TRIGGER wake AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION wake()"


_GROW = """grow() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.version <= OLD.version THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END $$"""

_POSTS = """posts_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE users SET version = version + 1, posts_version = posts_version + 1 WHERE id IN (OLD.user_id, NEW.user_id);
    RETURN NULL;
END $$"""

# Its arguments: the kind, the column that names the row, the column with the version.
_TELL = """tell() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    old_id text := to_jsonb(OLD) ->> TG_ARGV[1];
    new_id text := to_jsonb(NEW) ->> TG_ARGV[1];
    old_version bigint := to_jsonb(OLD) ->> TG_ARGV[2];
    new_version bigint := to_jsonb(NEW) ->> TG_ARGV[2];
BEGIN
    IF old_id IS DISTINCT FROM new_id THEN
        INSERT INTO outbox (kind, row_id)
        SELECT TG_ARGV[0], id FROM unnest(ARRAY[old_id, new_id]) AS id WHERE id IS NOT NULL;
    ELSIF new_version > old_version THEN
        INSERT INTO outbox (kind, row_id, version) VALUES (TG_ARGV[0], new_id, new_version);
    END IF;
    RETURN NULL;
END $$"""

# Only wakes the relay. What has changed is in the table, because a notification is lost when nobody listens.
_NOTIFY = f"""wake() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify('{CHANNEL}', '');
    RETURN NULL;
END $$"""
