"""A process whose children run an invalidation until somebody kills them: `python -m tests.jobs.mortal FOLDER PORT`.

For each line on its standard input, the text fields of a task as JSON, it forks a child and prints its process id;
after one more line it waits for the child's end and prints how that was. A child costs a few milliseconds, so that many
can be killed at random moments.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from pathlib import Path

from dashboard.cache.invalidation.run import Options, invalidate
from dashboard.cache.invalidation.task import task_from_query
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.governor import Budget
from dashboard.jobs.vault_safe import VaultSafe
from dashboard.store.vault import Vault

NUMBER = 184
MOST = 1 << 30
DAY = 86400.0


def vault_in(folder: Path) -> Vault:
    return Vault(folder / "vault", MOST, DAY)


def run(folder: Path, port: int, fields: dict[str, str]) -> None:
    vault = vault_in(folder)
    with closing(Cache(parse_target(f"shop=redis://127.0.0.1:{port}"))) as cache, vault.writer(NUMBER) as writer:
        options = Options(Budget(share=1.0, hold_ms=0.3), every=0.01, number=NUMBER)
        for _ in invalidate(cache, task_from_query(fields), VaultSafe(vault, NUMBER, writer), options):
            pass


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            run(folder, port, json.loads(line))
            os._exit(0)
        print(child, flush=True)
        sys.stdin.readline()  # until then nobody else can be given the child's process id
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
