"""The build of a service's image, silent where all of it is in the cache, with its progress where it is not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from typing import Dict, List, Optional

SILENT_S = 2.0  # for so long a step may run before it is shown
STEP = re.compile(r"#(?P<number>\d+) \[(?P<name>[^\]]+)\] ?(?P<what>.*)")
OUTPUT = re.compile(r"#(?P<number>\d+) (?:\d+\.\d+ |(?=sha256:|extracting))(?P<text>.*)")
END = re.compile(r"#(?P<number>\d+) (?:CACHED|DONE|ERROR|CANCELED)\b")
INTERNAL = re.compile(r"\binternal\b")


class Progress:
    """Reads what `docker compose --progress plain build` says, and shows on stderr what is really being built.

    A step is shown once it has output of its own or has run for :data:`SILENT_S`.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said: List[str] = []
        self.steps: Dict[str, str] = {}  # those that have begun and not ended, and are not shown yet
        self.width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
        self.begun = False
        self.lock = threading.Lock()

    def follow(self) -> int:
        """Follow the build to its end; return its exit status. Of one that fails all is shown."""
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            self.said.append(line)
            with self.lock:
                self.take(line)
        status = self.process.wait()
        with self.lock:
            self.steps.clear()
        if status > 0:
            print("\n".join(self.said), file=sys.stderr, flush=True)
        return status

    def take(self, line: str) -> None:
        """Take one line of the build."""
        step, output, end = STEP.match(line), OUTPUT.match(line), END.match(line)
        if step and not INTERNAL.search(step["name"]) and step["what"] and "exporting" not in step["what"]:
            self.steps[step["number"]] = f"[{step['name']}] {step['what']}"
            timer = threading.Timer(SILENT_S, self.show_late, [step["number"]])
            timer.daemon = True
            timer.start()
        elif output:
            self.show(output["number"])
            self.tell(f"  {output['text']}")
        elif end:
            self.steps.pop(end["number"], None)

    def show_late(self, number: str) -> None:
        """Show a step that has said nothing, if it still runs."""
        with self.lock:
            self.show(number)

    def show(self, number: str) -> None:
        """Show that a step runs, once."""
        name: Optional[str] = self.steps.pop(number, None)
        if name:
            if not self.begun:
                self.begun = True
                self.tell("building the image (minutes the first time; then only what has changed)")
            self.tell(name)

    def tell(self, line: str) -> None:
        """Print a line, cut to the terminal's width."""
        print(line[: self.width], file=sys.stderr, flush=True)
