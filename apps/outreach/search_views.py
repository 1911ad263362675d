"""The page that searches everything."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.views.decorators.http import require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import render_partial
from apps.outreach.queries.search import search, sort_for, words_of


@allowed("console")
@require_safe
def results(request: PortalRequest) -> HttpResponse:
    """Show what was found: the first of every sort, or all of one (`in`)."""
    text = request.GET.get("q", "").replace("\0", "").strip()[:100]
    words = words_of(text)
    sort = sort_for(request.user, request.GET.get("in", ""))
    context: dict[str, object] = {"q": text, "words": words, "sort": sort}
    if words and sort:
        page = Paginator(sort.rows(request.user, words), 50).get_page(request.GET.get("page"))
        context |= {"page": page, "hits": [sort.hit(row, words) for row in page]}
    elif words:
        context["groups"] = search(request.user, words)
    return render_partial(request, "core/search.html", "results", context)
