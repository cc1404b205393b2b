"""Who does the work: one process per role, which imports only what its role needs."""
