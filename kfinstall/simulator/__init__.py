"""The simulator: real SSH servers and a Kubernetes API over TLS on loopback, with a model of each node behind them.

May import what is below the workflows; only frontend.demo imports it.
"""
