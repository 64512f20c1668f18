"""A mail's content as text and as HTML that mail programs show: tables, inline styles, nothing fetched."""

from __future__ import annotations

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.domain.mail import MailContent, Tone, shown

FOLDER = Path(__file__).resolve().parent.parent / "templates"
COLOURS = {Tone.GOOD: "#0f6b3a", Tone.WARNING: "#7a4b00", Tone.BAD: "#a3211b"}


class JinjaMailTemplates:
    """See `shared.protocols.MailTemplates`."""

    def render(self, content: MailContent) -> tuple[str, str]:
        """See `MailTemplates.render`."""
        values = {"mail": content, "colour": COLOURS[content.tone]}
        html = _environment(escaping=True).get_template("mail.html").render(values)
        return _environment(escaping=False).get_template("mail.txt").render(values), html


@functools.cache
def _environment(*, escaping: bool) -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=escaping,  # noqa: S701 - off for plain text alone
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every value passes here: a name may hold anything.
        finalize=lambda value: shown(value) if isinstance(value, str) and not hasattr(value, "__html__") else value,
    )
