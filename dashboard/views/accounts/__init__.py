"""Signing in, operators, tokens, and the trail of what they changed."""
