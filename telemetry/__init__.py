"""What is counted, traced and logged: every name stands here once; it opens nothing and serves nothing."""
