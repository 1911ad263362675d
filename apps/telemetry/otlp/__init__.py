"""OTLP: spans and log records of OpenTelemetry, as protobuf or JSON, to requests under our names.

    export = spans(body, json=False)       # reading
    columns = columns_of(export, ...)      # columns: what `resolve` takes

A span counts when it is a server's (or a consumer's) view of a request; what clients saw and what happened
inside is set apart. Nothing here knows the database.
"""

from apps.telemetry.otlp.answers import answer, problem
from apps.telemetry.otlp.columns import columns_of
from apps.telemetry.otlp.reading import Export, NotOtlp, logs, spans

__all__ = ["Export", "NotOtlp", "answer", "columns_of", "logs", "problem", "spans"]
