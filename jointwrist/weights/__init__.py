"""Weight files: reading, writing and checking them, the hub, and the shipped weights."""
