"""Route patterns from paths: what varies, what does not, and what always holds."""

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.catalog import patterns
from apps.catalog.patterns import Routes, Seen, suggest

DATA = Path(__file__).parent.parent / "data"


def seen(*paths, method="GET"):
    return [Seen(method, path, 10 - n % 9) for n, path in enumerate(paths)]


def names(*paths, **settled):
    return {one.name for one in suggest(seen(*paths), **settled)}


SHOES = [
    f"/products/{colour}-shoes" for colour in ["red", "blue", "green", "black", "white", "grey"]
]


def test_ids_beside_each_other_vary_and_fixed_routes_do_not():
    found = suggest(seen("/orders/17", "/orders/18", "/orders/new", "/orders/search", "/orders"))
    assert [(one.name, one.paths) for one in found] == [
        ("GET /orders/{id}", ("/orders/17", "/orders/18"))
    ]
    assert found[0].why == ("2 ids after /orders, such as 17, 18",)
    assert found[0].requests == 19
    assert found[0].share == pytest.approx(19 / 40)


@pytest.mark.parametrize(
    "paths",
    [
        ["/v1/orders", "/v2/orders"],
        ["/orders/17"],
        SHOES[:5],
        ["/cart", "/checkout", "/login", "/search", "/about", "/help", "/terms", "/contact"],
        [
            f"/{word}-us"
            for word in ["about", "contact", "join", "visit", "call", "write", "follow"]
        ],
        [f"/api/v1/{word}-items{more}" for word in "abcdefgh" for more in ("", "/{id}")],
        [f"/users/{verb}" for verb in ["login", "logout", "me", "search", "new"]],
        [
            f"/rpc/{verb}{what}"
            for verb in ("get", "list", "put")
            for what in ("User", "Cart", "Pet")
        ],
        [f"/static/*.{kind}" for kind in ["css", "js", "png", "gif", "svg", "ico", "webp"]],
        [f"/orders/{{id}}/{what}" for what in ["items", "notes", "cancel", "refund"]],
        ["(malformed request)", "*"],
        [],
    ],
)
def test_routes_stay_apart(paths):
    assert suggest(seen(*paths)) == []


def test_names_vary_when_there_are_many_alike():
    assert names(*SHOES, "/products/new", "/products/sale") == {"GET /products/{id}"}
    assert names(*SHOES, "/products/{id}") == {"GET /products/{id}"}
    deep = [f"{path}/reviews" for path in SHOES]
    assert names(*SHOES, *deep) == {"GET /products/{id}", "GET /products/{id}/reviews"}
    words = [f"/tags/{chr(97 + a)}{chr(97 + b)}x" for a in range(8) for b in range(5)]
    assert names(*words) == {"GET /tags/{id}"}
    assert names(*words[:39]) == set()


def test_placeholders_of_several_names_are_one_place():
    [one] = suggest(seen("/orders/{id}", "/orders/{orderId}"))
    assert one.pattern == "/orders/{id}"
    assert one.why == ("One place after /orders with several names: {id}, {orderId}",)


def test_several_places_vary():
    paths = [f"/shops/{shop}/items/{item}" for shop in (11, 12) for item in (5, 6, 7)]
    assert names(*paths) == {"GET /shops/{id}/items/{id}"}


def test_methods_are_apart_and_what_is_settled_is_not_suggested_again():
    both = [*seen(*SHOES), *seen(*SHOES, method="PUT")]
    assert {one.name for one in suggest(both)} == {"GET /products/{id}", "PUT /products/{id}"}
    left = suggest(both, settled=[("GET", "/products/{product}")])
    assert {one.name for one in left} == {"PUT /products/{id}"}


REAL = sorted((DATA / "realwriters").glob("nginx_*.log"))
LINE = re.compile(r'"(GET|POST|HEAD|PUT|DELETE) (/[^ ?"]*)')


def real_paths(text):
    counts = {}
    for match in LINE.finditer(text):
        counts[match.groups()] = counts.get(match.groups(), 0) + 1
    return [Seen(method, path, count) for (method, path), count in counts.items()]


