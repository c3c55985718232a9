"""For a WSGI server of one's own; `cachedeck web` serves the same app with settings that fit it.

Keys of 10 kB stand in URLs, so gunicorn needs: `--limit-request-line 0 --limit-request-field_size 65536`,
and threads, since streams each hold one: `--worker-class gthread --threads 16`.
"""

from __future__ import annotations

from dashboard import create_app

app = create_app()
