"""Samples of what commands cost: kept as other samples are, in a table of their own."""

from __future__ import annotations

import math

import pytest
from sqlalchemy import func, select

from dashboard.store import command_samples, samples
from dashboard.store.command_samples import FIVE_MINUTES, HOUR, RAW, CommandSample
from dashboard.store.engine import Store
from dashboard.store.schema import CommandSampleRow
from tests.store.test_samples import START, times


def sample(at: float, node: str = "a", calls: float = 1.0) -> CommandSample:
    return CommandSample(at, "main", node, {"get": [[calls, 20.0], [1, 5, 2, 4]], "config|get": [[1, 9]]})


def test_what_was_saved_is_loaded(store: Store) -> None:
    saved = [sample(START + 1.5, calls=12345678901.0), sample(START + 16, "b")]
    command_samples.save(store, saved, 15.0)
    assert command_samples.load(store, "main", START, now=START) == saved
    assert command_samples.latest(store, "main") == saved


def test_two_workers_leave_one_sample_a_period(store: Store) -> None:
    for second in (0.25, 0.9, 14.9):
        command_samples.save(store, [sample(START + second)], 15.0)
    assert times(command_samples.load(store, "main", START, now=START)) == [0.25]


def test_they_are_thinned_out_more_than_other_samples(store: Store) -> None:
    hour = START // 3600 * 3600
    command_samples.save(store, [sample(hour + 15 * n) for n in range(2 * 240 + 1)], 15.0)
    command_samples.compact(store, hour + 7200)
    with store.read() as session:
        query = select(CommandSampleRow.resolution, func.count()).group_by(CommandSampleRow.resolution)
        found = dict(session.execute(query).all())  # type: ignore[arg-type]
    assert found == {RAW: 245, FIVE_MINUTES: 24, HOUR: 2}  # of the last hour, and a minute of slack
    kept = command_samples.load(store, "main", hour, resolution=HOUR, now=hour + 7200)
    assert [one.at - hour for one in kept] == [3585.0, 7185.0, 7200.0]


def test_they_leave_other_samples_alone(store: Store) -> None:
    command_samples.save(store, [sample(START)], 15.0)
    assert samples.latest(store, "main") == []


def test_it_refuses_what_is_no_number(store: Store) -> None:
    with pytest.raises(ValueError, match="JSON"):
        command_samples.save(store, [sample(START, calls=math.nan)], 15.0)
