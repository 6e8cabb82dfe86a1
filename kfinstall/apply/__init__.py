"""Objects into the cluster: in which order, what each wave waits for, how they are sent, stamped and compared.

May import the engine and what is below it; no part and no workflow.
"""
