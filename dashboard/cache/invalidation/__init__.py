"""Removing keys or letting them expire: planned, kept for the undo, carried out, and taken back."""
