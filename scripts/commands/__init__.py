"""The commands, each in the module of its name: its parser, `main`, and what is its own."""
