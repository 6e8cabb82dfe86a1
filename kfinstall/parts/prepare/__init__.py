"""Prepare the servers: packages, swap, kernel, clock, proxy, the container runtime and Kubernetes' own packages."""
