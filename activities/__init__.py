"""One step, done once: decode, call, translate the failure."""
