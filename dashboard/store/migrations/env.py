"""Alembic's entry: the caller has opened the connection and begun the transaction."""

from __future__ import annotations

from alembic import context

from dashboard.store.schema import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
