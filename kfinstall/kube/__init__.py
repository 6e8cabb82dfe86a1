"""The Kubernetes API, reached through the SSH connection to the first control plane: one protocol, and the client behind it.

Only here and in the simulator HTTP is spoken to an API server; imports nothing but the words.
"""
