"""Hand over: the proof card, as data and as a page."""
