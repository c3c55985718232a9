"""The vault in bad weather: killed at any moment, torn at any byte, damaged, on a disk that is full."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dashboard.store import vault_files
from dashboard.store.vault_errors import VaultDamaged, VaultUnwritable
from dashboard.store.vault_frame import ENTRY_BYTES, HEAD_BYTES, Record
from tests.programs import ROOT
from tests.store.vault_data import records, vault

FILLER = (sys.executable, "-m", "tests.store.vault_data")


def _made(folder: Path, frames: int = 3, count: int = 3) -> tuple[bytes, bytes]:
    """An entry 1 with some frames; the bytes of its two files."""
    with vault(folder).writer(1) as writer:
        for seed in range(frames):
            writer.append(records(count, seed, dump=20))
    return (folder / "vault/1/frames").read_bytes(), (folder / "vault/1/index").read_bytes()


def _write(folder: Path, frames: bytes, index: bytes) -> None:
    (folder / "vault/1/frames").write_bytes(frames)
    (folder / "vault/1/index").write_bytes(index)


def _expected(frames: int, count: int = 3) -> list[list[Record]]:
    return [records(count, seed, dump=20) for seed in range(frames)]


def _readable(folder: Path) -> tuple[dict[int, list[Record]], list[int]]:
    """What can be read, by frame, and which frames cannot."""
    damaged: list[int] = []
    found = dict(vault(folder).readable(1, 0, lambda damage: damaged.append(damage.frame)))
    return found, damaged


def test_a_frame_that_is_torn_at_any_byte_is_none_and_the_next_takes_its_place(tmp_path: Path) -> None:
    before, index_before = _made(tmp_path, 2)
    whole, _ = _made(tmp_path, 1)  # a third one, of which a crash leaves a part
    torn = [whole[:length] for length in range(len(before), len(whole))]
    assert len(torn) > HEAD_BYTES
    for frames in torn:
        _write(tmp_path, frames, index_before)
        assert list(vault(tmp_path).frames(1)) == _expected(2)
        with vault(tmp_path).writer(1) as writer:
            assert writer.frame_count == 2
            assert writer.append(records(1, 9)) == 2
        assert list(vault(tmp_path).frames(1)) == [*_expected(2), records(1, 9)]


def test_a_frame_is_found_without_its_entry_in_the_index_torn_at_any_byte(tmp_path: Path) -> None:
    frames, index = _made(tmp_path, 3)
    for length in range(len(index)):
        _write(tmp_path, frames, index[:length])
        assert list(vault(tmp_path).frames(1)) == _expected(3)
        with vault(tmp_path).writer(1) as writer:
            assert writer.frame_count == 3
        assert (tmp_path / "vault/1/index").read_bytes() == index


def test_a_tail_of_zeros_as_some_file_systems_leave_it_is_no_frame(tmp_path: Path) -> None:
    frames, index = _made(tmp_path, 2)
    _write(tmp_path, frames + bytes(5000), index + bytes(ENTRY_BYTES))
    assert list(vault(tmp_path).frames(1)) == _expected(2)
    with vault(tmp_path).writer(1) as writer:
        writer.append(records(1, 9))
    assert list(vault(tmp_path).frames(1)) == [*_expected(2), records(1, 9)]


@pytest.mark.parametrize("lost", [1, 10, 60])
def test_a_last_frame_of_full_length_whose_end_never_reached_the_disk_is_none(lost: int, tmp_path: Path) -> None:
    frames, index = _made(tmp_path, 3)
    _write(tmp_path, frames[:-lost] + bytes(lost), index[: 2 * ENTRY_BYTES])
    assert list(vault(tmp_path).frames(1)) == _expected(2)
    with vault(tmp_path).writer(1) as writer:
        assert writer.append(records(1, 9)) == 2


def test_an_entry_without_its_index_can_be_read(tmp_path: Path) -> None:
    _made(tmp_path)
    (tmp_path / "vault/1/index").unlink()
    assert list(vault(tmp_path).frames(1)) == _expected(3)


def test_every_damaged_byte_is_noticed_and_costs_its_frame_only(tmp_path: Path) -> None:
    frames, index = _made(tmp_path)
    length = len(frames) // 3
    for at in range(length, 2 * length):
        broken = bytearray(frames)
        broken[at] ^= 0x10
        _write(tmp_path, bytes(broken), index)
        assert _readable(tmp_path) == ({0: _expected(3)[0], 2: _expected(3)[2]}, [1])


def test_every_damaged_byte_of_the_index_costs_nothing(tmp_path: Path) -> None:
    frames, index = _made(tmp_path)
    for at in range(len(index)):
        broken = bytearray(index)
        broken[at] ^= 0x10
        _write(tmp_path, frames, bytes(broken))
        assert list(vault(tmp_path).frames(1)) == _expected(3)


def test_damage_is_noticed_without_the_index_too(tmp_path: Path) -> None:
    frames, _ = _made(tmp_path)
    broken = bytearray(frames)
    broken[len(frames) // 3 + HEAD_BYTES + 5] ^= 1
    _write(tmp_path, bytes(broken), b"")
    assert _readable(tmp_path) == ({0: _expected(3)[0], 2: _expected(3)[2]}, [1])


def test_frames_raises_at_a_damaged_one_and_tells_which(tmp_path: Path) -> None:
    frames, index = _made(tmp_path)
    _write(tmp_path, frames[:-1], index)  # the index says that it was on the disk
    reader = vault(tmp_path).frames(1, 1)
    assert next(reader) == _expected(3)[1]
    with pytest.raises(VaultDamaged, match="Part 3 of entry 1 ") as caught:
        next(reader)
    assert (caught.value.number, caught.value.frame) == (1, 2)


def test_a_writer_goes_on_behind_a_damaged_frame(tmp_path: Path) -> None:
    frames, index = _made(tmp_path)
    _write(tmp_path, frames[:-7], index)
    with vault(tmp_path).writer(1) as writer:
        assert writer.append(records(1, 9)) == 3
    assert _readable(tmp_path) == ({0: _expected(3)[0], 1: _expected(3)[1], 3: records(1, 9)}, [2])


def test_a_writer_destroys_nothing_that_it_cannot_tell_apart(tmp_path: Path) -> None:
    frames, index = _made(tmp_path)
    broken, length = bytearray(frames), len(frames) // 3
    broken[length] ^= 1
    _write(tmp_path, bytes(broken), index[:ENTRY_BYTES] + bytes(ENTRY_BYTES) + index[2 * ENTRY_BYTES :])
    with pytest.raises(VaultDamaged):
        vault(tmp_path).writer(1)
    assert (tmp_path / "vault/1/frames").read_bytes() == bytes(broken)
    assert _readable(tmp_path) == ({0: _expected(3)[0]}, [1])
    with pytest.raises(VaultDamaged):
        vault(tmp_path).writer(1)  # the lock is free again


def test_a_frame_of_a_later_version_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.store.vault_frame.VERSION", 2)
    _made(tmp_path, 1)
    monkeypatch.undo()
    with pytest.raises(VaultDamaged, match="version 2"):
        list(vault(tmp_path).frames(1))


@pytest.mark.parametrize("text", [b"", b"nonsense", b"00000000 {}\n", b"\0" * 100, b"\n\n"])
def test_a_damaged_ledger_has_no_note_and_takes_new_ones(text: bytes, tmp_path: Path) -> None:
    _made(tmp_path, 1)
    (tmp_path / "vault/1/run.ledger").write_bytes(text)
    assert vault(tmp_path).last_note(1) is None
    vault(tmp_path).note(1, "{}")
    assert vault(tmp_path).last_note(1) == "{}"


def test_a_line_of_the_ledger_that_is_torn_at_any_byte_does_not_count(tmp_path: Path) -> None:
    kept, path = vault(tmp_path), tmp_path / "vault/1/run.ledger"
    _made(tmp_path, 1)
    kept.note(1, '{"at": 1}')
    first = path.read_bytes()
    kept.note(1, '{"at": 2}')
    both = path.read_bytes()
    for length in range(len(first), len(both)):
        path.write_bytes(both[:length])
        assert kept.last_note(1) == '{"at": 1}'
        kept.note(1, '{"at": 3}')
        assert kept.last_note(1) == '{"at": 3}'


def test_frames_are_on_the_disk_before_the_index_tells_of_them_and_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def told(name: str, really: Callable[..., object]) -> Callable[..., object]:
        def call(handle: int, *more: object) -> object:
            calls.append(f"{name} {Path(f'/proc/self/fd/{handle}').readlink().name}")
            return really(handle, *more)

        return call

    monkeypatch.setattr(os, "pwrite", told("write", os.pwrite))
    monkeypatch.setattr(os, "fsync", told("sync", os.fsync))
    with vault(tmp_path).writer(1) as writer:
        # the names of the files, of the entry's folder and of the vault's folder
        assert calls == [f"sync {tmp_path.name}", "sync vault", "sync 1"]
        calls.clear()
        writer.append(records(1))
        assert calls == ["write frames", "sync frames", "write index"]


@pytest.mark.parametrize("length", [0, 1, 40, 90])
def test_what_a_loss_of_power_leaves_of_the_index_does_not_matter(length: int, tmp_path: Path) -> None:
    _, index = _made(tmp_path, 3)
    (tmp_path / "vault/1/index").write_bytes(index[:length])
    assert _readable(tmp_path) == (dict(enumerate(_expected(3))), [])
    (tmp_path / "vault/1/index").write_bytes(index[:length] + b"\0" * (len(index) - length))
    assert _readable(tmp_path) == (dict(enumerate(_expected(3))), [])


@pytest.mark.parametrize(("call", "failing"), [("pwrite", "frames"), ("pwrite", "index"), ("fsync", "frames")])
def test_a_failed_append_leaves_the_files_as_they_were(
    call: str, failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _made(tmp_path, 2)
    really = getattr(os, call)

    def fails(handle: int, *more: object) -> object:
        result = really(handle, *more)  # a disk may take a part of it before it fails
        if Path(f"/proc/self/fd/{handle}").readlink().name == failing:
            raise OSError(5, "Input/output error")
        return result

    with vault(tmp_path).writer(1) as writer:
        monkeypatch.setattr(os, call, fails)
        with pytest.raises(VaultUnwritable, match="Input/output error"):
            writer.append(records(3, 2))
        monkeypatch.undo()
        assert ((tmp_path / "vault/1/frames").read_bytes(), (tmp_path / "vault/1/index").read_bytes()) == before
        if call == "fsync":  # nobody knows what is on the disk: only a new writer may go on
            with pytest.raises(VaultUnwritable):
                writer.append(records(3, 2))
        else:
            assert writer.append(records(3, 2)) == 2


def _fills(folder: Path, per_frame: int, limit: Callable[[], None] | None = None, within: tuple[str, ...] = ()) -> str:
    """What a process says that fills an entry until it is refused."""
    command = [*within, *FILLER, str(folder), "1", str(per_frame)]
    done = subprocess.run(command, cwd=ROOT, preexec_fn=limit, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _told(output: str) -> list[int]:
    return [int(line) for line in output.splitlines() if line.isdigit()]


def test_a_file_that_may_not_grow_any_more_is_told_and_costs_nothing_that_was_safe(tmp_path: Path) -> None:
    size = 100_000
    output = _fills(tmp_path, 200, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert "refused The vault cannot be written: File too large." in output
    told = _told(output)
    assert told
    assert list(vault(tmp_path).frames(1)) == [records(200, seed) for seed in told]
    with vault(tmp_path).writer(1) as writer:
        assert writer.append(records(1)) == len(told)


def test_a_full_disk_is_told_and_costs_nothing_that_was_safe(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    # A file system of one megabyte, in a name space of its own; what stands on it is copied before it goes.
    script = f'mount -t tmpfs -o size=1m small {small} && "$@" && cp -r {small}/vault {tmp_path}/vault'
    within = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    probe = subprocess.run([*within, "mkdir", str(small / "vault")], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system (unshare --user --mount)")
    shutil.rmtree(tmp_path / "vault")
    output = _fills(small, 500, within=within)
    assert "refused The vault cannot be written: No space left on device." in output
    told = _told(output)
    assert len(told) > 10
    assert list(vault(tmp_path).frames(1)) == [records(500, seed) for seed in told]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("not a folder")
    with pytest.raises(VaultUnwritable):
        vault(tmp_path).writer(1)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    _made(tmp_path, 1)
    (tmp_path / "vault/1/index").unlink()
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "vault/1/index").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VaultUnwritable):
        vault(tmp_path).writer(1)


def _killed_while_filling(folder: Path, seconds: float) -> list[int]:
    """The frames that a process told were safe, before it was killed so many seconds after the first."""
    command = [*FILLER, str(folder), "1", "200"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        output = process.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        output += process.stdout.read()
    return _told(output[: output.rfind("\n") + 1])


def test_a_killed_writer_loses_nothing_that_it_told_was_safe(tmp_path: Path) -> None:
    luck = random.Random(4)
    frames = 0
    for _ in range(12):
        told = _killed_while_filling(tmp_path, luck.uniform(0, 0.05))
        assert told == list(range(frames, frames + len(told)))
        found = list(vault(tmp_path).frames(1))
        assert found == [records(200, seed) for seed in range(len(found))]
        assert len(found) - told[-1] in {1, 2}  # the one that was under way may have been finished
        assert vault(tmp_path).last_note(1) in {f'{{"frames": {count}}}' for count in (told[-1] + 1, told[-1] + 2)}
        frames = len(found)


def test_a_reader_sees_whole_frames_only_while_one_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, seen = vault(tmp_path), []
    really = os.pwrite

    def looks(handle: int, data: bytes, offset: int) -> int:
        half = (len(data) + 1) // 2
        written = really(handle, data[:half], offset)
        seen.append(list(kept.frames(1)))
        return written

    with kept.writer(1) as writer:
        writer.append(records(3, 0))
        monkeypatch.setattr(os, "pwrite", looks)
        writer.append(records(3, 1))
        monkeypatch.undo()
    whole = [records(3, 0), records(3, 1)]
    assert seen[0] == whole[:1]
    assert all(frames in (whole[:1], whole) for frames in seen)


def test_what_is_dropped_between_opening_and_locking_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = vault(tmp_path)
    _made(tmp_path, 1)
    really, dropped = vault_files.fcntl.flock, []

    def late(handle: int, operation: int) -> None:
        monkeypatch.undo()
        dropped.append(kept.drop(1))
        really(handle, operation)

    monkeypatch.setattr(vault_files.fcntl, "flock", late)
    with kept.writer(1) as writer:
        assert dropped == [True]
        assert writer.append(records(1, 5)) == 0
    assert list(kept.frames(1)) == [records(1, 5)]
