"""What happened: ingest, segments, catalogue.

Requests arrive as files (`manage.py ingest`) or over HTTP (`POST /api/v1/events`, and OTLP at `/v1/traces`
and `/v1/logs`, which `otlp` reads). `formats` turns bytes into columns, `meaning` turns columns into
events (whose request, which operation, did it fail for the caller), `store` writes immutable Parquet
segments and names them in the catalogue. Readers open what the catalogue names and nothing else. The
files are unpacked as a stream, so memory does not grow with the input.

Whose a request is, the ordered rules of `customers` say (`actions.rules`, `trial` to try them). Beside
the segments `counts` keeps how much of the traffic is named, by hour and service, which operations were
seen, and a bounded sketch of what the unnamed requests have in common.
"""
