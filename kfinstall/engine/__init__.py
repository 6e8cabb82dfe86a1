"""What carries out any installation, whatever it consists of: step and phase, plan, executor, session, journal and state.

Imports no part and no workflow: facts, diagnose and what is below them.
"""
