"""Who sends a request: the session of its cookie."""

from __future__ import annotations

import re

from flask import Request

SESSION_ID = re.compile(r"[0-9a-f]{16}")


def session_id(request: Request) -> str | None:
    """The id in the cookie `sid`; None where there is none of our form, so that it is safe in a key."""
    sid = request.cookies.get("sid", "")
    return sid if SESSION_ID.fullmatch(sid) else None
