"""The simulated Kubernetes API: what is stored, what is refused, and the form of every answer.

Knows neither nodes nor controllers.
"""
