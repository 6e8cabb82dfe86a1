"""Take Kubeflow off the cluster by the inventory of what was applied; the cluster stays.

Part of kubeflow's room; its steps are a workflow's of their own.
"""
