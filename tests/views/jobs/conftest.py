"""Two caches, on one server."""

from __future__ import annotations

import pytest

from dashboard.settings import Settings
from tests.servers import Server


@pytest.fixture
def settings(settings: Settings, valkey: Server) -> Settings:
    return settings.model_copy(
        update={"caches": Settings(caches=f"main={valkey.url} other={valkey.url}/1").caches}  # type: ignore[arg-type]
    )
