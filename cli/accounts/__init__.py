"""`greenroom plans`, `accounts`, `keys` and `usage`: who may do how much, and what it came to."""
