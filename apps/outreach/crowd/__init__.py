"""A large base to try the console with, written in bulk: something on every page that opens.

`people` makes who signs in and what they leave behind, `accounts` customers, `shop` what we run, its
traffic and what is promised, `told` incidents, their impact, and what was written about them.
"""

from apps.outreach.crowd.gathering import Crowd, gather

__all__ = ["Crowd", "gather"]
