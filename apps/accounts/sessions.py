"""The browsers in which people are signed in: noted as they sign in, listed, ended."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.models import Session
from django.db.models import Exists, F, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.models import User, UserSession
from apps.accounts.whereabouts import Whereabouts, of_request

#: A session's row says when it was last seen, to this many seconds.
EVERY = 300
#: How many sessions a process remembers having noted.
REMEMBERED = 10_000
_noted: OrderedDict[str, float] = OrderedDict()


def is_due(key: str) -> bool:
    """Say whether this process has not noted the session for a while."""
    return time.monotonic() - _noted.get(key, -EVERY) >= EVERY


def seen(key: str, *, user: Any, place: Whereabouts, now: datetime) -> None:
    """Note that a session is in use, and from where."""
    _noted[key] = time.monotonic()
    _noted.move_to_end(key)
    while len(_noted) > REMEMBERED:
        _noted.popitem(last=False)
    found = {"user": user, "seen_at": now, "address": place.address, "agent": place.agent}
    UserSession.objects.update_or_create(
        session_key=key, defaults=found, create_defaults={**found, "created_at": now}
    )


def live(user: User, *, now: datetime) -> QuerySet[UserSession]:
    """Return the sessions of a person that still open something, the last seen first."""
    kept = Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=now)
    return UserSession.objects.filter(Exists(kept), user=user).order_by("-seen_at", "-pk")


def end(rows: Iterable[UserSession]) -> int:
    """End these sessions, and return how many."""
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    ended = list(rows)
    for row in ended:
        store.delete(row.session_key)
    UserSession.objects.filter(pk__in=[row.pk for row in ended]).delete()
    return len(ended)


def end_all(user: User) -> int:
    """End every session of a person, listed or not, wherever it is kept."""
    User.objects.filter(pk=user.pk).update(epoch=F("epoch") + 1)
    return end(UserSession.objects.filter(user=user))


def forget_ended() -> None:
    """Drop the rows of sessions that ran out."""
    kept = Session.objects.filter(session_key=OuterRef("session_key"))
    UserSession.objects.filter(~Exists(kept)).delete()


def _signed_in(request: HttpRequest, user: Any, **_: Any) -> None:
    key = getattr(request, "session", None) and request.session.session_key
    if key:
        seen(key, user=user, place=of_request(request), now=timezone.now())


def _signed_out(request: HttpRequest, **_: Any) -> None:
    key = getattr(request, "session", None) and request.session.session_key
    if key:
        UserSession.objects.filter(session_key=key).delete()


def listen() -> None:
    """Hear of every sign-in and sign-out, whichever way it came."""
    user_logged_in.connect(_signed_in, dispatch_uid="accounts.sessions")
    user_logged_out.connect(_signed_out, dispatch_uid="accounts.sessions")
