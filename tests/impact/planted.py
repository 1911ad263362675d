"""The impact of simulated traffic, as it was or with something missing or wrong in its log."""

from apps.analytics.impact import compute, connect
from apps.analytics.names import Week
from apps.impact.evaluations.planted import plant

DAY_MS = 86_400_000


def result_of(plan, *, change=None, weeks=0, until_ms=None):
    """The impact of a plan's window; `change` is made to each table of events before it is stored.

    `until_ms`: until when it is known, the plan's end without it.
    """
    start, end = plan.window_ms
    from_ms = 0 if weeks else start - DAY_MS
    with plant(plan, from_ms=from_ms, change=change) as made, connect() as con:
        return compute(
            con,
            files=made.files,
            start_ms=start,
            end_ms=end,
            as_of_ms=until_ms or plan.end_ms,
            data_end_ms=until_ms or plan.end_ms,
            names=made.catalogue,
            baseline_weeks=[Week(back, made.files) for back in range(1, weeks + 1)],
        )


def with_column(table, name, values):
    """The same events with other values in one column."""
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), values)
