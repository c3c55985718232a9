"""One key's value, a bounded page at a time."""
