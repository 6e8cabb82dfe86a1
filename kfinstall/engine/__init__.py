"""What carries out any installation, whatever it consists of: steps and phases, plan, executor, session, journal and state. Knows no part and no workflow."""
