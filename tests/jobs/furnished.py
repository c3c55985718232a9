"""Rows of jobs and schedules in every state, written directly: no worker, however quick, can take them first."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from dashboard.cache.tuning.before_after import compare
from dashboard.cache.tuning.trial_rules import Window
from dashboard.cache.walking.progress import Progress
from dashboard.jobs.results import progress_of
from dashboard.store import schedules, setting_changes, trials
from dashboard.store.engine import Store
from dashboard.store.jobs import INTERRUPTED, STATES, State
from dashboard.store.schedules import Draft
from dashboard.store.schema import JobRow
from dashboard.store.setting_changes import Asked, NodeChange

HOUR = 3600.0


def furnish_jobs(store: Store, cache: str) -> None:
    """One job of each state but "queued"; the one that runs has a worker that will seem to live for an hour."""
    with store.write() as session:
        for state in STATES:
            if state != "queued":
                session.add(_row(cache, state, time.time()))


def furnish_schedules(store: Store, cache: str) -> None:
    """One that is to come, one that rests, one that was missed; none of them is due in the next days."""
    far = time.time() + 30 * 24 * HOUR
    task = {"pattern": "shop:*", "mode": "gently", "seconds": "600", "channel": "invalidate", "per": "batch"}
    schedules.create(store, Draft(cache, task, "30 2 1 * *", far, "otto", "127.0.0.1", "prices are renewed then"))
    resting = Draft(cache, {"pattern": "a:" + "long:" * 60}, "*/7 2-4 1,15 * *", far, "ada", "127.0.0.1", "")
    schedules.disable(store, schedules.create(store, resting).id)
    missed = schedules.create(store, Draft(cache, {"pattern": "user:*"}, "", far, "otto", "127.0.0.1", ""))
    schedules.take(store, missed, time.time() - HOUR, None, "Not done: it was due at 2026-01-02 03:04 UTC.")


def furnish_settings(store: Store, cache: str) -> None:
    """A trial that went back because it hurt, and after it a change that one of three nodes refused."""
    asked, policy = Asked("ada", "127.0.0.1", "hot keys go"), "maxmemory-policy"
    had, lfu = {policy: "allkeys-lru"}, {policy: "allkeys-lfu"}
    nodes = [NodeChange(f"10.0.0.{n}:6379", f"10.0.0.{n}:6379", had, lfu, "applied", lfu) for n in (1, 2, 3)]
    begun = setting_changes.begin(store, cache, "trial", lfu, nodes, asked)
    setting_changes.note(store, begun.number, nodes, "applied")
    before = [Window(10, 900 + n, 100, 20, operations=2000, memory=6e7) for n in range(20)]
    during = [Window(10, 700 + n, 300, 90, operations=2100, memory=6e7) for n in range(20)]
    trial = trials.begin(store, trials.Draft(cache, "trial", lfu, 1800, asked, guards={"hit_ratio_points": 2}))
    trials.note(store, trial.number, [f"{nodes[0].node} had lost the settings of the trial and was given them again."])
    why = "The hit ratio fell from 90 % to 70 % over the last 60 s: by more than 2 points."
    compared = compare(before, during).to_plain()
    trials.go(store, trial, "reverted", why=why, change=begun.number, comparison=compared)
    refused = "<i>OOM</i> command not allowed when used memory > 'maxmemory'."
    parts = [
        replace(nodes[0]),
        replace(nodes[1], state="refused", now=had, sentence=refused),
        replace(nodes[2], state="waiting", now=None),
    ]
    change = setting_changes.begin(store, cache, "change", lfu, parts, asked)
    setting_changes.note(store, change.number, parts, "partial")


def _row(cache: str, state: State, now: float) -> JobRow:
    ended = state == "finished"
    progress = Progress(1_000_000 if ended else 3_241_077, 1_000_000 if ended else 10_100_000, 12.5, 5.9, 8112, 0.93)
    errors = {"failed": f"{cache} cannot be reached.", "interrupted": INTERRUPTED}
    return JobRow(
        cache=cache,
        kind="analysis",
        arguments=json.dumps({"selection": {"pattern": "api:search:*"}, "share": 0.5, "replicas": False}),
        actor="otto",
        address="127.0.0.1",
        reason="",
        state=state,
        owner="nobody",
        cancelling=False,
        pausing=False,
        created_at=now - 100,
        queued_at=now - 100,
        started_at=now - 99,
        heartbeat_at=now + HOUR,
        ended_at=None if state == "running" else now - 80,
        progress=json.dumps(progress_of(progress)),
        error=errors.get(state, ""),
        advice="",
    )
