"""A trained policy as files, and as what answers without Ray."""
