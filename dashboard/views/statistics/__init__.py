"""Statistics of a cache over time."""
