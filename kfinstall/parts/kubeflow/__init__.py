"""Install Kubeflow: the choice of components, the rendering, the installer's own values, the inventory of what was applied.

May import the parts before it: connect to registry.
"""
