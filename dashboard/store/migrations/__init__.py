"""Alembic's scripts, run by `dashboard.store.migrate`; there is no alembic.ini."""
