"""Put the servers back to what they were, by the record that was kept before each change.

The last part, of a workflow of its own; may import all others.
"""
