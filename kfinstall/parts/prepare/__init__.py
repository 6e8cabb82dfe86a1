"""Prepare the servers: packages, swap, kernel, clock, proxy, the container runtime and Kubernetes' own packages.

May import the parts before it: connect, preflight.
"""
