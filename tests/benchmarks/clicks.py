"""An analysis as an operator has it: the click, the first estimate on the page, and what the worker grows by."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from tests.benchmarks import pages
from tests.benchmarks.measure import Result
from tests.servers import Server

POLL_SECONDS = 1.0  # how often the page asks again by itself
LONGEST = 300.0
_EXAMINED = re.compile(r'class="progress-text">\s*[1-9][^<]* keys examined')
_FORM = re.compile(r'<form[^>]*action="[^"]*/analyses".*?</form>', re.DOTALL)
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
_GOING = 'id="analysis-poll"'


def run(small: Server, large: Server) -> list[Result]:
    """With the given servers, of which the second has more keys."""
    results: list[Result] = []
    grown: list[float] = []
    for server in (small, large):
        with server.client() as client:
            count = client.dbsize()
        first, more = _click(server.url)
        grown.append(more)
        words = f"{count / 1e6:g} M keys"
        results += [
            Result(f"from the click to the first estimate on the page, {words}", f"{first:.2f} s", "≤ 1 s", first <= 1),
            Result(
                f"memory growth of the worker by this analysis, {words}",
                f"{more:.1f} MiB",
                "≤ 100 MiB" if len(grown) == 1 else "no more than 10 MiB above that",
                more <= (100 if len(grown) == 1 else grown[0] + 10),
            ),
        ]
    return results


def _click(url: str) -> tuple[float, float]:
    """Seconds to the first estimate, and MiB by which the worker's memory was larger at its highest."""
    with tempfile.TemporaryDirectory() as folder, pages.running(url, Path(folder)) as (browser, _, worker):
        time.sleep(3)  # the worker begins to sample
        page = browser.get("/caches/main/expiry").decode()
        form = _FORM.search(page)
        assert form, "no form that starts an analysis"
        token = _TOKEN.search(form[0])
        assert token
        before = mib(worker, "VmRSS")
        Path(f"/proc/{worker}/clear_refs").write_text("5")  # the highest is from now on (proc(5))
        clicked = time.perf_counter()
        fields = {"csrf_token": token[1], "next": "expiry", "share": "0.5"}
        page = browser.get("/caches/main/analyses", fields).decode()
        where = browser.address
        while _GOING in page and not _EXAMINED.search(page):
            assert time.perf_counter() - clicked < LONGEST, page
            time.sleep(POLL_SECONDS)
            page = browser.get(where).decode()
        first = time.perf_counter() - clicked
        while _GOING in page:
            assert time.perf_counter() - clicked < LONGEST, page
            time.sleep(POLL_SECONDS)
            page = browser.get(where).decode()
        assert "Exact" in page or "exact" in page, page
        return first, mib(worker, "VmHWM") - before


def mib(pid: int, field: str) -> float:
    """A figure of a process's memory (proc(5)), MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(field))) / 1024
