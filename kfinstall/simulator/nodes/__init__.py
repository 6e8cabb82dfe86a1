"""The model of a simulated node: its disk, packages and units, what a boot does to it, and the way back.

The lowest of the simulator's rooms.
"""
