"""The answers: what the administrator wants, one frozen model behind the wizard and `--answers`, with its rules, loading and schema.

Imports nothing but the words of kfinstall/*.py.
"""
