"""How a process starts: settings, the Temporal client, logging, life lines."""
