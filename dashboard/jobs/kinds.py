"""Every kind of long work that a worker can do, by its name."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.jobs.analysis_job import KIND as ANALYSIS
from dashboard.jobs.eviction_trace_job import KIND as EVICTION_TRACE
from dashboard.jobs.invalidation_job import KINDS as INVALIDATION
from dashboard.jobs.kind import Kind
from dashboard.jobs.publish_job import KIND as PUBLISH
from dashboard.jobs.retime_job import KINDS as RETIMING
from dashboard.jobs.saving_job import KIND as SAVING
from dashboard.jobs.stampede_watch_job import KIND as STAMPEDE_WATCH

KINDS: Mapping[str, Kind] = {
    kind.name: kind for kind in (ANALYSIS, EVICTION_TRACE, *INVALIDATION, PUBLISH, *RETIMING, SAVING, STAMPEDE_WATCH)
}
