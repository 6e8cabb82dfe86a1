"""The Textual screens of kfinstall, one a part. Only here widgets are known; may import frontend and what is below it."""
