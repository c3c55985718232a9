"""python -m tests.benchmarks.analyser URL SHARE [SECONDS]: whole analyses in a process of their own.

Runs one (or, for SECONDS, one after the other until they have passed) and writes a line of JSON for each:
seconds, keys, calls, longest_ms as the walk itself has measured, memory growth in MiB. Before the first it writes
"ready", when all is imported and connected.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from contextlib import closing
from pathlib import Path

from dashboard.cache.analysis.run import Options, analyze
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.walk import Budget


def main(url: str, share: float, seconds: float) -> None:
    with closing(Cache(parse_target(f"main={url}"))) as cache:
        cache.primaries()
        cache.capabilities()
        before = _mib("VmRSS")
        print("ready", flush=True)
        until = time.monotonic() + seconds
        while True:
            _once(cache, share, before)
            if time.monotonic() >= until:
                return


def _once(cache: Cache, share: float, before: float) -> None:
    started = time.perf_counter()
    options = Options(budget=Budget(share=share), separator=b":", rules=())
    last = deque(analyze(cache, Selection(), options), maxlen=1).pop()
    took = time.perf_counter() - started
    assert last.progress.complete, last.progress
    assert last.report.memory is not None
    facts = {
        "seconds": took,
        "keys": last.report.keys.value,
        "calls": last.progress.calls,
        "longest_ms": last.progress.longest_ms,
        "grown": _mib("VmHWM") - before,
        "namespaces": len(last.report.namespaces),
    }
    print(json.dumps(facts), flush=True)


def _mib(field: str) -> float:
    text = Path("/proc/self/status").read_text()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(field))) / 1024


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
