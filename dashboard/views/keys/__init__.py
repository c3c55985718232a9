"""Keys: the search, one key, its value, exports."""
