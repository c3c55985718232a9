"""Servers' settings: what they are, what a change would do, and making it."""
