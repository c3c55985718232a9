"""The queue: its storages, and messages that are JSON and nothing else."""

from __future__ import annotations

import json
import pickle
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from huey import SKIPPED, Error, Huey
from huey.registry import Message

from dashboard.jobs.messages import BadMessage, JsonSerializer
from dashboard.jobs.queue import make_queue
from dashboard.settings import BadSettings, Settings
from tests.servers import Server


@contextmanager
def queue(tmp_path: Path, url: str | None = None) -> Iterator[Huey]:
    made = make_queue(Settings(data=tmp_path, queue_url=url))  # type: ignore[arg-type]
    yield made
    made.storage.close()


def adding(made: Huey, done: list[int]) -> object:
    def add(amount: int, times: int = 1) -> None:
        done.append(amount * times)

    return made.task(name="add")(add)


def work(made: Huey) -> None:
    while (task := made.dequeue()) is not None:
        made.execute(task)


def test_a_task_travels_through_sqlite_in_the_data_folder(tmp_path: Path) -> None:
    done: list[int] = []
    with queue(tmp_path) as made:
        adding(made, done)(20, times=2)  # type: ignore[operator]
        with queue(tmp_path) as consumer:
            adding(consumer, done)
            work(consumer)
    assert done == [40]
    assert stat.S_IMODE((tmp_path / "queue.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_a_task_travels_through_a_server(tmp_path: Path, valkey: Server, scheme: str) -> None:
    done: list[int] = []
    with queue(tmp_path, valkey.url.replace("redis", scheme, 1)) as made:
        adding(made, done)(3)  # type: ignore[operator]
        with closing(valkey.client()) as client:
            (body,) = client.lrange("huey.redis.cachedeck", 0, -1)
        assert json.loads(body)["$"] == "message"
        made.execute(made.dequeue())
    assert done == [3]


def test_a_task_can_be_scheduled_for_later(tmp_path: Path) -> None:
    done: list[int] = []
    with queue(tmp_path) as made:
        adding(made, done).schedule((7,), delay=60)  # type: ignore[attr-defined]
        work(made)
        now = datetime.now(UTC).replace(tzinfo=None)
        assert made.read_schedule(now) == []
        assert [task.args for task in made.read_schedule(now + timedelta(seconds=61))] == [(7,)]


def test_an_unknown_storage_is_refused_without_showing_the_password(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="begins with none of") as caught:
        make_queue(Settings(data=tmp_path, queue_url="amqp://user:s3cret@host/"))  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSettings, match="cannot be written"):
        make_queue(Settings(data=tmp_path / "file"))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2.5,
        "é\u2028",
        [1, [2]],
        (1, (2, "x")),
        {"a": (1,), 2: b"\x00\xff"},
        {"$": "message", "v": {}},
        datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001
        datetime(2026, 1, 2, tzinfo=UTC),
        timedelta(days=1),
        SKIPPED,
    ],
)
def test_values_come_back_as_they_were(value: object) -> None:
    serializer = JsonSerializer()
    assert serializer.deserialize(serializer.serialize(value)) == value


def test_messages_come_back_with_what_follows_them() -> None:
    after = Message("2", "after", args=(1,), kwargs={})
    message = Message("1", "first", datetime(2026, 1, 2), args=(b"key",), kwargs={"n": 1}, on_complete=after)  # noqa: DTZ001
    serializer = JsonSerializer()
    again = serializer.deserialize(serializer.serialize(message))
    assert again == message
    assert isinstance(again.on_complete, Message)
    assert serializer.deserialize(serializer.serialize(Error({"error": "x"}))) == Error({"error": "x"})


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("pickle was loaded",)


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Bomb()),
        b"",
        b"{",
        b'{"$":"os.system","v":"id"}',
        b'{"a":1}',
        b'{"$":"message","v":{"evil":1}}',
        b"[" * 100_000,
        b'{"$":"bytes","v":"*"}',
    ],
)
def test_it_reads_nothing_but_its_own_messages(data: bytes) -> None:
    with pytest.raises(BadMessage):
        JsonSerializer().deserialize(data)


def test_it_carries_no_objects() -> None:
    with pytest.raises(BadMessage, match="Bomb"):
        JsonSerializer().serialize({"x": Bomb()})


def test_a_message_that_names_no_task_of_ours_runs_nothing(tmp_path: Path) -> None:
    with queue(tmp_path) as made:
        made.storage.enqueue(JsonSerializer().serialize(Message("1", "os.system", args=("id",), kwargs={})))
        with pytest.raises(Exception, match="not found in TaskRegistry"):
            made.dequeue()
