"""Connections to nodes: `ssh` for servers, `local` for the machine itself, one protocol for both.

Only here and in the simulator SSH is spoken; may import answers and the words.
"""
