"""Renders the sections of scripts/facts from a simulated node, in the format that kfinstall.facts parses."""
