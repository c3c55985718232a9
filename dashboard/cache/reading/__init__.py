"""Reading keys: rows, searches, namespaces, and what the vault keeps of a key."""
