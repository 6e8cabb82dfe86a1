"""Why something in the cluster is not ready: symptoms in plain words, each followed to its root. Reads only what was read."""
