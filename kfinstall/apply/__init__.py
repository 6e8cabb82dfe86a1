"""Objects into the cluster: in which order, what each wave waits for, how they are sent, stamped and compared."""
