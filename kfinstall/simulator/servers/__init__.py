"""What listens on loopback for a simulated node: its SSH server with the detached steps behind it, and the cluster's Services."""
