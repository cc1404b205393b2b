"""What is true: pure rules over values. Standard library only; no I/O, no clock, no environment, no randomness."""
