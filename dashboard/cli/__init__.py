"""The `cachedeck` command: main.py, and a module for each verb."""
