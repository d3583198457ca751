"""`scripts/stop`: asks SageMaker to stop a job, which saves and exports before it ends."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Callable, Sequence

from rl_app import sagemaker
from rl_app.errors import JobError, UserError
from scripts import aws, watching
from scripts.environments import SetUpError

EXAMPLES = """
examples:
  scripts/stop cartpole-2026-01-31-12-00-00           the job has two minutes to save its model
  scripts/stop cartpole-2026-01-31-12-00-00 --wait    and is followed until it has

A job of scripts/train is stopped by Ctrl-C where it runs.
Exit status: 0 asked (with --wait: ended), 1 failed, 2 refused.
"""


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Stops one job; returns the exit status."""
    options = parse(arguments)
    try:
        sagemaker.check_job_name(options.job)
        session = open_session()
        stop(options.job, aws.client(session, "sagemaker"))
        if options.wait and watching.follow_cloud(options.job, session) == 130:
            return 130
    except (UserError, JobError, SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/stop",
        description="Stop a job on SageMaker.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", metavar="JOB", help="the job's name")
    parser.add_argument("--wait", action="store_true", help="follow the job until it has ended")
    return parser.parse_args(list(arguments))


def stop(name: str, service: Any) -> None:
    """Asks for the stop, unless the job has ended. Raises UserError, JobError."""
    job = watching.describe(name, service)
    if job["TrainingJobStatus"] in watching.ENDED:
        aws.note(f"{name} has ended already: {watching.state_of(job)}")
        return
    with aws.told(f"job {name}"):
        service.stop_training_job(TrainingJobName=name)
    aws.note(f"{name} is being stopped; it has two minutes to save its checkpoint and model")
