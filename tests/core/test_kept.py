"""What is kept in the process: made once, bounded, the longest unasked for goes first."""

import pytest

from apps.core.kept import Kept


def test_a_value_is_made_once_for_a_key():
    made = []
    kept = Kept(2)

    def make(value):
        return lambda: made.append(value) or value

    assert [kept.get("a", make(1)), kept.get("a", make(2)), kept.get("b", make(3))] == [1, 1, 3]
    assert made == [1, 3]


def test_the_longest_unasked_for_makes_room():
    kept = Kept(2)
    for key in "abac":
        kept.get(key, lambda key=key: key)

    assert kept.get("a", lambda: "new") == "a"
    assert kept.get("b", lambda: "new") == "new"


def test_what_could_not_be_made_is_not_kept():
    kept = Kept(2)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 / 0)

    assert kept.get("a", lambda: "at last") == "at last"
