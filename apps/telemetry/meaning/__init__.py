"""From columns to events: whose request it was, what was asked, and whether it failed for the caller."""
