"""The scenarios by name. Each says in a sentence what it does, and does it on a Stage, which puts all back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboard.demo.bench.stage import Stage
from dashboard.demo.bench.working_set import play_working_set
from dashboard.demo.caching.ttl import TTL_SECONDS

EXPIRY_ROWS = 100  # users, and as many products: each is asked for again within seconds of its expiry
EXPIRY_SCALE = 0.01
OUTAGE_SECONDS = 30.0


@dataclass(frozen=True)
class Scenario:
    """`play` begins it; it ends after `seconds`, counted from then on. None: it goes on until another begins."""

    name: str
    title: str
    sentence: str
    seconds: float | None
    play: Callable[[Stage], None]


def _steady(_stage: Stage) -> None:
    """Nothing is turned."""


def _flash_sale(stage: Stage) -> None:
    stage.drive(hot_share=0.6, burst_factor=3.0, write_share=0.1)


def _mass_expiry(stage: Stage) -> None:
    """A cache that was filled within a moment. Few rows, asked for evenly, so that all of them are asked for again; no
    changes, as each would end an entry before its time; and nothing of shorter life, which would hide the cliff."""
    traffic, size = stage.driver.traffic, stage.driver.size
    users, products = min(EXPIRY_ROWS, size.users), min(EXPIRY_ROWS, size.products)
    stage.turn(ttl_scale=EXPIRY_SCALE)
    stage.drive(users=users, products=products, skew=0.3, write_share=0.0, row_share=1.0, rate=max(traffic.rate, 200.0))
    stage.remove()
    stage.warm(users, products)
    cliffs = ", ".join(f"{TTL_SECONDS[name] * EXPIRY_SCALE:.0f} s" for name in ("product", "profile"))
    stage.say(
        f"{users + products} users and products were read into an empty cache at once, with TTLs of {cliffs}. "
        "Without jitter each class expires within a moment, with jitter it does not."
    )


def _deploy_flush(stage: Stage) -> None:
    stage.remove()


def _outage(stage: Stage) -> None:
    stage.cut(OUTAGE_SECONDS)


SCENARIOS = {
    one.name: one
    for one in (
        Scenario("steady", "Steady", "Visitors come and go as set, and nothing is changed.", None, _steady),
        Scenario(
            "flash-sale",
            "Flash sale on one product",
            "60 % of all requests are for one product, in bursts of three times the rate, and one in ten is a change.",
            60.0,
            _flash_sale,
        ),
        Scenario(
            "mass-expiry",
            "Mass expiry",
            "Some hundred rows are read into an empty cache at once, with short TTLs.",
            100.0,
            _mass_expiry,
        ),
        Scenario(
            "deploy-flush",
            "Deploy flushes the cache",
            "All keys of the shop are removed at once, as a careless deploy does.",
            60.0,
            _deploy_flush,
        ),
        Scenario(
            "working-set",
            "Working set of 3 times maxmemory",
            "What is asked for would take three times the memory that the cache has.",
            120.0,
            play_working_set,
        ),
        Scenario(
            "outage",
            "Cache outage",
            f"For {OUTAGE_SECONDS:.0f} s the shop finds that its cache refuses connections.",
            60.0,
            _outage,
        ),
    )
}
