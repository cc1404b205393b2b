"""The parts that are not Python packages: found, fetched and checked; none is ever taken unchecked."""
