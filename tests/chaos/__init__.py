"""Faults done to real jobs, one after the other, each followed by a resume: what survives, and what is lost."""
