"""Where to go after signing in. Pure.

The address comes from the browser, so it is believed only where it can lead nowhere but to this
application: an absolute path below the prefix, without anything that a browser would read as a host.
See WHATWG URL, "relative slash state": `//host` and `/\\host` leave the site, and tabs and newlines
are removed before parsing, so `/<tab>/host` does as well.
"""

from __future__ import annotations

from urllib.parse import urlsplit

HIGHEST_CONTROL = 0x20
DELETE = 0x7F


def safe_next(candidate: str, prefix: str = "") -> str:
    """`candidate` if it is an absolute path of this site below `prefix` ("" or "/ops/cache"), else ""."""
    if not candidate.startswith(f"{prefix}/"):
        return ""
    if candidate.startswith("//") or "\\" in candidate or any(map(_is_control, candidate)):
        return ""
    return candidate if _is_bare_path(candidate) else ""


def path_of(url: str) -> str:
    """Path and query of a URL, without scheme, host and fragment; "" for what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _is_control(character: str) -> bool:
    return ord(character) <= HIGHEST_CONTROL or ord(character) == DELETE


def _is_bare_path(candidate: str) -> bool:
    try:
        parts = urlsplit(candidate)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc
