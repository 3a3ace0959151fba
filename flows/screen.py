"""Escape everything that a rich console prints."""

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from nerbench.artifacts.escaping import escaped


def escaping(screen: Console) -> Console:
    """The same console; what it prints from now on is escaped, its own styles and controls are not."""
    screen.push_render_hook(_Escaping())
    return screen


class _Escaping(RenderHook):
    """Escape text after layout; keep the console's own styles and control codes."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """The same, each escaped."""
        return [_Escaped(one) for one in renderables]


class _Escaped:
    def __init__(self, inner: ConsoleRenderable) -> None:
        self.inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.inner, options):
            yield segment if segment.control else Segment(escaped(segment.text), segment.style)
