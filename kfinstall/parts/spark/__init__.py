"""Install Spark: its volume, image, access and history server, spark-submit for these nodes, and SparkPi as proof.

May import the parts before it: connect to kubeflow.
"""
