"""The console of events: many streams, fast ones, and what is left of those that have closed. On a real web process."""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import redis

from tests.benchmarks import consoles, pages, publisher
from tests.benchmarks.consoles import Watch, opened
from tests.benchmarks.events_chromium import frames
from tests.benchmarks.measure import Result, resident_mib
from tests.programs import descendants, wait_until
from tests.servers import Server

CONSOLES = 200
RATE, SECONDS = 1000, 25.0
P99_BOUND_MS, MEMORY_BOUND = 250.0, 300.0
FAST, FLOOD, FLOOD_SECONDS = 10_000, 50_000, 5.0
FRAMES_BOUND = 30.0
WAVE, WAVES, SUBSCRIPTIONS = 100, 20, 4
LINGER_SECONDS = 90.0
"""A subscription is listened to for a minute after the last page has closed."""


@dataclass(frozen=True)
class Site:
    """A web process on a server. web: the pid of gunicorn, whose child serves."""

    browser: pages.Browser
    web: int
    server: Server

    @property
    def port(self) -> int:
        return urlsplit(self.browser.base).port or 80

    @property
    def serving(self) -> int:
        (found,) = descendants(self.web)
        return found

    def stream(self, channel: str) -> str:
        return f"/caches/main/events/stream?channel={channel}"

    def reader(self, channel: str, number: int) -> consoles.Reader:
        return consoles.Reader(self.port, self.browser.cookie, self.stream(channel), number)


def run(server: Server, client: redis.Redis) -> list[Result]:
    """Each on a web process of its own."""
    found = list[Result]()
    for part in (_many, _waiting, _flood, _fast, _closing):
        with _site(server) as site:
            found += part(site, client)
    return found


@contextmanager
def _site(server: Server) -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory() as folder,
        pages.running(server.url, Path(folder)) as (browser, web, _),
    ):
        browser.get("/caches/main/events")  # what is loaded at the first page is no part of what a stream costs
        yield Site(browser, web, server)


def _many(site: Site, client: redis.Redis) -> list[Result]:
    """Every console sees all of what is published, or counts it."""
    quiet = resident_mib(site.web)
    with _listened(site, client, "many"):
        reader = site.reader("many", CONSOLES)
        used, begun = cpu_seconds(site.web), time.monotonic()
        publishing = publisher.begin(site.server.port, "many", RATE, SECONDS)
        memory = _highest(site, publishing.poll)
        sent = publisher.ended(publishing)["sent"]
        used, took = cpu_seconds(site.web) - used, time.monotonic() - begun
        time.sleep(3)  # counts come once a second
        said = reader.end()
    told = said["consoles"]
    whole = sum(
        rows == shown and not disordered and shown + skipped + lost == sent
        for rows, disordered, shown, skipped, lost in told
    )
    shown, skipped, lost = (sum(one[place] for one in told) / len(told) / sent for place in (2, 3, 4))
    p50, p99, p999, longest = (value * 1000 for value in said["latency"])
    what = f"{CONSOLES} consoles, {RATE:,} messages/s for {SECONDS:.0f} s"
    accounted = f"{whole} of {len(told)} ({shown:.1%} shown, {skipped:.1%} left out, {lost:.1%} lost)"
    return [
        Result(f"{what}: consoles that have shown or counted every one", accounted, "all", whole == CONSOLES),
        Result(
            "from PUBLISH to the arrival of its row, p50 / p99 / p99.9 / longest",
            f"{p50:.0f} / {p99:.0f} / {p999:.0f} / {longest:.0f} ms",
            f"p99 ≤ {P99_BOUND_MS:.0f} ms",
            p99 <= P99_BOUND_MS,
        ),
        Result(
            f"memory of the web process meanwhile (parent and child; {quiet:.0f} MiB without consoles)",
            f"{memory:.0f} MiB",
            f"≤ {MEMORY_BOUND:.0f} MiB",
            memory <= MEMORY_BOUND,
        ),
        Result("processor time of the web process meanwhile", f"{used / took:.2f} cores"),
    ]


def _waiting(site: Site, client: redis.Redis) -> list[Result]:
    """What a stream costs that waits: a thread, and its buffers."""
    found = list[str]()
    watches = list[Watch]()
    with _listened(site, client, "quiet"):
        quiet, threads = resident_mib(site.web), _threads(site)
        for number in (16, 64, 200):
            more = number - sum(len(one.consoles) for one in watches)
            watches.append(_watching(site, "quiet", more))
            _settle(watches, 5)
            grown = resident_mib(site.web) - quiet
            found.append(f"{grown:.0f}")
        used, begun = cpu_seconds(site.web), time.monotonic()
        _settle(watches, 10)
        used = (cpu_seconds(site.web) - used) / (time.monotonic() - begun)
        most = _threads(site)
        for one in watches:
            one.close()
    return [
        Result(f"memory that 16 / 64 / 200 waiting consoles add to {quiet:.0f} MiB", f"{' / '.join(found)} MiB"),
        Result("threads of the web process without, and with 200 of them", f"{threads} / {most}"),
        Result("processor time of the web process while 200 consoles wait", f"{used:.2f} cores"),
    ]


