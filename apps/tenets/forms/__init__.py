"""What people type about promises: a version, its clauses, answers to the guide, a file."""
