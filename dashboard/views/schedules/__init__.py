"""Invalidations that are carried out later."""
