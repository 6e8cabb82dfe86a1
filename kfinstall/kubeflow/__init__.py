"""What the steps of phase kubeflow share: the choice of components, the rendering, the installer's own values, the inventory."""
