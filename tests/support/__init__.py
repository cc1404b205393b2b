"""Real servers for tests, and hand-written stand-ins for what is scarce."""
