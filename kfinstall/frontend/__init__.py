"""What an interactive front end stands on: answers in the making, runs in the background, and what is seen of them.

Knows no terminal; may import workflows and what is below them, and `demo` alone the simulator.
"""
