"""Install Kubeflow: the choice of components, the rendering, the installer's own values, the inventory of what was applied."""
