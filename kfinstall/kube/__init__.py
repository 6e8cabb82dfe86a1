"""The Kubernetes API, reached through the SSH connection to the first control plane: one protocol, and the client behind it."""
