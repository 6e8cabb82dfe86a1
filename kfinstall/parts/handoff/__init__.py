"""Hand over: the proof card, as data and as a page. May import the parts before it: all but reset."""
