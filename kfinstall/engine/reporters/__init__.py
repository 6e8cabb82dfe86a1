"""Reporters: what a run prints, for people (plain) and for programs (jsonl). They see events and nothing else of the engine."""
