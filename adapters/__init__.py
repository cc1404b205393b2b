"""How we talk to one outside thing each. Takes values and domain types, never settings."""
