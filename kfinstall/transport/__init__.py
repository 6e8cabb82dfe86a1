"""Connections to nodes: `ssh` for servers, `local` for the machine itself, one protocol for both."""
