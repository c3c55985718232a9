"""Analyses of a keyspace, and the screens that draw them: Expiry, Memory, comparisons, TTL rules."""