def test_real_logs():
    shop = real_paths("".join(path.read_text() for path in REAL))
    assert shop
    for one in suggest(shop):
        assert not {"/checkout", "/cart", "/orders"} & set(one.paths)
    with gzip.open(DATA / "weblogs/elastic_examples_apache_logs.log.gz", "rt") as log:
        blog = real_paths(log.read())
    found = {one.name: one for one in suggest(blog)}
    assert len(blog) > 1000
    assert "GET /presentations/{id}" in found or "GET /blog/tags/{id}" in found
    left = len(blog) - sum(len(one.paths) - 1 for one in found.values())
    assert left < len(blog) / 2
    holds(blog)


def applied(given_, found):
    into = {(one.method, path): one.pattern for one in found for path in one.paths}
    return [
        Seen(one.method, into.get((one.method, one.path), one.path), one.requests) for one in given_
    ]


def holds(given_):
    """Check what holds of any suggestions."""
    found = suggest(given_)
    assert suggest(list(reversed(given_))) == found
    assert suggest(applied(given_, found)) == []
    distinct = {(one.method, one.path) for one in given_}
    assert len(found) <= len(distinct) // 2
    taken = [(one.method, path) for one in found for path in one.paths]
    assert len(taken) == len(set(taken))
    assert set(taken) <= distinct
    routes = Routes()
    for number, one in enumerate(found):
        assert patterns.checked(one.pattern) == one.pattern
        routes.add(one.method, one.pattern, number)
    for method, path in distinct:
        of = [
            n
            for n, one in enumerate(found)
            if one.method == method and patterns.matches(one.pattern, path)
        ]
        assert len(of) <= 1
        assert routes.find(method, path) == (of[0] if of else None)
    for one in found:
        assert all(patterns.matches(one.pattern, path) for path in one.paths)
        assert len(one.paths) > 1
        assert one.why


PLAIN = ["a", "b", "new", "1", "2", "33", "{id}", "{n}", "v1", "api", "deadbeef1", "q.html"]
ODD = ["*.css", "…", "", "é-ü", "{", "a{id}"]
PARTS = st.sampled_from([*PLAIN, *ODD, *(f"x-{n}" for n in range(1, 8))])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
SEEN = st.builds(Seen, st.sampled_from(["GET", "POST"]), PATHS, st.integers(0, 9))
WIDE = st.builds(
    lambda top, n, rest: Seen("GET", f"/{top}/x-{n}{rest}", n),
    st.sampled_from(["p", "q", "x-0"]),
    st.integers(0, 12),
    st.sampled_from(["", "/a", "/b", "/7", "/8", "/z-1", "/z-2"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SEEN | WIDE, max_size=60))
def test_what_holds_of_any_paths(given_):
    holds(given_)


@settings(max_examples=60, deadline=None)
@given(st.lists(SEEN | WIDE, max_size=30), st.randoms(use_true_random=False))
def test_the_order_does_not_matter(given_, dice):
    mixed = list(given_)
    dice.shuffle(mixed)
    assert suggest(mixed) == suggest(given_)


@given(PATHS, PATHS)
def test_a_path_in_common_is_of_both(one, other):
    both = patterns.in_common(one, other)
    if both:
        assert patterns.matches(one, both)
        assert patterns.matches(other, both)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("orders/{id}", "begins with a slash"),
        ("", "begins with a slash"),
        ("/orders", "Write {id} for the part that varies"),
        ("/orders/{id}.json", "stands for a whole part"),
        ("/orders/{}", "stands for a whole part"),
        ("/orders/{id} x", "no spaces"),
        ("/orders/{id}?x=1", "no spaces"),
        ("/*.css/{id}", "not understood"),
        ("/{id}/" + "x" * 300, "at most"),
    ],
)
def test_what_is_no_pattern_is_said(pattern, says):
    with pytest.raises(patterns.InvalidPattern, match=re.escape(says)):
        patterns.checked(pattern)
