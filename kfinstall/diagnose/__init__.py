"""Why something in the cluster is not ready: symptoms in plain words, each followed to its root.

Looks only at what was read; may import kube and what is below it.
"""
