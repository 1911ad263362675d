"""What an exporter of OpenTelemetry does: deliver spans or log records."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from apps.accounts.models import ApiKey
from apps.telemetry import otlp
from apps.telemetry.actions.delivery import SAMPLES, BadDelivery, store_delivery
from apps.telemetry.formats.columns import Rejects
from apps.telemetry.models import Batch
from apps.telemetry.rules import over_http

Signal = Literal["traces", "logs"]


@dataclass(frozen=True)
class Exported:
    """What became of an export: how many items were requests and stored, refused, or no requests at all."""

    accepted: int
    rejected: int
    message: str


def accept_export(
    *, body: bytes, signal: Signal, json: bool, key: ApiKey, now: datetime
) -> Exported:
    """Store the requests of an export whole, durably, once. Raise BadDelivery when the body is no export.

    What is no request (a client's span, another log record) is taken and set apart; what is one and cannot be
    stored is counted as rejected, with the reasons.
    """
    delivery = f"{key.pk}:otlp:{hashlib.sha256(body).hexdigest()}"
    if known := Batch.objects.filter(delivery=delivery).first():
        return Exported(known.rows, known.rejected, _why(known.reasons))
    names = over_http().names()
    try:
        export = (otlp.spans if signal == "traces" else otlp.logs)(body, json=json, names=names)
    except otlp.NotOtlp as error:
        raise BadDelivery(
            "invalid_otlp", str(error), "Send it as its Content-Type says."
        ) from error
    rejects = Rejects(keep=SAMPLES)
    found, _ = otlp.columns_of(
        export, names=names, rejects=rejects, now_ms=int(now.timestamp() * 1000)
    )
    found = [columns for columns in found if len(columns)]
    if found:
        stored = store_delivery(
            found,
            rejects=rejects,
            source=f"OTLP: {key.name}",
            form="otlp json" if json else "otlp",
            length=len(body),
            delivery=delivery,
            now=now,
        )
        return Exported(stored.accepted, stored.rejected, _why(rejects.counts))
    return Exported(0, rejects.total, _why(rejects.counts))


def _why(reasons: dict[str, int]) -> str:
    return "; ".join(f"{count}: {reason}" for reason, count in sorted(reasons.items()))
