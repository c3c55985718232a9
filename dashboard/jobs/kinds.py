"""Every kind of long work that a worker can do, by its name."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.jobs.analysis_job import KIND as ANALYSIS
from dashboard.jobs.kind import Kind

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (ANALYSIS,)}
