"""Which keys: selections, patterns, and names and namespaces of keys. Pure."""
