"""Hashing, with the parameters that are used in earnest."""

from __future__ import annotations

import threading

import argon2
import pytest

from dashboard.store import passwords
from dashboard.store.passwords import WeakPassword


def test_a_hash_is_argon2id_with_the_library_defaults() -> None:
    stored = passwords.hashed("correct horse")
    assert argon2.extract_parameters(stored) == argon2.profiles.RFC_9106_LOW_MEMORY
    assert argon2.PasswordHasher().verify(stored, "correct horse")
    assert not passwords.is_outdated(stored)


def test_two_hashes_of_one_password_differ() -> None:
    assert passwords.hashed("correct horse") != passwords.hashed("correct horse")


@pytest.mark.usefixtures("cheap_hashes")
class TestRules:
    @pytest.mark.parametrize("password", ["", "x" * 9, "e\u0301" * 9, "x" * 1025])
    def test_it_refuses_a_password_that_is_too_short_or_too_long(self, password: str) -> None:
        with pytest.raises(WeakPassword) as caught:
            passwords.hashed(password)
        assert "x" * 9 not in caught.value.sentence

    @pytest.mark.parametrize("password", ["x" * 10, "漢" * 10, "x" * 1024, "\0" * 10, "caf\udce9 au lait"], ids=ascii)
    def test_it_takes_any_characters(self, password: str) -> None:
        stored = passwords.hashed(password)
        assert passwords.matches(password, stored)
        assert not passwords.matches(password[:-1], stored)

    def test_an_accent_may_be_composed_either_way(self) -> None:
        assert passwords.matches("cafe\u0301 au lait", passwords.hashed("caf\u00e9 au lait"))

    def test_what_follows_the_longest_password_is_not_ignored(self) -> None:
        assert not passwords.matches("x" * 1025, passwords.hashed("x" * 1024))

    @pytest.mark.parametrize("stored", [None, "", "!", "$argon2id$v=19$broken"])
    def test_nothing_matches_without_a_good_hash(self, stored: str | None) -> None:
        assert not passwords.matches("correct horse", stored)

    def test_a_hash_with_other_parameters_is_outdated(self) -> None:
        assert passwords.is_outdated(argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("x"))


def test_at_most_two_hashes_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[int] = []
    most: list[int] = []
    third_would_enter = threading.Event()

    class Watched(argon2.PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 (the library's name)
            inside.append(1)
            most.append(len(inside))
            third_would_enter.wait(0.05)
            inside.pop()
            return True

    monkeypatch.setattr(passwords, "_hasher", Watched())
    threads = [threading.Thread(target=passwords.matches, args=("correct horse", "stored")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 2
