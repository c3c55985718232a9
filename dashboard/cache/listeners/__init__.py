"""Clients that listen: subscribers and those with copies of keys."""
