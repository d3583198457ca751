"""The JSON files that SageMaker writes to ``input/config``: what is wrong with one is said by line and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

from rl_app.errors import UserError


def read_object(file: Path) -> Dict[str, Any]:
    """Return the JSON object that the file holds; raises UserError."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{file} is missing: SageMaker writes it for every job") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise UserError(f"{file}, line {line}, column {column}: byte 0x{raw[error.start]:02x} is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{file}, line {error.lineno}, column {error.colno}: no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}, line 1, column 1: no JSON that can be read: {error}") from None
    if not isinstance(value, dict):
        raise UserError(f"{file}, line 1, column 1: expected a JSON object, not {type(value).__name__}")
    return value
