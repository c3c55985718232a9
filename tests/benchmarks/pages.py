"""The pages as a browser gets them from the real web process, with the worker beside it."""

from __future__ import annotations

import gzip
import http.cookiejar
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dashboard.store import operators, samples
from dashboard.store.engine import open_store
from dashboard.store.operators import Role
from tests.benchmarks.measure import Result, resident_mib, seconds
from tests.servers import free_port

PASSWORD = "bench bench bench"


class Browser:
    """Cookies, and the number of bytes that came over the wire (heads and bodies as sent)."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.address = base
        """Where the last answer came from, after redirects."""
        self._jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._jar))
        self._opener.addheaders = [("Accept-Encoding", "gzip")]
        self.received = 0

    def get(self, path: str, data: dict[str, str] | None = None, **headers: str) -> bytes:
        body = urllib.parse.urlencode(data).encode() if data else None
        request = urllib.request.Request(urllib.parse.urljoin(self.base, path), body, headers)
        if data:
            request.add_header("Referer", self.base)
        with self._opener.open(request, timeout=30) as answer:
            sent: bytes = answer.read()
            self.address = answer.url
            self.received += len(sent) + len(bytes(answer.headers))
            if answer.headers.get("Content-Encoding") == "gzip":
                return gzip.decompress(sent)
            return sent

    @property
    def cookie(self) -> str:
        """For a request that is made by hand."""
        return "; ".join(f"{one.name}={one.value}" for one in self._jar)

    def sign_in(self) -> None:
        page = self.get("/login").decode()
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found
        self.get("/login", {"name": "bench", "password": PASSWORD, "csrf_token": found.group(1)})

    def load(self, path: str) -> int:
        """A page with every script and sheet that it names; the bytes received."""
        before = self.received
        page = self.get(path).decode()
        for address in sorted(set(re.findall(r'(?:src|href)="([^"]+/static/[^"]+|/static/[^"]+)"', page))):
            self.get(address.replace("&amp;", "&"))
        return self.received - before


@contextmanager
def running(url: str, data: Path) -> Iterator[tuple[Browser, int, int]]:
    """A signed-in browser, and the pids of a web process and a worker on the cache of `url`."""
    port = free_port()
    environment = os.environ | {
        "CACHEDECK_CACHES": f"main={url}",
        "CACHEDECK_DATA": str(data),
        "CACHEDECK_PORT": str(port),
        "CACHEDECK_LOG_LEVEL": "WARNING",
    }
    store = open_store(f"sqlite:///{data / 'cachedeck.db'}")
    operators.add(store, "bench", PASSWORD, Role.ADMIN)
    store.close()
    programs = [
        subprocess.Popen([sys.executable, "-m", "dashboard", verb], env=environment) for verb in ("web", "worker")
    ]
    try:
        browser = Browser(f"http://127.0.0.1:{port}")
        _wait(browser)
        browser.sign_in()
        yield browser, programs[0].pid, programs[1].pid
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait(10)


def _wait(browser: Browser) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(OSError):
            browser.get("/healthz")
            return
        time.sleep(0.1)
    raise TimeoutError("the web process does not answer")


def fill_samples(data: Path, url: str) -> None:
    """15 min of samples, one each 2 s, as the worker would have left them: the fragment has real work to do."""
    store = open_store(f"sqlite:///{data / 'cachedeck.db'}")
    until = time.time() - 4
    while not (newest := samples.latest(store, "main")):
        time.sleep(0.2)
    last = newest[0]
    past = [samples.Sample(until - 2 * back, last.cache, last.node, last.values) for back in range(450)]
    samples.save(store, past)
    store.close()


def _weight(what: str, size: int) -> Result:
    return Result(what, f"{size / 1000:.0f} kB", "≤ 150 kB", size <= 150_000)


def run(browser: Browser, web: int, worker: int) -> list[Result]:
    fragment = seconds(lambda: browser.get("/caches/main/overview", **{"HX-Request": "true"}), rounds=21) * 1000
    nothing = seconds(lambda: browser.get("/healthz"), rounds=21) * 1000
    first = browser.load("/caches/main/")
    keys = browser.load("/caches/main/keys")
    return [
        Result("overview fragment, median of 21 over HTTP", f"{fragment:.1f} ms", "≤ 20 ms", fragment <= 20),
        Result("for comparison: an answer without any work (/healthz)", f"{nothing:.1f} ms"),
        Result(
            "first page (overview) with everything, over the wire",
            f"{first / 1000:.0f} kB",
            "≤ 150 kB",
            first <= 150_000,
        ),
        Result(
            "keys page with 100 rows and everything, nothing cached",
            f"{keys / 1000:.0f} kB",
            "≤ 150 kB",
            keys <= 150_000,
        ),
        Result("resident memory after the run: web (parent and child)", f"{resident_mib(web):.0f} MiB"),
        Result("resident memory after the run: worker", f"{resident_mib(worker):.0f} MiB"),
    ]
