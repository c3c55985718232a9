"""The Lab: the demo's caching patterns, tried out."""
