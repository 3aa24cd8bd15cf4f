"""Agents: what AutoGen keeps inside, and how classes get there."""
