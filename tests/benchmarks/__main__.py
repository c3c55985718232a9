"""python -m tests.benchmarks [--keys N] [PART ...]: fill, then the table.

A million keys, if not said otherwise. Without the name of a part, all of them.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import closing
from pathlib import Path

import redis

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.benchmarks import analysis, cliff, events, eviction, invalidation, keys, pages, preventions, write_behind
from tests.benchmarks.measure import Result, table
from tests.servers import Server, running


def _search(server: Server, client: redis.Redis) -> list[Result]:
    with closing(Cache(parse_target(f"main={server.url}"))) as cache:
        return keys.run(cache, client)


def _pages(server: Server, client: redis.Redis) -> list[Result]:
    with (
        tempfile.TemporaryDirectory() as folder,
        pages.running(server.url, Path(folder)) as (browser, web, worker),
    ):
        pages.fill_samples(Path(folder), server.url)
        return pages.run(browser, web, worker)


PARTS = {
    "search": _search,
    "pages": _pages,
    "analysis": analysis.run,
    "invalidation": invalidation.run,
    "eviction": eviction.run,
    "events": events.run,
    "preventions": preventions.run,
    "write-behind": write_behind.run,
    "cliff": cliff.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if not said")
    parser.add_argument("--keys", type=int, default=1_000_000, help="on the server that is measured")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with running() as server, server.client() as client:
        keys.fill(client, chosen.keys)
        keys.settle()
        results = [
            result
            for name, part in PARTS.items()
            if name in chosen.parts or not chosen.parts
            for result in part(server, client)
        ]
        facts = client.info("server")
        print(f"{facts['server_name']} {facts['valkey_version']}, {client.dbsize():,} keys", end="\n\n")
    print(table(results))


if __name__ == "__main__":
    main()
