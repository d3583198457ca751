"""What runs on the user's machine: the commands in this folder, and the modules behind them."""
