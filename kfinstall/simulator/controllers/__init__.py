"""The simulated cluster's controllers: what becomes of the objects that are applied."""
