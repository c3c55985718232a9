"""What a change of settings would do to this cache, and what each policy would mean for it. Pure.

What is said of which setting stands in effect_memory, _policy and _costs; of the policies in tuning_judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.cache.statistics.picture import LEVELS
from dashboard.cache.tuning import effect_costs, effect_memory, effect_policy
from dashboard.cache.tuning.evidence import Evidence, Planned, Remark, plan_of
from dashboard.cache.tuning.judged import judged

__all__ = ["Evidence", "Planned", "Remark", "judged", "remarks"]

CHECKS = (*effect_memory.CHECKS, *effect_policy.CHECKS, *effect_costs.CHECKS)


def remarks(planned: Sequence[Planned], seen: Evidence) -> tuple[Remark, ...]:
    """What to know before these changes are made, the worst first; () where there is nothing."""
    plan = plan_of(planned, seen)
    found = [remark for check in CHECKS for remark in check(plan)]
    return tuple(sorted(found, key=lambda remark: LEVELS.index(remark.level)))
