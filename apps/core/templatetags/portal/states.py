"""How states read: tone, icon and word."""

from django.contrib.messages import constants as messages

from apps.core.templatetags.portal.registry import register

#: What a state means for who looks at it. Colour means state only: anything else is neutral.
TONES: dict[str, str] = {
    word: tone
    for tone, words in {
        "fine": "fine resolved reviewed kept active sent delivered accepted replied done closed first_try"
        " not_hit told covered success approved operational",
        "slowed": "slowed slow monitoring at_risk stale paused retried partly_hit warning overdue late"
        " degraded",
        "failing": "failing down hit investigating identified reopened broken failed bounced gave_up expired"
        " error failure critical",
        "unknown": "unknown cannot_tell none blind gap",
        "maintenance": "maintenance",
    }.items()
    for word in words.split()
}

#: A state's icon where it is not the one named like its tone (templates/components/sprite.html).
ICONS: dict[str, str] = {
    "draft": "pencil",
    "in_review": "eye",
    "sent": "sent",
    "sending": "sent",
    "paused": "pause",
    "running": "running",
    "queued": "waiting",
    "claimed": "waiting",
    "submitting": "running",
    "open": "waiting",
    "info": "info",
}


@register.filter
def tone(state: object) -> str:
    """Return fine, slowed, failing, unknown, maintenance or neutral for any state of any model."""
    return TONES.get(_word(state), "neutral")


@register.filter
def state_icon(state: object) -> str:
    """Return the name of the icon that goes with a state."""
    word = _word(state)
    return ICONS.get(word) or TONES.get(word, "neutral")


@register.filter
def words(state: object) -> str:
    """Return a state's name as a reader says it: `partly_hit` is "Partly hit"."""
    text = _word(state).replace("_", " ")
    return text[:1].upper() + text[1:]


def _word(state: object) -> str:
    return "unknown" if state is None else str(state).strip().lower().replace(" ", "_")


@register.filter
def message_state(level: object) -> str:
    """Return the state of a Django message by its level."""
    value = level if isinstance(level, int) else 0
    if value >= messages.ERROR:
        return "failing"
    if value >= messages.WARNING:
        return "slowed"
    return "fine" if value == messages.SUCCESS else "info"
