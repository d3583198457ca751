"""Executes a notebook in its own directory and writes it, with what came out, to a second path; run by Python 3.11.

``run_notebook.py examples/cartpole.ipynb examples/cartpole.ipynb`` puts the outputs into the notebook that is
committed, with the digest of what they were made from, and without what would be lost on a page of the web: a video.
"""

import sys
from pathlib import Path

import nbformat
import notebooks  # beside this file
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

source, target = map(Path, sys.argv[1:])
notebook = nbformat.read(source, as_version=4)
client = NotebookClient(notebook, timeout=450, kernel_name="python3", resources={"metadata": {"path": source.parent}})
try:
    client.execute()
except CellExecutionError as error:
    sys.exit(str(error))
finally:
    if target.exists() and source.samefile(target):
        notebooks.tidy(notebook)
        notebook.metadata["made_from"] = notebooks.made_from(notebook)
    nbformat.write(nbformat.from_dict(notebook), target)
