"""Tokens of the API: shown once, kept as a hash, good until they are revoked or expire."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import func, select, text

from dashboard.store import operators, throttle, tokens
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.schema import SignInRow
from dashboard.store.throttle import Throttled
from dashboard.store.tokens import Draft, InvalidToken, NameTaken, Token, UnknownToken

DRAFT = Draft("deploy", Role.OPERATOR, "shop", ("api:*", "tmp:*"))
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.9"


def _uses(store: Store) -> float | None:
    return tokens.all_tokens(store)[0].last_used_at


def test_a_secret_is_its_token(store: Store) -> None:
    made, secret = tokens.add(store, DRAFT, "ada")
    assert (made.name, made.role, made.cache, made.patterns) == ("deploy", Role.OPERATOR, "shop", ("api:*", "tmp:*"))
    assert made.actor == "token:deploy"
    assert len(secret) == 4 + 43
    assert secret.startswith(made.beginning)
    found = tokens.bearer(store, secret, HOME)
    assert found is not None
    assert replace(found, last_used_at=None) == made


def test_two_secrets_are_never_alike(store: Store) -> None:
    assert len({tokens.add(store, replace(DRAFT, name=f"t{n}"), "ada")[1] for n in range(20)}) == 20


def test_the_store_does_not_have_the_secret(store: Store) -> None:
    _, secret = tokens.add(store, DRAFT, "ada")
    with store.read() as session:
        row = session.execute(text("SELECT * FROM tokens")).one()
    assert secret not in repr(row)
    assert secret[len(tokens.MARK) :] not in repr(row)


@pytest.mark.parametrize("secret", ["", "cdk_", "cdk_" + "A" * 43, "\ud800", "x" * 100_000])
def test_a_wrong_secret_is_nobodys(store: Store, secret: str) -> None:
    tokens.add(store, DRAFT, "ada")
    assert tokens.bearer(store, secret, HOME) is None


def test_a_revoked_one_stays_revoked_and_says_by_whom(store: Store) -> None:
    made, secret = tokens.add(store, DRAFT, "ada")
    assert tokens.revoke(store, made.id, "ada").revoked_by == "ada"
    assert tokens.revoke(store, made.id, "zoe").revoked_by == "ada"
    found = tokens.bearer(store, secret, HOME)
    assert found is not None
    assert found.state(time.time()) == "revoked"
    assert found.last_used_at is None


def test_it_expires_at_its_time(store: Store) -> None:
    at = time.time() + 60
    made, secret = tokens.add(store, replace(DRAFT, expires_at=at), "ada")
    assert (made.state(at - 0.001), made.state(at)) == ("good", "expired")
    found = tokens.bearer(store, secret, HOME, at)
    assert found is not None
    assert found.last_used_at is None
    assert _uses(store) is None


def test_its_last_use_is_written_once_a_minute(store: Store) -> None:
    _, secret = tokens.add(store, DRAFT, "ada")
    used = []
    for now in (1000.0, 1059.0, 1060.0, 1061.0, 500.0):
        tokens.bearer(store, secret, HOME, now)
        used.append(_uses(store))
    assert used == [1000.0, 1000.0, 1060.0, 1060.0, 500.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a:b"},
        {"name": "x" * 49},
        {"name": " deploy"},
        {"name": "deploy\n"},
        {"name": "(deploy)"},
        {"role": Role.ADMIN},
        {"patterns": ("a*",) * 51},
        {"patterns": ("a" * 16_385,)},
        {"expires_at": 1000.0},
    ],
)
def test_a_draft_without_sense_is_refused(store: Store, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidToken, match=r"^A token .+\.$|^A token's .+\.$"):
        tokens.add(store, replace(DRAFT, **changes), "ada")  # type: ignore[arg-type]
    assert tokens.all_tokens(store) == []


def test_a_name_is_given_once_for_ever(store: Store) -> None:
    made, _ = tokens.add(store, DRAFT, "ada")
    tokens.revoke(store, made.id, "ada")
    with pytest.raises(NameTaken):
        tokens.add(store, DRAFT, "ada")


@pytest.mark.parametrize("token_id", [0, -1, 4711, 2**31, 2**70])
def test_an_unknown_one_is_said_to_be(store: Store, token_id: int) -> None:
    assert tokens.by_id(store, token_id) is None
    with pytest.raises(UnknownToken):
        tokens.revoke(store, token_id, "ada")


class TestWrongSecrets:
    NOW = 1_700_000_000.0

    def _guess(self, store: Store, times: int, address: str = HOME, now: float = NOW) -> list[Token | None]:
        return [tokens.bearer(store, f"cdk_{number}", address, now) for number in range(times)]

    def test_too_many_are_told_to_wait(self, store: Store) -> None:
        self._guess(store, throttle.FREE)
        with pytest.raises(Throttled) as raised:
            self._guess(store, 1)
        assert raised.value.retry_after == throttle.FIRST_DELAY
        self._guess(store, 1, now=self.NOW + throttle.FIRST_DELAY)

    def test_what_is_refused_is_not_counted(self, store: Store) -> None:
        self._guess(store, throttle.FREE)
        for _ in range(10):
            with pytest.raises(Throttled):
                self._guess(store, 1)
        with store.read() as session:
            assert session.scalar(select(func.count()).select_from(SignInRow)) == throttle.FREE

    def test_the_right_one_is_let_in_all_the_same(self, store: Store) -> None:
        _, secret = tokens.add(store, DRAFT, "ada")
        self._guess(store, throttle.FREE)
        assert tokens.bearer(store, secret, HOME, self.NOW) is not None

    def test_they_keep_nobody_elsewhere_out(self, store: Store) -> None:
        for number in range(60):
            self._guess(store, 1, f"198.51.100.{number}")
        assert self._guess(store, 1, "203.0.113.1") == [None]

    @pytest.mark.usefixtures("cheap_hashes")
    def test_they_keep_no_operator_from_signing_in(self, store: Store) -> None:
        operators.add(store, "alice", "correct horse", Role.OPERATOR)
        where = throttle.place_of_tokens(HOME)
        with store.write() as session:
            for _ in range(throttle.ADDRESS_LIMIT):
                session.add(SignInRow(account=where.account, address=where.address, at=self.NOW, succeeded=False))
        with pytest.raises(Throttled):
            self._guess(store, 1)
        assert operators.sign_in(store, "alice", "correct horse", HOME, self.NOW) is not None
