"""What the server that runs the application lets it know: that it is about to end."""

from __future__ import annotations

STOPPING = "cachedeck_stopping"
"""In `app.extensions`: a function that says whether the process is about to end; not there where nobody knows."""
