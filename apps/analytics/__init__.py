"""What happened to customers, computed: attempts out of events, measures out of attempts, words out of measures.

A pure library: no Django, no database of ours, no clock, no settings. Events come in as an explicit
list of Parquet files in the form of `events.EVENT_SCHEMA`; DuckDB in memory makes the passes over them,
NumPy the intervals; frozen dataclasses go out. Every measure says what it means, in which unit, and
when it refuses: a number that cannot be told is a gap, never a guess.
"""
