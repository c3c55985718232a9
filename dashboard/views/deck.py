"""Deck: what the running application holds. Made by create_app, looked up by views; nothing is global."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import Flask, current_app

from dashboard.cache.events.hub import Hub
from dashboard.cache.servers.connect import Cache
from dashboard.settings import Settings
from dashboard.store.engine import Store

_EXTENSION = "cachedeck"


@dataclass(frozen=True)
class Deck:
    """Settings, our own state, the caches by name in the order in which they are configured, and who listens to
    them."""

    settings: Settings
    store: Store
    caches: Mapping[str, Cache]
    hub: Hub = field(default_factory=Hub)

    def close(self) -> None:
        """Close every connection. The application answers nothing sensible afterwards."""
        self.hub.close()
        for cache in self.caches.values():
            cache.close()
        self.store.close()


def install(app: Flask, made: Deck) -> None:
    app.extensions[_EXTENSION] = made


def deck() -> Deck:
    """The deck of the current application."""
    found = current_app.extensions[_EXTENSION]
    assert isinstance(found, Deck)  # noqa: S101  (narrows the type; only create_app writes it)
    return found
