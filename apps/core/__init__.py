"""The small kernel that every floor stands on: wake-ups, append-only tables, template tags, the verbs for figures."""
