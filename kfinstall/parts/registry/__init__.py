"""Set the registry up: its server, every node's trust in it, its login in the cluster, and the proof that an image is pushed and pulled.

May import the parts before it: connect to storage.
"""
