"""python -m tests.benchmarks.invalidator URL PATTERN SHARE VAULT: whole invalidations in a process of their own.

VAULT is "yes" or "no". When all is imported and connected it writes "ready"; then, for each line "run" or
"undo" on its standard input, it does that and writes a line of JSON: seconds, keys, calls, longest_ms as measured by
the work itself, and the memory growth since "ready" in MiB.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from dashboard.cache.invalidation.report import Done, Undone
from dashboard.cache.invalidation.restore import Options as UndoOptions
from dashboard.cache.invalidation.restore import restore
from dashboard.cache.invalidation.run import Options, invalidate
from dashboard.cache.invalidation.task import Task
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.governor import Budget
from dashboard.jobs.vault_safe import VaultSafe, frames, standing
from dashboard.store.vault import Vault

LARGEST = 16 << 20


def main(url: str, pattern: str, share: float, kept: str) -> None:
    task = Task(Selection(pattern.encode()), vault=kept == "yes")
    with tempfile.TemporaryDirectory() as folder, closing(Cache(parse_target(f"main={url}"))) as cache:
        vault = Vault(Path(folder), 1 << 36, 86_400.0)
        cache.primaries()
        cache.capabilities()
        before = _mib("VmRSS")
        print("ready", flush=True)
        number = 0
        for line in sys.stdin:
            number += line.strip() == "run"
            started = time.perf_counter()
            work = _run(cache, task, vault, number, share) if line.strip() == "run" else _undo(cache, vault, number)
            last = deque(work, maxlen=1).pop()
            _tell(last, time.perf_counter() - started, before)
            vault.drop_expired(0.0 if line.strip() == "run" else time.time() + 10 * 86_400)


def _run(cache: Cache, task: Task, vault: Vault, number: int, share: float) -> Iterator[Done]:
    with vault.writer(number) as writer:
        options = Options(Budget(share=share), largest=LARGEST, number=number)
        yield from invalidate(cache, task, VaultSafe(vault, number, writer), options)


def _undo(cache: Cache, vault: Vault, number: int) -> Iterator[Undone]:
    entry, stands = vault.entry(number), standing(vault, number)
    assert entry is not None
    assert stands is not None
    yield from restore(
        cache,
        lambda start, end: frames(vault, number, start, end),
        entry.frames,
        stands,
        options=UndoOptions(Budget(share=0.5)),
    )


def _tell(last: Done | Undone, seconds: float, before: float) -> None:
    keys = last.counts.removed if isinstance(last, Done) else last.restored
    facts = {
        "seconds": seconds,
        "keys": keys,
        "calls": last.progress.calls,
        "longest_ms": last.progress.longest_ms,
        "grown": _mib("VmHWM") - before,
    }
    print(json.dumps(facts), flush=True)


def _mib(field: str) -> float:
    text = Path("/proc/self/status").read_text()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(field))) / 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])
