"""Facts: what a node is like, read in one round trip and parsed by pure functions."""
