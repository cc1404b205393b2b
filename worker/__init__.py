"""Who does the work: one process per role."""
