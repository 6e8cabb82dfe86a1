"""The steps, one module each; kfinstall/phases.py holds their order."""
