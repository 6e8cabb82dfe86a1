"""Set storage up: local-path or NFS, one default class, and the proof that a volume is written and read."""
