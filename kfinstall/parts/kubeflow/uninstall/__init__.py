"""Take Kubeflow off the cluster by the inventory of what was applied; the cluster stays."""
