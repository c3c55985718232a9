"""Other TTLs for the keys of a selection."""
