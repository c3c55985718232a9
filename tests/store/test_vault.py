"""The vault: what was put in comes out, closed to others, within its bounds, for its time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dashboard.settings import Settings
from dashboard.store.vault import OVERHEAD, Vault, vault_of
from dashboard.store.vault_errors import VaultBusy, VaultFull, VaultGone
from dashboard.store.vault_frame import Record
from dashboard.store.vault_room import Room
from tests.store.vault_data import DAY, records, vault

EDGES: list[Record] = [
    (b"", -1, 0, b""),
    (b"\x00\xff\n", 0, 2**62, b"\x00" * 300_000),
    (b"k" * 70_000, 2**62, -1, b"x"),
]


def _put(into: Vault, number: int, *frames: list[Record]) -> None:
    with into.writer(number) as writer:
        for frame in frames:
            writer.append(frame)


def _all(of: Vault, number: int) -> list[Record]:
    return [record for frame in of.frames(number) for record in frame]


@pytest.mark.parametrize("frame", [EDGES, EDGES[:1], records(5000)], ids=["edges", "one empty record", "many"])
def test_it_gives_back_what_was_put_in(frame: list[Record], tmp_path: Path) -> None:
    _put(vault(tmp_path), 184, frame, records(3, seed=7))
    assert list(vault(tmp_path).frames(184)) == [frame, records(3, seed=7)]


@settings(max_examples=60, deadline=None)
@given(
    frames=some.lists(
        some.lists(
            some.tuples(
                some.binary(max_size=40),
                some.integers(-1, 2**63 - 1),
                some.integers(0, 2**63 - 1),
                some.binary(max_size=200),
            ),
            min_size=1,
            max_size=20,
        ),
        max_size=5,
    )
)
def test_any_records_come_back_in_any_frames(
    frames: list[list[Record]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    kept = vault(tmp_path_factory.mktemp("any"))
    _put(kept, 1, *frames)
    assert list(kept.frames(1)) == frames


def test_frames_are_read_from_where_one_likes(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    _put(kept, 1, *(records(2, seed) for seed in range(4)))
    assert list(kept.frames(1, 2)) == [records(2, 2), records(2, 3)]
    assert list(kept.frames(1, 4)) == []


def test_append_tells_the_index_of_its_frame_and_writes_nothing_for_no_records(tmp_path: Path) -> None:
    with vault(tmp_path).writer(1) as writer:
        assert [writer.append(records(2)), writer.append(records(3)), writer.append([])] == [0, 1, 2]
        assert (writer.frame_count, writer.keys) == (2, 5)


def test_another_writer_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    _put(kept, 1, records(2, 0))
    _put(kept, 1, records(2, 1))
    assert list(kept.frames(1)) == [records(2, 0), records(2, 1)]


def test_it_compresses(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    _put(kept, 1, [(b"session:%d" % at, -1, 0, b'{"user": "somebody"}' * 10) for at in range(1000)])
    assert kept.used() < 1000 * 200 / 10


def test_everything_is_closed_to_other_users(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    with kept.writer(1) as writer:
        writer.append(records(1))
        writer.note("{}")
    kept.note(1, "{}", "undo-7")
    modes = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    files = {"vault/1/frames", "vault/1/index", "vault/1/run.ledger", "vault/1/undo-7.ledger"}
    assert modes == {"vault": 0o700, "vault/1": 0o700} | dict.fromkeys(files, 0o600)


def test_a_folder_that_stands_open_is_closed_when_something_is_put_in(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault").chmod(0o755)
    _put(vault(tmp_path), 1, records(1))
    assert (tmp_path / "vault").stat().st_mode & 0o777 == 0o700


def test_an_entry_tells_its_size_and_its_time(tmp_path: Path) -> None:
    kept = vault(tmp_path, seconds=100)
    _put(kept, 7, records(3, 0), records(2, 1))
    entry = kept.entry(7)
    assert entry
    assert (entry.number, entry.keys, entry.frames) == (7, 5, 2)
    assert entry.bytes == kept.used() == OVERHEAD + sum(file.stat().st_size for file in tmp_path.glob("vault/7/*"))
    assert entry.created_at + 100 <= entry.expires_at < entry.created_at + 110


def test_entries_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    for number in (10, 9, 100):
        _put(kept, number, records(1))
    (tmp_path / "vault" / "lost+found").mkdir()
    assert [entry.number for entry in kept.entries()] == [9, 10, 100]


def test_what_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    assert (kept.entry(1), kept.entries(), kept.used(), kept.last_note(1)) == (None, [], 0, None)
    with pytest.raises(VaultGone, match="no entry 1 "):
        list(kept.frames(1))
    with pytest.raises(VaultGone):
        kept.note(1, "{}")
    assert kept.drop(1) is False
    assert list(tmp_path.iterdir()) == []


def test_an_entry_has_one_writer_at_a_time(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    with kept.writer(1), pytest.raises(VaultBusy, match="entry 1 "):
        kept.writer(1)
    with kept.writer(1), kept.writer(2):
        pass


def test_it_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    with kept.writer(1) as writer:
        writer.append(records(3, 0))
        reader = kept.frames(1)
        assert next(reader) == records(3, 0)
        writer.append(records(3, 1))
        assert list(kept.frames(1)) == [records(3, 0), records(3, 1)]


def test_what_pages_ask_for_is_measured_the_less_often_the_longer_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, asked = vault(tmp_path), []

    def slowly() -> int:
        asked.append(1)
        time.sleep(0.05)
        return 7

    monkeypatch.setattr(kept, "used", slowly)
    assert [kept.used_lately() for _ in range(100)] == [7] * 100
    assert len(asked) == 1


def test_it_refuses_what_exceeds_its_limit_and_keeps_what_it_has(tmp_path: Path) -> None:
    kept = vault(tmp_path, most_bytes=10_000 + OVERHEAD)
    with kept.writer(1) as writer:
        writer.append(records(50))
        with pytest.raises(VaultFull, match="no room left") as caught:
            writer.append(records(200))
        assert "CACHEDECK_VAULT_MB" in caught.value.advice
        writer.append(records(10, 2))
    assert kept.used() <= 10_000 + OVERHEAD
    assert list(kept.frames(1)) == [records(50), records(10, 2)]


@pytest.mark.parametrize("processes", [1, 2])
def test_entries_share_one_limit(processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if processes == 2:  # which have an account of their own each
        monkeypatch.setattr("dashboard.store.vault.room_of", lambda _folder, measure: Room(measure))
    kept = vault(tmp_path, most_bytes=10_000 + 2 * OVERHEAD)
    with kept.writer(1) as first, kept.writer(2) as second:
        for at in range(100):
            try:
                (first, second)[at % 2].append(records(5, at))
            except VaultFull:
                break
        with pytest.raises(VaultFull):
            first.append(records(5))
        with pytest.raises(VaultFull):
            second.append(records(5))
    assert 9_000 < kept.used() - 2 * OVERHEAD <= 10_000


def test_a_limit_of_nothing_turns_it_off(tmp_path: Path) -> None:
    kept = vault(tmp_path, most_bytes=0)
    with kept.writer(1) as writer, pytest.raises(VaultFull, match="turned off"):
        writer.append(records(1))
    assert kept.free() == 0


def test_free_is_what_the_limit_leaves_and_the_disk_has(tmp_path: Path) -> None:
    small, large = vault(tmp_path, most_bytes=50_000), vault(tmp_path)
    assert small.free() == 50_000
    _put(small, 1, records(10))
    assert small.free() == 50_000 - small.used()
    assert 0 < large.free() < large.most_bytes


def test_what_is_past_its_time_is_dropped(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    _put(kept, 1, records(1))
    entry = kept.entry(1)
    assert entry
    assert kept.drop_expired(entry.expires_at - 1) == []
    assert kept.drop_expired(entry.expires_at) == [1]
    assert kept.entries() == []
    assert list((tmp_path / "vault").iterdir()) == []


def test_time_is_counted_from_the_last_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = vault(tmp_path)
    with kept.writer(1) as writer:
        for hour in (0, 20):
            monkeypatch.setattr("time.time_ns", lambda hour=hour: hour * 3600 * 10**9)
            writer.append(records(1))
    entry = kept.entry(1)
    assert entry
    assert (entry.created_at, entry.expires_at) == (0, 20 * 3600 + DAY)


def test_nothing_is_dropped_that_is_being_written_or_read(tmp_path: Path) -> None:
    kept = vault(tmp_path, seconds=0)
    _put(kept, 1, records(1, 0), records(1, 1))
    with kept.writer(1):
        assert kept.drop_expired(float("inf")) == []
        with pytest.raises(VaultBusy):
            kept.drop(1)
    reader = kept.frames(1)
    next(reader)
    with pytest.raises(VaultBusy):
        kept.drop(1)
    assert list(reader) == [records(1, 1)]
    assert kept.drop(1) is True


def test_what_an_interrupted_drop_left_is_cleared_away(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    _put(kept, 1, records(1))
    (tmp_path / "vault" / "1").rename(tmp_path / "vault" / ".dropped-1-abcd")
    assert kept.entries() == []
    assert kept.used() == 0
    kept.drop_expired(0)
    assert list((tmp_path / "vault").iterdir()) == []


def test_room_is_made_from_the_oldest_and_only_as_much_as_is_asked_for(tmp_path: Path) -> None:
    kept = vault(tmp_path, most_bytes=40_000 + 4 * OVERHEAD)
    for number in (3, 2, 1, 4):
        _put(kept, number, records(100))
    size = kept.entry(1).bytes  # type: ignore[union-attr]
    assert kept.make_room(kept.free()) == []
    with kept.writer(3):
        assert kept.make_room(kept.free() + size) == [2]
        assert kept.make_room(kept.free() + size - 10, keep={1}) == [4]
        with pytest.raises(VaultFull):
            kept.make_room(kept.free() + size + 10)  # the one that is being written would have to go too
    assert [entry.number for entry in kept.entries()] == [1, 3]


def test_nothing_is_dropped_for_what_could_never_fit(tmp_path: Path) -> None:
    kept = vault(tmp_path, most_bytes=40_000)
    _put(kept, 1, records(100))
    with pytest.raises(VaultFull):
        kept.make_room(40_001)
    assert [entry.number for entry in kept.entries()] == [1]


def test_a_note_is_found_again(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    with kept.writer(1) as writer:
        assert writer.last_note() is None
        writer.note('{"cursor": 1}')
        writer.note('{"cursor": "ä"}')
        assert writer.last_note() == kept.last_note(1) == '{"cursor": "ä"}'
    kept.note(1, "3", "undo-9")
    assert (kept.last_note(1), kept.last_note(1, "undo-9"), kept.last_note(1, "undo-8")) == (
        '{"cursor": "ä"}',
        "3",
        None,
    )


@pytest.mark.parametrize("name", ["", "../run", "a/b", "a.b", "ü"])
def test_a_ledger_has_a_plain_name(name: str, tmp_path: Path) -> None:
    kept = vault(tmp_path)
    _put(kept, 1, records(1))
    with pytest.raises(ValueError, match="ledger's name"):
        kept.note(1, "{}", name)


def test_a_note_is_one_line(tmp_path: Path) -> None:
    with vault(tmp_path).writer(1) as writer, pytest.raises(ValueError, match="one line"):
        writer.note("a\nb")


def test_a_ledger_does_not_grow_for_ever(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    with kept.writer(1) as writer:
        for at in range(300):
            writer.note(str(at) * 5000)
        assert writer.last_note() == "299" * 5000
    kept.note(1, "after")
    assert kept.last_note(1) == "after"
    assert kept.used() <= 1 << 20


def test_threads_and_processes_may_use_one_vault_at_once(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for round_ in range(10):
                _put(kept, number, records(20, round_))
                assert _all(kept, number) == records(20, round_)
                assert kept.used() > 0
                kept.drop(number)
        except BaseException as error:  # noqa: BLE001 (told by the thread that waits)
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert kept.entries() == []


def test_the_settings_say_where_how_much_and_how_long(tmp_path: Path) -> None:
    made = vault_of(Settings(data=tmp_path, vault_mb=2, vault_hours=0.5))
    assert (made.most_bytes, made.seconds) == (2 << 20, 1800)
    _put(made, 1, records(1))
    assert (tmp_path / "vault" / "1" / "frames").exists()
