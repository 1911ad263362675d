"""How what was searched for stands out in what was found."""

import re
from collections.abc import Sequence

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from apps.core.templatetags.portal.registry import register


@register.filter
def marked(text: object, words: Sequence[str]) -> SafeString:
    """Return `text`, escaped, with every one of `words` in a <mark>."""
    given = "" if text is None else str(text)
    wanted = [re.escape(word) for word in sorted(words, key=len, reverse=True) if word]
    if not wanted:
        return escape(given)
    parts = re.split(f"({'|'.join(wanted)})", given, flags=re.IGNORECASE)
    # Every second part is one that matched.
    shown = (f"<mark>{escape(p)}</mark>" if n % 2 else escape(p) for n, p in enumerate(parts))
    return mark_safe("".join(shown))  # noqa: S308  (each part is escaped)
