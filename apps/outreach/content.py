"""What a message says: its hash, its HTML, its times in the reader's zone. Nothing here writes."""

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from apps.customers.models import Contact
from apps.outreach.models import Outreach, Picture

#: What people may write. No images: fetched from somewhere, they would tell who opened the mail.
TAGS = {"p", "br", "hr", "strong", "em", "a", "ul", "ol", "li", "blockquote", "code", "pre"} | {
    "h1", "h2", "h3"
}  # fmt: skip

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image")


def content_hash(
    outreach: Outreach, recipients: Iterable[Contact], *, pictured: bool = True
) -> str:
    """Return the SHA-256 of everything that an approval is given for; `pictured`: its picture too."""
    content = {
        "purpose": outreach.purpose,
        "subject": outreach.subject,
        "text": outreach.text,
        "snapshot": outreach.snapshot_id,
        "incident": [outreach.incident_id, outreach.incident_version],
        "recipients": sorted([one.pk, one.email.lower(), one.name] for one in recipients),
        **({"picture": outreach.picture_id} if pictured and outreach.picture_id else {}),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def picture_key(*, title: str, alt: str, png: bytes) -> str:
    """Return the SHA-256 under which a picture is kept."""
    whole = json.dumps([title, alt, hashlib.sha256(png).hexdigest()])
    return hashlib.sha256(whole.encode()).hexdigest()


def is_whole(picture: Picture) -> bool:
    """Whether a kept picture is still what its key was made from."""
    return picture.key == picture_key(title=picture.title, alt=picture.alt, png=bytes(picture.png))


def after_first_list(html: str) -> int:
    """Return where the first list of a text ends, which in a draft is what happened to them; else the text's end."""
    depth = 0
    for tag in re.finditer(r"<(/?)(?:ul|ol|blockquote)>", html):
        depth += -1 if tag[1] else 1
        if depth == 0 and tag[0] != "</blockquote>":
            return tag.end()
    return len(html)


def as_html(text: str) -> SafeString:
    """Return the Markdown as HTML in which nothing can act: no markup of its own, no images, no styles."""
    clean = nh3.clean(
        _MARKDOWN.render(text),
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer",
    )
    return mark_safe(clean)  # noqa: S308  (nh3 has just cleaned it)


def one_line(text: str) -> str:
    """Return `text` on one line, fit for a header: whatever would break a line becomes a blank.

    Blanks that hold a number together (4\u202f120) stay.
    """
    return re.sub(r"(?:[^\S\u00a0\u202f]|[\x00-\x1f\x7f\x85\u2028\u2029])+", " ", text).strip()


def zone(name: str) -> ZoneInfo:
    """Return the time zone of that name, UTC where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def clock(at: datetime, zone_name: str) -> str:
    """Return a time as 10:04 UTC (11:04 Europe/Berlin)."""
    own = at.astimezone(zone(zone_name))
    text = f"{at.astimezone(ZoneInfo('UTC')):%H:%M} UTC"
    return text if own.utcoffset() == at.utcoffset() else f"{text} ({own:%H:%M} {zone_name})"


def span(begin: datetime, end: datetime, zone_name: str) -> str:
    """Return a period as "10:04 to 10:30 UTC (11:04 to 11:30 Europe/Berlin)"."""
    utc = ZoneInfo("UTC")
    text = f"{begin.astimezone(utc):%H:%M} to {end.astimezone(utc):%H:%M} UTC"
    here = zone(zone_name)
    if begin.astimezone(here).utcoffset() == begin.astimezone(utc).utcoffset():
        return text
    return f"{text} ({begin.astimezone(here):%H:%M} to {end.astimezone(here):%H:%M} {zone_name})"
