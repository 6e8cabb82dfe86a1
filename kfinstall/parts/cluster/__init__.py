"""Start Kubernetes: kubeadm, the joins, Calico, DNS, and the proof that pods reach each other.

May import the parts before it: connect to prepare.
"""
