"""Reporters: what a run prints, for people (plain) and for programs (jsonl)."""
