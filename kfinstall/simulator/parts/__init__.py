"""What each part's scripts do to a simulated node, and what its sections of the facts tell.

Importing the modules registers the scripts; may import apiserver and nodes of the simulator.
"""
