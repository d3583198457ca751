"""What every environment is held to, and told of with file and line."""
