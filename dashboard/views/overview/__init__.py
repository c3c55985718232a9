"""The first page of a cache: findings and figures."""
