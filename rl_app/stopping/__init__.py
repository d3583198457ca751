"""How a stop reaches a job, and how its processes end."""
