"""Figures for Prometheus: each app registers a question, and the page that is scraped asks them all.

Labels never name a customer, a path or whatever else grows: a family has as many samples as our code has words.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Family:
    """A metric with its samples. A counter's name does not end in `_total`: the formats write it so."""

    name: str
    kind: Literal["gauge", "counter"]
    about: str
    samples: Sequence[tuple[Labels, float]] = field(default_factory=tuple)


def gauge(name: str, about: str, value: float | None) -> Family:
    """Return a gauge with one sample, or none where the value is not known."""
    return Family(name, "gauge", about, () if value is None else (({}, value),))


def counter(name: str, about: str, value: float) -> Family:
    """Return a counter with one sample."""
    return Family(name, "counter", about, (({}, value),))


def by_label(
    name: str,
    label: str,
    values: Mapping[str, float],
    about: str,
    *,
    kind: Literal["gauge", "counter"] = "gauge",
) -> Family:
    """Return a family with a sample for each value of one label."""
    samples = tuple(({label: key}, value) for key, value in sorted(values.items()))
    return Family(name, kind, about, samples)


#: Given now, returns what is measured; a few cheap queries.
Ask = Callable[[datetime], Iterable[Family]]
_asked: list[Ask] = []


def measured_by(ask: Ask) -> None:
    """Have whoever scrapes told this. Called as an app gets ready, once for each."""
    if ask not in _asked:
        _asked.append(ask)


def families(now: datetime) -> list[Family]:
    """Return all that is measured, by name."""
    return sorted((one for ask in _asked for one in ask(now)), key=lambda one: one.name)


PLAIN = "text/plain; version=0.0.4"
OPEN = "application/openmetrics-text; version=1.0.0"


def exposition(found: Iterable[Family], *, form: str = PLAIN) -> str:
    """Write families in Prometheus's text format 0.0.4 (PLAIN) or as OpenMetrics 1.0 (OPEN)."""
    lines: list[str] = []
    for one in found:
        written = f"{one.name}_total" if one.kind == "counter" else one.name
        named = one.name if form == OPEN else written
        help_ = one.about.replace("\\", "\\\\").replace("\n", "\\n")
        if form == OPEN:
            help_ = help_.replace('"', '\\"')
        lines += [f"# HELP {named} {help_}", f"# TYPE {named} {one.kind}"]
        lines += [f"{written}{_labels(labels)} {_number(value)}" for labels, value in one.samples]
    if form == OPEN:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    said = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{said}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
