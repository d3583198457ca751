"""``python -m rl_app COMMAND``: the commands of the container."""

from __future__ import annotations

import sys
from typing import List

USAGE = """usage: python -m rl_app COMMAND

  train   run the training job that /opt/ml/input/config describes, as SageMaker starts it
  local   play SageMaker around `train` on this machine: `local train --help` says more
"""


def main(arguments: List[str]) -> int:
    """Runs one command; returns the exit status."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command == "train" and not rest:
        from rl_app import train

        return train.command()
    if command == "local":
        from rl_app import local_mode

        return local_mode.main(rest)
    print(USAGE, file=sys.stdout if command in ("-h", "--help") else sys.stderr, end="")
    return 0 if command in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
