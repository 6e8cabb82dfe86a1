"""The Textual screens of kfinstall; they see the engine's session, plan, answers, events and errors only."""
