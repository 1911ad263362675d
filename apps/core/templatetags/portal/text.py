"""How stored text reads."""

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from apps.core.templatetags.portal.registry import register

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h2", "h3", "h4", "table", "thead", "tbody", "tr", "th", "td"),
}


@register.filter
def markdown(text: object) -> SafeString:
    """Render stored Markdown. Markup in it stays text, and only plain elements come out.

    Headings move one level down, so that the page's own h1 stays the only one; pictures are dropped.
    """
    tokens = _MARKDOWN.parse("" if text is None else str(text))
    for token in tokens:
        _one_lower(token)
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return mark_safe(  # noqa: S308  (nh3 has cleaned it)
        nh3.clean(
            html,
            tags=_TAGS,
            attributes={"a": {"href", "title"}},
            url_schemes={"http", "https", "mailto", "tel"},
            link_rel="noopener noreferrer nofollow",
        )
    )


def _one_lower(token: Token) -> None:
    if token.type in {"heading_open", "heading_close"}:
        token.tag = f"h{min(int(token.tag[1]) + 1, 4)}"
