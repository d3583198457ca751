"""What the pages of this program share: templates that escape every value, how values are written, and what keeps a
page to itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple, Optional

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = Path(__file__).parent
STYLE = HERE / "style.css"
UNKNOWN = "-"


class Headline(NamedTuple):
    """The top of a page, as plain text; ``started`` in Unix seconds, ``state`` names the colour of the verdict."""

    title: str
    what: str
    job: str
    started: float
    written: str
    state: str
    verdict: str


class Tile(NamedTuple):
    """What is to be seen at first sight."""

    name: str
    value: str
    note: str = ""


def render(template: str, head: Headline, data: Mapping[str, Any], **values: Any) -> str:
    """Fill a template of this folder that extends ``page.html``.

    Args:
        data: what ``charts.js`` draws.
        values: what else the template names; every text of it is escaped.
    """
    from markupsafe import Markup

    script = beside("charts.js")
    style = beside("style.css") + beside("page.css")
    return (
        environment()
        .get_template(template)
        .render(
            head=head,
            policy=Markup(content_security_policy(script, style, "media-src data:")),
            data=Markup(embedded(data)),
            script=Markup(script),
            style=Markup(style),
            **values,
        )
    )


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Make the templates' environment. It is imported here, since `serve` needs this module and none of that."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(str(HERE)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(words=text, duration=duration, date=date, video=video, breakable=breakable)
    return made


def beside(name: str) -> str:
    """Read a file of this folder."""
    return (HERE / name).read_text(encoding="utf-8")


def content_security_policy(script: str, style: str, *more: str) -> str:
    """Make the policy by which a page runs this script, has this style and asks nobody for more than ``more``."""

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    words = ("default-src 'none'", f"script-src {hashed(script)}", f"style-src {hashed(style)}", "img-src data:")
    return "; ".join([*words, "base-uri 'none'", "form-action 'none'", *more])


def embedded(data: Mapping[str, Any]) -> str:
    """Return JSON for a ``<script>`` of a page, which no text in it can end."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


# ---- how values are written


def number(value: Optional[float]) -> str:
    """With two decimals unless it is whole."""
    if value is None:
        return UNKNOWN
    return f"{value:,.2f}" if isinstance(value, float) and not value.is_integer() else f"{value:,.0f}"


def text(value: Any) -> str:
    """Return a value as JSON writes it, and a text as it is."""
    return UNKNOWN if value is None else value if isinstance(value, str) else json.dumps(value)


def duration(seconds: Optional[float]) -> str:
    """Second as a person reads them."""
    if seconds is None:
        return UNKNOWN
    if seconds < 100:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"


def date(seconds: float) -> str:
    """Unix seconds as date and time."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def breakable(name: str) -> Markup:
    """Return the name of a setting, which may be broken between its words."""
    from markupsafe import Markup, escape

    return escape(name).replace(".", Markup(".<wbr>")).replace("_", Markup("_<wbr>"))


def video(file: Path) -> str:
    """Return the address of a video that lies in the page itself."""
    return f"data:video/mp4;base64,{base64.b64encode(file.read_bytes()).decode()}"
