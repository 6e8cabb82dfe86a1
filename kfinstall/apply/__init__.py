"""Objects into the cluster: in which order, what each wave waits for, how they are sent, stamped and compared.

May import diagnose, kube and what is below them; no part and no workflow.
"""
