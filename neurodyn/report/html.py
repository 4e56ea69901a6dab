"""HTML and SVG as nested calls. All text is escaped, so that no name in a run folder is markup."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

VOID = {"br", "input", "meta", "wbr"}
"""Elements without an end tag."""


class Markup(str):
    """Text that is HTML already. All other text is escaped."""


def el(tag: str, *children: Any, **attributes: Any) -> Markup:
    """An element.

    Args:
        tag: its name.
        children: text, which is escaped; markup; or iterables of them. None is left out.
        attributes: `class_` is written `class` and `data_x` is written `data-x`. True is an
            attribute without a value; one that is False or None is left out.
    """
    start = "".join(
        f" {_name(name)}" + ("" if value is True else f'="{_value(value)}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in VOID:
        return Markup(f"<{tag}{start}>")
    return Markup(f"<{tag}{start}>{joined(children)}</{tag}>")


def joined(children: Iterable[Any]) -> Markup:
    """Children one behind the other."""
    return Markup("".join(map(_text, children)))


def json_block(name: str, content: Any) -> Markup:
    """Data for the script of the page. No text in it can end the element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json" id="{name}">{text}</script>')


def _text(child: Any) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str | int | float):
        return html.escape(str(child))
    return joined(child)


def _name(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else html.escape(str(value))
