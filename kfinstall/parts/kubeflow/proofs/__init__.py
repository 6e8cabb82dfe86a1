"""What proves Kubeflow's components, each as its users use it: a login, a notebook, a pipeline, an experiment, an InferenceService.

Part of kubeflow's room, and may import what that may.
"""
