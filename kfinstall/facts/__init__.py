"""Facts: what a node is like, read in one round trip by scripts/facts/*.sh and parsed by pure functions."""
