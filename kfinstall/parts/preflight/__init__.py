"""Check the servers before anything is changed: every finding on every node at once, each with its cause and its fix.

Of the parts it may import connect.
"""
