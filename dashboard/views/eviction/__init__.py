"""Eviction: pressure, evidence, the editor of settings, their changes and trials."""
