"""Executes a notebook in its own directory and writes it, with what came out, to a second path; run by Python 3.11."""

import sys
from pathlib import Path

import nbformat
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
    nbformat.write(notebook, target)
