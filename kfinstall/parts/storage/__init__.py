"""Set storage up: local-path or NFS, one default class, and the proof that a volume is written and read.

May import the parts before it: connect to cluster.
"""
