"""``python -m rl_app COMMAND``: the commands of the container."""

from __future__ import annotations

import signal
import sys
from typing import List

USAGE = """usage: docker run IMAGE COMMAND, or python -m rl_app COMMAND

  train     run the training job that /opt/ml/input/config describes, as SageMaker starts it
  evaluate  play episodes with the models in /opt/ml/input/data: a training job too
  serve     answer over HTTP with the model in /opt/ml/model, as an endpoint: `serve --help` says more
  local     play SageMaker around `train` and `evaluate` on this machine: `local --help` says more
  convert   make a table of transitions what offline training reads: `convert --help` says more
  board     show the jobs of a store in TensorBoard: `board --help` says more
  doctor    say what this container finds where it runs, and what is wrong: `doctor --help` says more
  help      this text

In the image any other command runs as it is, as `bash` does, and none is `train` where /opt/ml/input/config has a job.
"""
HELP = ("-h", "--help", "help")


def main(arguments: List[str]) -> int:
    """Run one command; return the exit status."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    from rl_app.blas import choose_kernels
    from rl_app.envs import silence_gym

    choose_kernels()
    silence_gym()
    if command == "train" and not rest:
        from rl_app import train

        return train.command()
    if command == "evaluate" and not rest:
        from rl_app import evaluate

        return evaluate.command()
    if command == "serve":
        from rl_app import serve

        return serve.main(rest)
    if command == "local":
        from rl_app.local import job

        return job.main(rest)
    if command == "convert":
        from rl_app import convert

        return convert.main(rest)
    if command == "board":
        from rl_app import board

        return board.main(rest)
    if command == "doctor":
        from rl_app import doctor

        return doctor.main(rest)
    print(USAGE, file=sys.stdout if command in HELP else sys.stderr, end="")
    return 0 if command in HELP else 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt as interrupt:
        if type(interrupt) is not KeyboardInterrupt:  # one of ours, which has to be dealt with
            raise
        sys.exit(128 + signal.SIGINT)
