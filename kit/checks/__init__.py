"""Checks: what is wrong with packages, classes, config lists and agents, and how to fix it."""
