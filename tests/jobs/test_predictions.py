"""What a preview predicts, held against what a real server then does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from redis.exceptions import OutOfMemoryError

from dashboard.jobs import tuning
from dashboard.jobs.sampler import Follower
from tests.cache.findings.looked import fill
from tests.jobs.tuned import ADA, Tuned, tuned
from tests.programs import wait_until
from tests.servers import Server, running

MB = 1024 * 1024


def facts(server: Server) -> dict[str, float]:
    with server.client() as client:
        return dict(client.info())


def sampled(shop: Tuned) -> None:
    Follower(shop.store, shop.cache, 2.0).sample()


def counted(text: str) -> float:
    """'13.2 k' as a number."""
    number, prefix = re.fullmatch(r"([\d.]+)\s?([kM]?)", text.replace("\u202f", " ")).groups()  # type: ignore[union-attr]
    return float(number) * {"": 1, "k": 1e3, "M": 1e6}[prefix]


def test_as_many_keys_go_as_the_preview_says(tmp_path: Path) -> None:
    with (
        running("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru") as server,
        tuned(tmp_path, server.url, [server]) as shop,
    ):
        fill(server, 40_000)
        sampled(shop)
        limit = int(facts(server)["used_memory"] * 0.6)
        seen = shop.preview({"maxmemory": str(limit)})
        (sentence,) = seen.asks
        said = re.search(r"about ([\d.]+\s?k?) keys", sentence)
        assert said, sentence
        tuning.apply(
            shop.store,
            shop.settings,
            shop.cache,
            {"maxmemory": str(limit)},
            ADA,
            fingerprint=seen.fingerprint,
            confirmed=True,
        )
        wait_until(lambda: facts(server)["used_memory"] <= limit * 1.02, "it has evicted")
        assert facts(server)["evicted_keys"] == pytest.approx(counted(said[1]), rel=0.1)


def test_writes_fail_where_the_preview_says_so(tmp_path: Path) -> None:
    with (
        running("--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru") as server,
        tuned(tmp_path, server.url, [server]) as shop,
    ):
        fill(server, 1000, ttl=600)
        fill(server, 20_000, name="for-ever")
        sampled(shop)
        limit = str(int(facts(server)["used_memory"] * 0.6))
        seen = shop.preview({"maxmemory": limit})
        assert any(one.level == "critical" and "writes would fail" in one.sentence for one in seen.remarks)
        tuning.apply(shop.store, shop.settings, shop.cache, {"maxmemory": limit}, ADA, confirmed=True)
        with server.client() as client:
            wait_until(lambda: facts(server)["evicted_keys"] == 1000, "all that has a TTL has gone")
            with pytest.raises(OutOfMemoryError):
                client.set("one more", "x" * 1000)
