"""The API for programs, below /api/v1: JSON, tokens, one shape of problems, described by OpenAPI 3.1."""
