"""What a dry run writes in the place of what only AWS or a push could tell, and why."""

from __future__ import annotations

from typing import Callable, Dict

from rl_app.errors import UserError
from scripts.lib.cli import note

REGION = "<REGION>"
ACCOUNT = "<ACCOUNT>"


class Placeholders:
    """The placeholders of one request; outside of a dry run there are none."""

    def __init__(self, dry_run: bool) -> None:
        self.dry_run = dry_run
        self.reasons: Dict[str, str] = {}

    def known(self, ask: Callable[[], str], placeholder: str) -> str:
        """Ask for a value; ``placeholder`` stands in a dry run for what is not to be had. Raises UserError else."""
        try:
            return ask()
        except UserError as error:
            if not self.dry_run:
                raise
            return self.put(placeholder, str(error))

    def put(self, placeholder: str, why: str) -> str:
        """Take the placeholder, and remembers why."""
        self.reasons[placeholder] = why
        return placeholder

    def explain(self) -> None:
        """Say which values of the request are placeholders."""
        for placeholder, why in self.reasons.items():
            note(f"placeholder {placeholder}: {why}")


def image_in_ecr(name: str, flavor: str, region: str) -> str:
    """Say what an image of ours in ECR is called, as far as that can be said."""
    return f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{name}:{flavor}"
