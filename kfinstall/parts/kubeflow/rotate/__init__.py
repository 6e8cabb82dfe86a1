"""New values for the secrets that kfinstall generated, in the servers that hold them and in everything that uses them.

Part of kubeflow's room; its steps are a workflow's of their own.
"""
