"""Invalidations: plans, executions, undos, and the removal of single keys."""
