"""How the page looks: the theme, the style, and what its head says. Nothing of it is fetched."""

from __future__ import annotations

from typing import Any, Final

from serve.playground.components import style

_SANS: Final = ("ui-sans-serif", "system-ui", "sans-serif")
_MONO: Final = ("ui-monospace", "Menlo", "Consolas", "monospace")

# A sign of our own, inline: browsers would ask for /favicon.ico, which a gateway has not.
_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%230c6b4f'/%3E%3Cpath d='M5 4l6 4-6 4z'"
    " fill='%23fff'/%3E%3C/svg%3E"
)


def look() -> dict[str, Any]:
    """Return the arguments that `gradio.mount_gradio_app` and `Blocks.launch` take."""
    return {"theme": _theme(), "css": style(), "head": f'<link rel="icon" href="{_ICON}">'}


def _theme() -> Any:
    import gradio as gr

    green = gr.themes.Color(
        name="seed",
        c50="#edf7f3",
        c100="#d3ece2",
        c200="#a9dac8",
        c300="#78c3a8",
        c400="#45a685",
        c500="#1d8a63",
        c600="#0c6b4f",
        c700="#0b5741",
        c800="#0a4535",
        c900="#08362a",
        c950="#04211a",
    )
    grey = gr.themes.Color(
        name="slate",
        c50="#f7f9f8",
        c100="#eef2f0",
        c200="#dde4e0",
        c300="#c3cfc9",
        c400="#93a09a",
        c500="#66756e",
        c600="#4a5852",
        c700="#2f3b36",
        c800="#1d2723",
        c900="#161e1b",
        c950="#0f1513",
    )
    # Plain strings are names of fonts that the visitor has; gradio's own would be fetched.
    theme = gr.themes.Base(
        primary_hue=green, secondary_hue=green, neutral_hue=grey, font=_SANS, font_mono=_MONO
    )
    return theme.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_radius="10px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_500",
        button_primary_text_color="white",
        button_large_radius="8px",
        button_small_radius="8px",
        input_radius="8px",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
    )
