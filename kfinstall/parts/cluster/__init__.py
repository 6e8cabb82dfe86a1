"""Start Kubernetes: kubeadm, the joins, Calico, DNS, and the proof that pods reach each other."""
