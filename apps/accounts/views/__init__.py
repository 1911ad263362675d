"""Pages of people, one's own account and the keys of machines."""
