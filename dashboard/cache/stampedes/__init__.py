"""Stampedes on keys, found while they happen, and what is looked up and missed."""
