"""Spaces of observations and actions as JSON, and as the flat numbers that a policy takes."""
