"""What listens on loopback for a simulated node: its SSH server, the detached steps behind it, and the cluster's Services.

May import every room of the simulator but its fleet.
"""
