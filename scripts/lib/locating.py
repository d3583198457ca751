"""One job wherever it is: in a store of this machine, else on SageMaker."""

from __future__ import annotations

from typing import Any, Callable, Optional, Tuple

from rl_app.errors import JobError, UserError
from rl_app.job import sagemaker
from scripts.lib import aws, cli, jobs, stores, training_jobs
from scripts.lib.jobs import Job
from scripts.lib.set_up_steps import SetUpError
from scripts.lib.stores import NamedStores


def find(name: str, url: Optional[str], session: Any) -> Job:
    """Find the job of SageMaker's where there is a ``session``, else of the store ``url`` or any of this machine.

    Raises:
        UserError: it is not there.
        JobError: AWS does not answer.
    """
    return training_jobs.find(name, session) if session else jobs.find(name, url)


def anywhere(
    name: str, url: Optional[str], in_cloud: bool, open_session: Callable[[], Any]
) -> Tuple[Optional[Job], Any]:
    """Find the job of this machine, or else a session in which SageMaker has it; the other is None.

    Args:
        name: the job's name.
        url: the store to look in alone, if any.
        in_cloud: asks SageMaker alone.
        open_session: opens AWS's session; it is not called for a job of this machine.

    Raises:
        UserError: nobody has the job; the line says where was looked, and why where not.
        JobError: AWS does not answer.
    """
    sagemaker.check_job_name(name)
    if in_cloud:
        return None, open_session()
    if url:
        return jobs.find(name, url), None
    asked = stores.open_all()
    found = [jobs.look_up(name, each) for each in asked.open]
    job = next((job for job in found if job and job.record), None)
    return (job, None) if job else (None, _asked(name, asked, open_session))


def _asked(name: str, asked: NamedStores, open_session: Callable[[], Any]) -> Any:
    """Open a session in which SageMaker has the job; raises UserError with all that was looked in."""
    nowhere = jobs.absence(name, asked)
    try:
        session = open_session()
        aws.region_of(session)
        service = aws.client(session, "sagemaker")
    except (UserError, SetUpError) as error:
        raise UserError(f"{nowhere}; SageMaker was not asked: {error}") from None
    cli.note(f"{name}: in no store of this machine; asking SageMaker")
    try:
        training_jobs.describe(name, service)
    except JobError:
        return session  # who follows the job asks again
    except UserError as error:
        if aws.is_missing(error.__cause__):
            raise UserError(f"{nowhere}; SageMaker has none of this name either") from None
        answered = aws.code_of(error.__cause__)
        said = str(error).partition(": ")[2]
        raise UserError(f"{nowhere}; SageMaker {'refused' if answered else 'was not asked'}: {said}") from None
    return session
