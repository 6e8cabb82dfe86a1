"""The parts of the installation, one room each: its steps and all that only it needs.

A part imports only parts before it, in the order of the installation; steps never import each other.
"""
