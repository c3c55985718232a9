"""Findings about settings, each on a real server. Trials have theirs in tests/jobs/test_knowing.py."""

from __future__ import annotations

from pathlib import Path

from tests.cache.findings.looked import looked, now, plain, said, taken, unsaid, with_values
from tests.programs import wait_until
from tests.servers import HOST, running, start


def test_a_replica_with_other_settings() -> None:
    with running("--maxmemory", "64mb") as primary, running("--replicaof", f"{HOST} {primary.port}") as replica:
        wait_until(lambda: taken(primary).get("replicas_online") == 1, "it replicates")
        with replica.client() as client:
            client.config_set("maxmemory", "64mb")
            unsaid("replica-policy", with_values(now(primary), **looked(primary)))
            unsaid("replica-maxmemory", with_values(now(primary), **looked(primary)))
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", "32mb")
        seen = with_values(now(primary), **looked(primary))
        assert plain(said("replica-policy", seen)).startswith("1 replica has another maxmemory-policy")
        assert plain(said("replica-maxmemory", seen)).startswith("1 replica has another maxmemory than")


def test_primaries_with_different_settings() -> None:
    with running("--maxmemory", "64mb") as one, running("--maxmemory", "64mb") as other:
        unsaid("primaries-differ", now(one, other))
        with other.client() as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", "32mb")
        found = plain(said("primaries-differ", now(one, other)))
        assert "policies (allkeys-lru, noeviction) and maxmemory (32 MB, 64 MB)" in found


def test_settings_that_a_restart_would_lose(tmp_path: Path) -> None:
    file = tmp_path / "valkey.conf"
    file.write_text("maxmemory 64mb\nmaxmemory-policy allkeys-lru\n")
    server = start(config=file)
    try:
        unsaid("settings-not-in-file", with_values(now(server), **looked(server)))
        with server.client() as client:
            client.config_set("maxmemory-policy", "allkeys-random")
        found = said("settings-not-in-file", with_values(now(server), **looked(server)))
        assert plain(found).startswith("1 setting differs from the configuration file")
    finally:
        server.stop()
