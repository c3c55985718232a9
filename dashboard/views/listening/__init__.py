"""Who listens to a cache, messages to them, and keyspace notifications."""
