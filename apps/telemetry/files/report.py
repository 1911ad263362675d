"""What became of one input, for the screen and for `--json`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.catalog.models import Service
from apps.telemetry.formats.columns import Rejects
from apps.telemetry.resolve import Tally

Progress = Callable[["Report"], None]


@dataclass
class Report:
    """What became of one input."""

    source: str
    service: str
    format: str = ""
    description: str = ""
    size: int = 0  # packed bytes, 0 = not known
    done: int = 0  # packed bytes read
    lines: int = 0
    stored: int = 0
    already: int = 0
    rejects: Rejects = field(default_factory=Rejects)
    tally: Tally = field(default_factory=Tally)
    segments: int = 0
    cut_off: str = ""  # the last line, when it is not all there
    damage: str = ""  # what is wrong with the end of a packed file

    @property
    def service_words(self) -> str:
        """The services that the requests are of, a few of them by name."""
        slugs = sorted(
            Service.objects.filter(pk__in=self.tally.services).values_list("slug", flat=True)
        )
        named = ", ".join(slugs[:5]) + (f" and {len(slugs) - 5} more" if len(slugs) > 5 else "")
        return f"{'services' if len(slugs) > 1 else 'service'} {named or self.service}"

    @property
    def whole(self) -> bool:
        """Whether all of the input was taken in (lines that do not parse are counted, not a failure)."""
        return not self.cut_off and not self.damage and self.stored + self.already > 0

    @property
    def named_share(self) -> float | None:
        """Share of customers' requests whose customer we can name; None without any."""
        return self.tally.named / self.tally.customers if self.tally.customers else None

    def as_json(self) -> dict[str, Any]:
        """Return what `ingest --json` prints."""
        return {
            "source": self.source,
            "service": self.service,
            "format": self.format,
            "recognised": self.description,
            "lines": self.lines,
            "stored": self.stored,
            "already_there": self.already,
            "rejected": self.rejects.total,
            "reasons": dict(self.rejects.counts),
            "samples": [sample.as_json() for sample in self.rejects.samples],
            "failed": self.tally.failed,
            "bots": self.tally.bots,
            "probes": self.tally.probes,
            "named_share": self.named_share,
            "with_actor": self.tally.with_actor,
            "operations": len(self.tally.operations),
            "segments": self.segments,
            "from_ms": self.tally.first_ms,
            "to_ms": self.tally.last_ms,
            "cut_off": self.cut_off,
            "damage": self.damage,
            "whole": self.whole,
        }
