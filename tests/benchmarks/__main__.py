"""python -m tests.benchmarks [KEYS]: a fresh server with 1,000,000 keys, then the table."""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path

from dashboard.cache.connect import Cache
from dashboard.cache.target import parse_target
from tests.benchmarks import keys, pages
from tests.benchmarks.measure import table
from tests.servers import running


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with running() as server, server.client() as client, tempfile.TemporaryDirectory() as folder:
        keys.fill(client, count)
        keys.settle()
        with closing(Cache(parse_target(f"main={server.url}"))) as cache:
            results = keys.run(cache, client)
        with pages.running(server.url, Path(folder)) as (browser, web, worker):
            pages.fill_samples(Path(folder), server.url)
            results += pages.run(browser, web, worker)
        facts = client.info("server")
        print(f"{facts['server_name']} {facts['valkey_version']}, {client.dbsize():,} keys", end="\n\n")
    print(table(results))


if __name__ == "__main__":
    main()
