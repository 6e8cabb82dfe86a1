"""The steps, one module each; kfinstall/workflows holds their order."""
