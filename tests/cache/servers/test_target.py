"""A cache's URL is read as it is written, or refused in a sentence that contains nothing of its password."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.cache.servers.target import BadTarget, Tls, parse_target, parse_targets

SECRET = "hunter2horse"


@pytest.mark.parametrize(
    ("url", "kind", "address"),
    [
        ("redis://h:1234/3", "standalone", "redis://h:1234/3"),
        ("redis://h", "standalone", "redis://h:6379"),
        ("redis://", "standalone", "redis://127.0.0.1:6379"),
        ("valkey://h", "standalone", "redis://h:6379"),
        ("REDIS://h", "standalone", "redis://h:6379"),
        ("rediss://h:6380", "standalone", "rediss://h:6380"),
        ("redis://[::1]:7000/1", "standalone", "redis://[::1]:7000/1"),
        ("unix:///run/valkey.sock", "standalone", "unix:///run/valkey.sock"),
        ("unix:///run/a%20b.sock?db=2", "standalone", "unix:///run/a b.sock"),
        ("redis+cluster://h:7000,h2,[::1]:7002", "cluster", "redis+cluster://h:7000,h2:6379,[::1]:7002"),
        ("valkeys+cluster://h:7000", "cluster", "rediss+cluster://h:7000"),
        ("redis+sentinel://h,h2:5000/mymaster/4", "sentinel", "redis+sentinel://h:26379,h2:5000/mymaster/4"),
        ("rediss+sentinel://h/mymaster", "sentinel", "rediss+sentinel://h:26379/mymaster"),
    ],
)
def test_each_kind_of_address_is_read(url: str, kind: str, address: str) -> None:
    target = parse_target(f"shop={url}")
    assert (target.name, target.kind, target.address) == ("shop", kind, address)
    assert (target.tls is not None) == url.startswith(("rediss", "valkeys"))


def test_the_database_comes_from_the_path_or_the_option() -> None:
    assert parse_target("a=redis://h/3").db == 3
    assert parse_target("a=redis://h/3?db=5").db == 5
    assert parse_target("a=unix:///s?db=2").db == 2
    assert parse_target("a=redis+sentinel://h/svc/4").db == 4
    assert parse_target("a=redis+sentinel://h/svc").service == "svc"


def test_every_option_is_taken(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("pem")
    target = parse_target(
        f"shop=rediss://h?timeout=0.5&connect_timeout=3&environment=production&read_only=yes&username=bob"
        f"&tls_ca={tmp_path}/ca&tls_cert={tmp_path}/cert&tls_key={tmp_path}/key&tls_verify=no"
    )
    assert (target.timeout, target.connect_timeout) == (0.5, 3.0)
    assert (target.environment, target.read_only, target.username) == ("production", True, "bob")
    assert target.tls == Tls(f"{tmp_path}/ca", f"{tmp_path}/cert", f"{tmp_path}/key", verify=False)


def test_the_defaults_are_careful(hasty: None) -> None:
    target = parse_target("shop=rediss://h")
    assert (target.timeout, target.connect_timeout, target.environment, target.read_only) == (2.0, 2.0, "", False)
    assert target.tls == Tls(verify=True)
    assert parse_target("shop=redis://h").tls is None


@pytest.mark.parametrize("password", ["p@ss", "a/b", "a:b", "a?b", "a#b", "a b", "100%", "caf\u00e9", "=&;+", "\u2028"])
def test_a_password_with_any_character_is_percent_encoded(password: str) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in password.encode())
    target = parse_target(f"shop=redis://bob:{encoded}@h:1")
    assert (target.username, target.password, target.hosts) == ("bob", password, (("h", 1),))


def test_a_password_alone_has_no_user() -> None:
    target = parse_target(f"shop=redis://:{SECRET}@h")
    assert (target.username, target.password) == ("", SECRET)


def test_a_password_is_read_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f" {SECRET} \n")
    assert parse_target(f"shop=redis://h?password_file={file}").password == f" {SECRET} "
    sentinel = parse_target(f"shop=redis+sentinel://h/s?sentinel_username=eve&sentinel_password_file={file}")
    assert (sentinel.sentinel_username, sentinel.sentinel_password) == ("eve", f" {SECRET} ")
    assert sentinel.password == ""


def test_no_password_is_in_the_repr_or_the_address(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("anotherSecret")
    target = parse_target(f"shop=redis+sentinel://bob:{SECRET}@h/s?sentinel_password_file={file}")
    for text in (repr(target), str(target), target.address, f"{target}"):
        assert SECRET not in text
        assert "anotherSecret" not in text
    assert "bob" not in target.address


def test_several_targets_are_separated_by_white_space() -> None:
    targets = parse_targets("  a=redis://h/1\n\tb-2.x_y=unix:///s   c=redis+cluster://h \n")
    assert [target.name for target in targets] == ["a", "b-2.x_y", "c"]
    assert parse_targets(" \n ") == ()


@pytest.mark.parametrize("name", ["", "a b", "../x", "-a", "a/b", "x" * 65, "caf\u00e9", "<b>"])
def test_a_name_that_cannot_stand_in_a_url_is_refused(name: str) -> None:
    with pytest.raises(BadTarget):
        parse_target(f"{name}=redis://h")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("shop=http://h", "'shop'.*redis://"),
        ("shop=h:6379", "'shop'.*redis://"),
        ("shop=redis+unix:///s", "redis://"),
        ("shop=redis://h:port", "'shop'.*address"),
        ("shop=redis://h:99999", "'shop'.*address"),
        ("shop=redis://[::1", "'shop'.*address"),
        ("shop=redis://h/one", "database number"),
        ("shop=redis://h/1/2", "database number"),
        ("shop=redis://h?db=-1", "database number"),
        ("shop=redis+cluster://h/1", "only database 0"),
        ("shop=redis+sentinel://h", "names the service"),
        ("shop=redis://h?timeout=0", "timeout is a number of seconds"),
        ("shop=redis://h?timeout=nan", "timeout is a number of seconds"),
        ("shop=redis://h?connect_timeout=soon", "connect_timeout is a number"),
        ("shop=redis://h?environment=prod", "production, staging, development"),
        ("shop=redis://h?read_only=maybe", "read_only is yes or no"),
        ("shop=redis://h?readonly=yes", "'readonly' is not known.*read_only"),
        ("shop=rediss://h?tls_ca=/no/such.pem", "tls_ca names no file: /no/such.pem"),
        ("shop=rediss://h?tls_verify=0.5", "tls_verify is yes or no"),
        ("shop=redis://h?tls_ca=/etc/hostname", "rediss"),
        ("shop=redis://h?password_file=/no/such", "password_file cannot be read: /no/such"),
        ("shop=unix://", "socket"),
        ("a=redis://h b=redis://h a=redis://h", "'a' is given twice"),
    ],
)
def test_a_mistake_is_named_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(BadTarget, match=says) as caught:
        parse_targets(text)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        f"shop=redis://:{SECRET}@h:port",
        f"shop=redis://:{SECRET}@h/one",
        f"shop=redis://:{SECRET}@h?oops=1",
        f"shop=http://bob:{SECRET}@h",
        f"redis://:{SECRET}@h",
        f"shop=redis://:{SECRET}@[::1",
        f"shop=redis://:{SECRET}@h:99999",
        f"shop=redis://:{SECRET}@h?timeout=x",
        # Characters that should have been percent-encoded:
        f"shop=redis://:12/{SECRET}@h",
        f"shop=redis://:12?{SECRET}@h",
        f"shop=redis://:12?z&{SECRET}=1@h",
        f"shop=redis://:12?x={SECRET}@h",
        f"shop=redis://:12#{SECRET}@h",
        f"shop=redis+sentinel://:12/{SECRET}@h",
        f"shop=unix://:12/{SECRET}@/run/valkey.sock",
        f"shop=redis://:12 {SECRET} @h",
        f"shop=redis://:12 {SECRET}@h",
    ],
)
def test_a_refusal_contains_nothing_of_a_password(text: str) -> None:
    with pytest.raises(BadTarget) as caught:
        parse_targets(text)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__cause__)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
