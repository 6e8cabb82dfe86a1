"""The phase handoff changes the cluster only; it has no script."""
