"""OpenSLO v1: files read line by line into tenets to draft, and versions written as files.

Reading and writing are pure: no database, no clock. What a file says is never executed, fetched or guessed.
"""
