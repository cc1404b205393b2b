"""Child processes kept alive: what a part is, when it is ready, what it says; no part is known here by name."""
