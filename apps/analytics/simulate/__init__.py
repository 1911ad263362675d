"""Traffic of a made-up product with an outage in it, and what truly happened to everyone: the truth to score against.

    for chunk in simulate(Plan.scenario("partial", seed=1, events=1_000_000)):
        chunk.events      # Arrow, EVENT_SCHEMA, sorted by ts as reported: what a log would show
        chunk.attempts    # Arrow, ATTEMPT_SCHEMA: what people and programs did, one row per attempt
        chunk.absences    # Arrow, ABSENCE_SCHEMA: what did not happen: never tried, cut short, not returned

`build_world(plan)` names the customers, services and operations behind the integers; `to_ndjson` writes events
as the lines that `POST /api/v1/events` takes. The same plan gives the same bytes.
"""

from apps.analytics.simulate.lines import Names, to_ndjson
from apps.analytics.simulate.plan import FAULTS, Fault, Plan
from apps.analytics.simulate.stream import Chunk, simulate
from apps.analytics.simulate.tables import ABSENCE_SCHEMA, ATTEMPT_SCHEMA
from apps.analytics.simulate.truth import Truth, Witness
from apps.analytics.simulate.world import (
    JOURNEYS,
    OPERATIONS,
    SERVICES,
    Customer,
    Operation,
    World,
    build_world,
)

__all__ = [
    "ABSENCE_SCHEMA",
    "ATTEMPT_SCHEMA",
    "FAULTS",
    "JOURNEYS",
    "OPERATIONS",
    "SERVICES",
    "Chunk",
    "Customer",
    "Fault",
    "Names",
    "Operation",
    "Plan",
    "Truth",
    "Witness",
    "World",
    "build_world",
    "simulate",
    "to_ndjson",
]
