"""The whole system on one machine: its ports, its memory, its parts in order; it serves no other machine."""
