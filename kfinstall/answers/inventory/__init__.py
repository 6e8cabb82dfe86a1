"""Inventories of other tools, as nodes: each form a module, recognised or refused; what is not taken is told with its line and its reason."""
