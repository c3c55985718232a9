"""The managed servers: which they are, how they are reached, and what this user may do there."""
