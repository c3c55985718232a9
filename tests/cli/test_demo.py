"""`cachedeck demo`: on which caches it runs, what it hands on, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import redis
from click.testing import CliRunner, Result

from dashboard.cache.servers.target import parse_target
from dashboard.cli.demo import _options
from dashboard.cli.demo_server import brought, require_usable, url_of
from dashboard.cli.main import main
from tests.programs import CACHEDECK, alive, command_lines, descendants, environment, running, status, wait_until
from tests.servers import HOST, Server, free_port
from tests.servers import running as serving


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [*os.environ]:
        if name.startswith(("CACHEDECK_", "DEMO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def demo(*arguments: str) -> Result:
    """For what ends before a program is started: that would take the place of this one."""
    return CliRunner().invoke(main, ["demo", *arguments])


# Which cache


@pytest.mark.parametrize(
    ("configured", "given"),
    [
        ("redis://h", "redis://h:6379/0"),
        ("valkey://h:7000/3", "redis://h:7000/3"),
        ("redis://h?db=2", "redis://h:6379/2"),
        ("redis://bob:p%40ss%2Fw@h", "redis://bob:p%40ss%2Fw@h:6379/0"),
        ("redis://:secret@h", "redis://:secret@h:6379/0"),
        ("redis://[::1]:6380", "redis://[::1]:6380/0"),
        ("rediss://h", "rediss://h:6379/0?ssl_cert_reqs=required"),
        ("rediss://h?tls_verify=no", "rediss://h:6379/0?ssl_cert_reqs=none"),
        ("unix:///run/a%20b.sock?db=2", "unix:///run/a%20b.sock?db=2"),
    ],
)
def test_the_demo_is_given_the_address_in_the_form_that_it_knows(configured: str, given: str) -> None:
    url = url_of(parse_target(f"shop={configured}"))
    assert url == given
    client = redis.Redis.from_url(url)
    target = parse_target(f"shop={configured}")
    known: dict[str, Any] = client.get_connection_kwargs()
    assert (known.get("username") or "", known.get("password") or "") == (target.username, target.password)
    assert known["db"] == target.db
    assert known.get("path", "") == target.socket


def test_files_of_tls_are_handed_on(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
    options = "&".join(f"tls_{name}={tmp_path / name}" for name in ("ca", "cert", "key"))
    known = redis.Redis.from_url(url_of(parse_target(f"shop=rediss://h?{options}"))).get_connection_kwargs()
    assert known["ssl_ca_certs"] == str(tmp_path / "ca")
    assert known["ssl_certfile"] == str(tmp_path / "cert")
    assert known["ssl_keyfile"] == str(tmp_path / "key")


@pytest.mark.parametrize("url", ["redis+cluster://h:7000", "redis+sentinel://h/mymaster"])
def test_clusters_and_sentinels_are_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(click.UsageError, match=r"^shop is a (cluster|sentinel): the demo speaks to one server\."):
        url_of(parse_target(f"shop={url}"))


def test_a_read_only_cache_is_refused_whatever_is_said() -> None:
    target = parse_target("shop=redis://h?read_only=yes")
    for yes in (False, True):
        with pytest.raises(click.UsageError, match="read-only"):
            require_usable(target, yes=yes)


def test_production_is_refused_unless_somebody_means_it() -> None:
    target = parse_target("shop=redis://h?environment=production")
    with pytest.raises(click.UsageError, match="production"):
        require_usable(target, yes=False)
    require_usable(target, yes=True)


@pytest.mark.parametrize("verb", ["serve", "compare"])
@pytest.mark.parametrize(
    ("caches", "arguments", "said"),
    [
        ("a=redis://h b=redis://h", [], "Say which cache with --cache: a, b."),
        ("a=redis://h", ["--cache", "c"], "No cache is named 'c'"),
        ("a=redis://h?read_only=yes", ["--yes"], "a is declared read-only"),
        ("a=redis://h?environment=production", [], "say --yes if you mean it"),
        ("a=redis+cluster://h", [], "a is a cluster"),
        ("", ["--cache", "a"], "No cache is configured"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(
    data: Path, monkeypatch: pytest.MonkeyPatch, verb: str, caches: str, arguments: list[str], said: str
) -> None:
    monkeypatch.setenv("CACHEDECK_CACHES", caches)
    result = demo(verb, *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_the_shop_wants_a_cache(data: Path) -> None:
    result = demo("serve")
    assert (result.exit_code, "No cache is configured: set CACHEDECK_CACHES." in result.output) == (2, True)


def test_only_what_was_said_is_handed_on() -> None:
    assert _options({"seconds": 60, "latency_ms": 0.0, "seed": None, "json": True, "no-jitter": False}) == [
        "--seconds",
        "60",
        "--latency-ms",
        "0.0",
        "--json",
    ]


# Real programs


def test_the_shop_and_its_visitors_run_on_a_configured_cache_under_a_prefix(tmp_path: Path) -> None:
    secret, shop_port, bench_port = "correct-horse-battery", free_port(), free_port()
    with serving("--requirepass", secret) as server:
        caches = f"shop=redis://:{secret}@{HOST}:{server.port}/1"
        settings = environment(tmp_path / "data", CACHEDECK_CACHES=caches)
        shop = ["demo", "serve", "--port", str(shop_port), "--users", "50", "--products", "50"]
        visitors = ["demo", "drive", "--url", f"http://{HOST}:{shop_port}", "--bench-port", str(bench_port)]
        with running([*CACHEDECK, *shop], settings) as serve, running([*CACHEDECK, *visitors], settings) as drive:
            with closing(redis.Redis(host=HOST, port=server.port, password=secret, db=1)) as client:
                wait_until(lambda: client.dbsize() > 50, "keys to come")
                assert {key.partition(b":")[0] for key in client.scan_iter(count=1000)} == {b"demo"}
            wait_until(lambda: status(f"http://{HOST}:{bench_port}/bench") == 200, "the bench")
            listed = command_lines()
            assert str(tmp_path / "data" / "demo") in listed
            assert secret not in listed
            for program in (drive, serve):
                program.process.send_signal(signal.SIGTERM)
                assert program.end() == 0, program.output()


def test_a_comparison_without_a_cache_brings_one_for_as_long(tmp_path: Path) -> None:
    settings = environment(tmp_path / "data", TMPDIR=str(tmp_path))
    compare = ["demo", "compare", "--seconds", "5", "--rate", "40", "--latency-ms", "1", "--json"]
    with running([*CACHEDECK, *compare], settings) as program:
        wait_until(
            lambda: any("valkey" in one for one in _commands(program.pid)) or program.process.poll() is not None,
            "a server to be brought",
        )
        started = descendants(program.pid)
        assert program.end() == 0, program.output()
    last = program.lines[-1]  # progress comes before it, on the other stream
    told = json.loads(last)
    assert [row["pattern"] for row in told["rows"]] == ["cache-aside", "read-through", "write-through", "write-behind"]
    assert told["state"] == "finished"
    assert not any(alive(pid) for pid in started)
    assert not list(tmp_path.glob("cachedeck-*"))


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    settings = environment(tmp_path / "data", TMPDIR=str(tmp_path))
    with running([*CACHEDECK, "demo", "compare", "--seconds", "600"], settings) as program:
        program.has_said("Warming up")
        started = descendants(program.pid)
        program.process.send_signal(signal.SIGINT)
        assert program.end() == 130, program.output()
    assert len(started) >= 3
    assert not any(alive(pid) for pid in started)
    assert not list(tmp_path.glob("cachedeck-*"))
    assert "Traceback" not in program.output()


def _commands(pid: int) -> list[str]:
    found = []
    for one in descendants(pid):
        path = Path(f"/proc/{one}/cmdline")
        found.append(path.read_bytes().decode() if path.exists() else "")
    return found


def test_a_server_that_was_brought_answers_to_its_password_and_goes() -> None:
    with brought("8mb") as url:
        with closing(redis.Redis.from_url(url)) as client:
            assert client.ping()
        port = urlsplit(url).port or 0
        with closing(redis.Redis(host=HOST, port=port)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    with closing(redis.Redis.from_url(url)) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_a_comparison_on_a_configured_cache_leaves_no_key_behind(tmp_path: Path, valkey: Server) -> None:
    settings = environment(tmp_path / "data", CACHEDECK_CACHES=f"shop={valkey.url}")
    with closing(valkey.client()) as client:
        client.set("mine", "stays")
        compare = ["demo", "compare", "--seconds", "600"]
        with running([*CACHEDECK, *compare], settings) as program:
            wait_until(lambda: client.dbsize() > 50 or program.process.poll() is not None, "keys to come")
            assert client.dbsize() > 50, program.output()
            program.process.send_signal(signal.SIGTERM)
            program.end()
        assert list(client.scan_iter()) == [b"mine"]
