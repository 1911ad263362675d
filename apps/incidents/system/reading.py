"""Ask the tables for the picture: the flows of the latest count, names, what stands on what, health."""

from dataclasses import dataclass
from datetime import datetime

from apps.accounts.models import User
from apps.catalog.models import Service
from apps.customers.models import Customer
from apps.incidents.models import CountState, SystemCount
from apps.incidents.system import asking, health, running, standing
from apps.incidents.system.asked import Asked
from apps.incidents.system.shape import CUSTOMER, Picture, near, rename


@dataclass(frozen=True, kw_only=True)
class System:
    """The picture, and on what it rests."""

    picture: Picture
    incidents: int
    requests: int
    window_from: datetime | None = None
    window_to: datetime | None = None
    counted_at: datetime | None = None
    counting: bool = False
    error: str = ""


def system(*, user: User, asked: Asked) -> System:
    """Return the map as it is now, in a fixed number of queries."""
    count = SystemCount.objects.filter(pk=1).first()
    own = asking.by_name(user)
    known = asked.services()
    now = health.now(user=user, customers=own, of=set(known) if asked.part else None)
    picture = _picture(user, asked, now, own, known, dict(count.customers) if count else {})
    requests = sum(node.requests or 0 for node in picture.column(CUSTOMER))
    if count is None:
        return System(picture=picture, incidents=now.incidents, requests=requests)
    return System(
        picture=picture,
        incidents=now.incidents,
        requests=requests,
        window_from=count.window_from,
        window_to=count.window_to,
        counted_at=count.finished_at if count.state == CountState.DONE else None,
        counting=count.state in {CountState.QUEUED, CountState.RUNNING},
        error=count.error if count.state == CountState.FAILED else "",
    )


def _picture(
    user: User,
    asked: Asked,
    now: health.Now,
    own: dict[int, Customer],
    known: dict[int, Service],
    seen: dict[str, int],
) -> Picture:
    """Choose, bundle, link and order."""
    flows = asked.flows()
    pairs = running.pairs(flows)
    services = running.services(asked=asked, now=now, known=known, pairs=pairs)
    chosen = services.themselves()
    journeys = running.journeys(asked=asked, now=now, chosen=chosen, pairs=pairs)
    customers = asking.customers(
        user=user,
        asked=asked,
        now=now,
        own=own,
        seen=seen,
        flows=flows,
        journeys=journeys.themselves(),
    )
    stands = standing.dependencies(asked=asked, now=now, chosen=chosen)
    placed = (customers, journeys, services, stands)
    names = {key: name for one in placed for key, name in one.names.items()}
    links = rename([link for one in placed for link in one.links], names)
    order = {node.key: float(at) for at, node in enumerate(services.nodes)}
    nodes = [
        *customers.nodes,
        *near(journeys.nodes, links, order),
        *services.nodes,
        *near(stands.nodes, links, order),
    ]
    return Picture.of(nodes, links)
