"""Facts: what a node is like, read in one round trip and parsed by pure functions.

May import diagnose and what is below it; each part's own sections stand in that part.
"""
