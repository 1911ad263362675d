"""What we run: services, what a caller can ask of them, and the journeys people go through."""
