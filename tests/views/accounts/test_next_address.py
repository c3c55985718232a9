from __future__ import annotations

import pytest

from dashboard.views.next_address import path_of, safe_next


@pytest.mark.parametrize(
    "candidate", ["/", "/caches/main/keys?pattern=a%3A*&type=hash", "/caches/main/keys/~AP8", "/a:b@c"]
)
def test_it_keeps_a_path_of_this_site(candidate: str) -> None:
    assert safe_next(candidate) == candidate


@pytest.mark.parametrize(
    "candidate",
    [
        "",
        "caches/main",
        "https://evil.example/",
        "https:evil.example",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/\t/evil.example/",
        "/\n/evil.example/",
        "/ok\r\nSet-Cookie: a=b",
        " /caches",
        "/caches /x",
        "/\x7f",
        "javascript:alert(1)",
        "//[not-an-address/",
    ],
)
def test_it_refuses_what_could_lead_elsewhere(candidate: str) -> None:
    assert safe_next(candidate) == ""


def test_it_stays_below_the_prefix() -> None:
    assert safe_next("/ops/cache/audit", "/ops/cache") == "/ops/cache/audit"
    assert safe_next("/other", "/ops/cache") == ""
    assert safe_next("/ops/cachet", "/ops/cache") == ""
    assert safe_next("/ops/cache", "/ops/cache") == ""


def test_a_prefix_does_not_open_the_double_slash() -> None:
    assert safe_next("//evil.example", "") == ""
    assert safe_next("/ops/cache//evil.example", "/ops/cache") == "/ops/cache//evil.example"


def test_it_takes_path_and_query_of_a_url() -> None:
    assert path_of("https://deck.example/ops/audit?actor=ann#x") == "/ops/audit?actor=ann"
    assert path_of("https://deck.example/ops/audit") == "/ops/audit"
    assert path_of("http://[broken/") == ""
