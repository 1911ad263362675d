"""Services and journeys on the map, from the counted requests of each pair."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet, Sum
from django.urls import reverse

from apps.catalog.models import Journey, Service
from apps.incidents.models import Flow
from apps.incidents.system import health
from apps.incidents.system.asked import Asked, Placed
from apps.incidents.system.shape import (
    FINE,
    JOURNEY,
    SERVICE,
    Link,
    Node,
    bundle,
    most,
    worst,
)


@dataclass(frozen=True)
class Pair:
    """Requests to a service on a journey (None = on none)."""

    service: int
    journey: int | None
    requests: int
    failed: int


def pairs(flows: QuerySet[Flow]) -> list[Pair]:
    """Return what was asked of each service on each journey, added up by the database."""
    rows = flows.values_list("service", "journey").annotate(n=Sum("requests"), bad=Sum("failed"))
    return [Pair(*row) for row in rows.order_by("service", "journey")]


def services(
    *, asked: Asked, now: health.Now, known: Mapping[int, Service], pairs: Iterable[Pair]
) -> Placed:
    """Return the services as nodes, those that nobody asked anything of too."""
    seen: dict[int, tuple[int, int]] = {}
    for pair in pairs:
        requests, failed = seen.get(pair.service, (0, 0))
        seen[pair.service] = requests + pair.requests, failed + pair.failed
    nodes = []
    for service in known.values():
        requests, failed = seen.get(service.pk, (0, 0))
        well = now.services.get(service.pk)
        nodes.append(
            Node(
                key=f"s{service.pk}",
                column=SERVICE,
                label=service.name,
                href=reverse("catalog:service", args=[service.slug]),
                health=well or (FINE if service.pk in seen else health.UNSEEN),
                requests=requests,
                failed=failed,
                note=well.because if well else "",
            )
        )
    shown, rest = most(nodes, asked.limit)
    if rest:
        label = f"and {len(rest):,} more services"
        href = asked.unfolded(len(rest))
        shown = [*shown, bundle(rest, key="s-more", label=label, href=href)]
    return Placed(nodes=shown, names={node.key: "s-more" for node in rest})


def journeys(
    *, asked: Asked, now: health.Now, chosen: Sequence[int], pairs: Sequence[Pair]
) -> Placed:
    """Return the journeys of the `chosen` services as nodes, and where they lead; the others are bundled."""
    seen = {pair.journey: pair for pair in pairs if pair.journey}
    nodes, links = [], [_link(pair) for pair in pairs]
    for journey in Journey.objects.filter(service__in=list(chosen)).order_by("pk"):
        of = journey.service_id
        found = seen.pop(journey.pk, None)
        well = health.of_journey(now, service=of, name=journey.name)
        nodes.append(
            Node(
                key=f"j{journey.pk}",
                column=JOURNEY,
                label=journey.name,
                href=reverse("catalog:journey", args=[journey.pk]),
                health=well if found or well != FINE else health.UNSEEN,
                requests=found.requests if found else 0,
                failed=found.failed if found else 0,
            )
        )
        if not found:
            links.append(_link(Pair(of, journey.pk, 0, 0)))
    shown, rest = most(nodes, asked.limit)
    rest += [_elsewhere(pair, now) for pair in seen.values()]
    if rest:
        label = f"and {len(rest):,} more journey" + ("s" if len(rest) > 1 else "")
        href = asked.unfolded(len(rest))
        shown.append(bundle(rest, key="j-more", label=label, href=href))
    outside = [pair for pair in pairs if pair.journey is None]
    if outside:
        shown.append(
            Node(
                key="j-other",
                column=JOURNEY,
                label="In no journey",
                href=reverse("catalog:services"),
                health=worst(now.services.get(pair.service, FINE) for pair in outside),
                requests=sum(pair.requests for pair in outside),
                failed=sum(pair.failed for pair in outside),
                bundle=True,
            )
        )
    return Placed(nodes=shown, links=links, names={node.key: "j-more" for node in rest})


def _elsewhere(pair: Pair, now: health.Now) -> Node:
    """Return a journey of a bundled service: it is bundled as well, so it needs no name."""
    return Node(
        key=f"j{pair.journey}",
        column=JOURNEY,
        label="",
        href="",
        health=now.services.get(pair.service, FINE),
        requests=pair.requests,
        failed=pair.failed,
    )


def _link(pair: Pair) -> Link:
    return Link(
        source=f"j{pair.journey}" if pair.journey else "j-other",
        target=f"s{pair.service}",
        requests=pair.requests,
        failed=pair.failed,
    )
