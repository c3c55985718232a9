"""Keys and what they hold, as lines of JSON."""
