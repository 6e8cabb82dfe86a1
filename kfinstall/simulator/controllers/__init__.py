"""The simulated cluster's controllers: what becomes of the objects that are applied.

May import parts, apiserver and nodes of the simulator.
"""
