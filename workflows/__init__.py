"""In what order: the session's story as a ladder of named steps. Sees contracts, domain and temporalio only."""