def _flood(site: Site, client: redis.Redis) -> list[Result]:
    """Far more than anybody reads: it is counted, and the other pages go on."""
    quiet = _answers(site, time.monotonic() + 3)
    with _listened(site, client, "flood"):
        publishing = publisher.begin(site.server.port, "flood", FLOOD, FLOOD_SECONDS)
        answers = _answers(site, time.monotonic() + FLOOD_SECONDS)
        told = publisher.ended(publishing)
        sent = told["sent"]
        counted = _total(site, "flood", sent)
    medians = f"{statistics.median(quiet) * 1000:.0f} / {statistics.median(answers) * 1000:.0f} ms"
    rate = sent / told["seconds"]
    return [
        Result(
            f"one console at {rate:,.0f} messages/s for {told['seconds']:.1f} s: counted, of those sent",
            f"{counted:,} of {sent:,}",
            "all",
            counted == sent,
        ),
        Result(
            "/login meanwhile: median without / with, and the longest of each",
            f"{medians}, {max(quiet) * 1000:.0f} / {max(answers) * 1000:.0f} ms",
        ),
    ]


def _fast(site: Site, client: redis.Redis) -> list[Result]:
    """In Chromium."""
    with _listened(site, client, "fast"):
        path = "/caches/main/events?channel=fast"
        begin = lambda: publisher.begin(site.server.port, "fast", FAST, 16)  # noqa: E731 (called when the page is live)
        still, busy, counts = frames(site.browser.base, pages.PASSWORD, path, begin)
    return [
        Result(
            f"one console in Chromium at {FAST:,} messages/s: frames a second over 10 s (at rest: {still:.0f})",
            f"{busy:.0f}",
            f"≥ {FRAMES_BOUND:.0f}",
            busy >= FRAMES_BOUND,
        ),
        Result("what it says it has not shown", counts, "a count", "more than can be shown" in counts),
    ]


def _closing(site: Site, client: redis.Redis) -> list[Result]:
    """Consoles that are opened and closed leave nothing behind, whatever they listened to."""
    clients, sockets = _clients(client), _files(site, "socket:")
    found = list[tuple[int, int, float]]()
    for wave in range(WAVES):
        _watching(site, f"wave:{wave % SUBSCRIPTIONS}", WAVE).close()
        # What is listened to goes on for a minute; nothing else may be open.
        wait_until(lambda: _files(site, "socket:") <= sockets + SUBSCRIPTIONS, "the streams to end")
        if wave + 1 in (WAVES // 2, WAVES):
            found.append((_threads(site), _files(site), resident_mib(site.web)))
    wait_until(lambda: _clients(client) <= clients, "the subscriptions to end", LINGER_SECONDS)
    wait_until(lambda: _files(site, "socket:") <= sockets, "their sockets to close")
    (threads, files, memory), (threads_now, files_now, memory_now) = found
    what = f"after {WAVE * WAVES // 2:,} and after {WAVE * WAVES:,} consoles, opened and closed by {WAVE}"
    left = f"{_clients(client)} and {_files(site, 'socket:')}; {clients} and {sockets}"
    return [
        Result(f"threads of the web process {what}", f"{threads} / {threads_now}", "no more", threads_now <= threads),
        Result(f"its open files {what}", f"{files} / {files_now}", "+ 10", files_now <= files + 10),
        Result(f"its memory {what}", f"{memory:.1f} / {memory_now:.1f} MiB", "+ 3 MiB", memory_now <= memory + 3),
        Result("the server's clients and its sockets when nobody listens any more; before", left, "the same", True),
    ]


@contextmanager
def _listened(site: Site, client: redis.Redis, channel: str) -> Iterator[None]:
    """One console is open, and the server has its subscription."""
    watch = _watching(site, channel, 1)
    wait_until(lambda: client.pubsub_numsub(channel)[0][1] == 1, "the subscription")
    watch.close()
    yield  # it goes on for a minute after the last console has closed


def _watching(site: Site, channel: str, number: int) -> Watch:
    watch = Watch([opened(site.port, site.browser.cookie, site.stream(channel)) for _ in range(number)])
    watch.begin()
    return watch


def _settle(watches: list[Watch], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for one in watches:
            one.take(0.05)


def _highest(site: Site, ended: Callable[[], int | None]) -> float:
    """MiB of memory at its highest, until something has ended."""
    found = 0.0
    while ended() is None:
        found = max(found, resident_mib(site.web))
        time.sleep(0.5)
    return found


def _answers(site: Site, until: float) -> list[float]:
    """Seconds that the sign-in page took, asked for ten times a second."""
    found = list[float]()
    while time.monotonic() < until:
        begun = time.perf_counter()
        site.browser.get("/login")
        found.append(time.perf_counter() - begun)
        time.sleep(0.1)
    return found


def _total(site: Site, channel: str, wanted: int) -> int:
    """Events since the beginning, as a page's meter says, once it has caught up or counts no more."""
    found, ends = -1, time.monotonic() + 10
    while found != wanted and time.monotonic() < ends:
        page = site.browser.get(f"/caches/main/events?channel={channel}").decode()
        text = re.sub(r"<[^>]*>", "", page).replace("\u202f", "")
        found = int(re.findall(r"(\d+) events since", text)[0])
        time.sleep(0.2)
    return found


def cpu_seconds(pid: int) -> float:
    """Of a process and those that it has started (proc(5))."""
    found = 0.0
    for one in (pid, *descendants(pid)):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        found += (int(fields[11]) + int(fields[12])) / 100
    return found


def _threads(site: Site) -> int:
    return len([*Path(f"/proc/{site.serving}/task").iterdir()])


def _files(site: Site, kind: str = "") -> int:
    """Open files of the process that serves, of a kind as proc(5) names them."""
    found = 0
    for one in Path(f"/proc/{site.serving}/fd").iterdir():
        with suppress(OSError):
            found += str(one.readlink()).startswith(kind)
    return found


def _clients(client: redis.Redis) -> int:
    return len(client.client_list())
