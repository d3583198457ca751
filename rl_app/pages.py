"""What the pages of this program share: their look, how values are written, and what keeps a page to itself."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from pathlib import Path
from typing import Any, Mapping, Optional

STYLE = Path(__file__).with_name("style.css")
UNKNOWN = "-"


def content_security_policy(script: str, style: str, *more: str) -> str:
    """A policy by which a page runs this script, has this style and asks nobody for anything, but for ``more``."""

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    words = ("default-src 'none'", f"script-src {hashed(script)}", f"style-src {hashed(style)}", "img-src data:")
    return "; ".join([*words, "base-uri 'none'", "form-action 'none'", *more])


def embedded(data: Mapping[str, Any]) -> str:
    """JSON for a ``<script>`` of a page, which no text in it can end."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def tile(name: str, value: str, note: str) -> str:
    """What is to be seen at first sight."""
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"


def definitions(values: Mapping[str, Any]) -> str:
    """Names and their values."""
    pairs = (f"<div><dt>{escape(str(key))}</dt><dd>{escape(text(value))}</dd></div>" for key, value in values.items())
    return f"<dl>{''.join(pairs)}</dl>"


def number(value: Optional[float]) -> str:
    """With two decimals unless it is whole."""
    if value is None:
        return UNKNOWN
    return f"{value:,.2f}" if isinstance(value, float) and not value.is_integer() else f"{value:,.0f}"


def text(value: Any) -> str:
    """A value as JSON writes it, and a text as it is."""
    return UNKNOWN if value is None else value if isinstance(value, str) else json.dumps(value)
