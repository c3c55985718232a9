"""The console: what servers publish, as it happens."""
