"""What is in a keyspace, when it expires, and what it costs."""
