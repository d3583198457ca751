"""What a job leaves, in its store while the job runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, TextIO

from rl_app.errors import JobError, UserError
from rl_app.job.sagemaker import Contract, Paths
from rl_app.storage import layout
from rl_app.storage.mirror import Mirror
from rl_app.storage.opening import open_store
from rl_app.terminal.console import Display

UPLOAD_DEADLINE_S = 20.0


@contextmanager
def uploaded(contract: Contract, paths: Paths, terminal: TextIO) -> Iterator[None]:
    """Keep ``output/intermediate`` in the store while the block runs, where the job says which store.

    It is a view of the job while it runs, and all of it is in ``output/data`` at the end: where the store does
    not take it (a role may read and write a bucket and yet not list it), the job goes on and says so.
    """
    url = contract.hyperparameters.get("sagemaker_s3_output")
    if not url or not contract.job_name or not contract.is_head:
        yield
        return
    try:
        mirror = Mirror(paths.intermediate, open_store(url), f"{contract.job_name}/{layout.LIVE}")
    except UserError as error:
        print(f"not uploaded while the job runs: output/intermediate: {error}", file=terminal, flush=True)
        yield
        return
    mirror.start()
    try:
        yield
    finally:
        try:
            with Display(terminal, {}) as display:
                display.now("uploading what is left")
                mirror.stop(UPLOAD_DEADLINE_S)
        except JobError as error:
            print(f"not uploaded: {error}", file=terminal, flush=True)
