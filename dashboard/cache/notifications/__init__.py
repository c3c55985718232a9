"""Keyspace notifications: which there are, what they cost, and hearing them."""
