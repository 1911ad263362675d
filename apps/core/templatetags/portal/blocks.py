"""Components that hold other markup."""

from django.template import Context
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.text import slugify

from apps.core.templatetags.portal.registry import register


def _hold(component: str, content: str, /, **values: object) -> SafeString:
    return render_to_string(f"components/{component}.html", {"content": content, **values})


@register.simple_block_tag
def page_header(
    content: str,
    title: str,
    *,
    lead: str = "",
    state: str = "",
    state_label: str = "",
    trail: str = "",
    trail_href: str = "",
) -> SafeString:
    """Head a page: h1, one lead sentence, where it hangs (`trail`), and inside: the actions."""
    return _hold(
        "page_header",
        content if content.strip() else "",
        title=title,
        lead=lead,
        state=state,
        state_label=state_label,
        trail=trail,
        trail_href=trail_href,
    )


@register.simple_block_tag
def panel(
    content: str, title: str, *, note: str = "", name: str = "", quiet: bool = False
) -> SafeString:
    """Set a part of a page under a heading; `note` stands at its right, `name` is its id."""
    return _hold("panel", content, title=title, note=note, name=name or slugify(title), quiet=quiet)


@register.simple_block_tag
def table_wrap(content: str, label: str) -> SafeString:
    """Let a table scroll inside itself, by keyboard too. `label` says what it lists."""
    return _hold("table_wrap", content, label=label)


@register.simple_block_tag
def figure(content: str, title: str, *, note: str = "", name: str = "") -> SafeString:
    """Frame a chart: `title` says what it shows, `note` its basis (window, coverage)."""
    return _hold("figure", content, title=title, note=note, name=name or slugify(title))


@register.simple_block_tag
def dialog(content: str, name: str, title: str) -> SafeString:
    """Hold a dialog; `<a href="…" data-opens="name">` opens it, and goes to its href without JavaScript."""
    return _hold("dialog", content, name=name, title=title)


@register.simple_block_tag(takes_context=True)
def danger(context: Context, content: str, label: str, action: str, *, confirm: str) -> SafeString:
    """Ask twice: the button `label` uncovers the content and the button `confirm`, which POSTs to `action`."""
    return _hold(
        "danger",
        content,
        label=label,
        action=action,
        confirm=confirm,
        csrf_token=context.get("csrf_token"),
    )
