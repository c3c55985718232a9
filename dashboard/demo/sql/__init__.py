"""The shop's database: tables, triggers and outbox, what is asked of it and what is changed. Knows no cache."""
