"""Charts as SVG drawn by ourselves: they need no script and no network, and print as they look.

As in a picture of a graph, colours are CSS variables with those of a light page behind them.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cortex.lines import Band, thinned

WIDTH, HEIGHT = 620, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 28, 34, 42
# So many points are drawn of one line at least, and of all lines together at most.
_FEWEST, _MOST = 150, 40_000
_LABELLED = 4  # up to so many bold lines have their best value written at the point
_LETTER = 6.3  # pixels of an average letter at the size of ticks and legend
# A number keeps readable where it lies on lines.
_HALO = "font-size:11.5px;paint-order:stroke;stroke:var(--card,#ffffff);stroke-width:3px;stroke-linejoin:round"
_LEVEL_ROOM = 90  # right of the plot, for the names of reference lines


@dataclass(frozen=True)
class Line:
    """One curve: `x` and `y` (N,), the colour as CSS has it; a bold line has its lowest point marked.

    `name` is empty for a line that the legend leaves out; what is not finite, or not positive on a log axis, is not drawn.
    """

    name: str
    colour: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    bold: bool = False
    best: str = ""  # what stands at the marked point
    dash: str = ""  # as SVG has it: "6 3"
    band: Band | None = None  # drawn faintly around the line


@dataclass(frozen=True)
class Axis:
    """From `low` to `high` in units of data, on so many pixels from `begin` to `end`."""

    low: float
    high: float
    begin: float
    end: float
    log: bool

    def at(self, value: np.ndarray | float) -> np.ndarray | float:
        """The pixel of a value."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        value = np.log10(value) if self.log else value
        return self.begin + (value - low) / (high - low) * (self.end - self.begin)


def chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_title: str,
    y_title: str,
    log_x: bool = False,
    log_y: bool = False,
    levels: Mapping[str, float] | None = None,
) -> str:
    """All lines in one `<svg>` with axes, legend, marked best points and dashed reference levels; empty without a point."""
    drawn = [(line, *_clean(line, log_x, log_y)) for line in lines]
    drawn = [(line, x, y) for line, x, y in drawn if len(x)]
    levels = {name: value for name, value in (levels or {}).items() if math.isfinite(value) and (value > 0 or not log_y)}
    if not drawn:
        return ""
    legend = _legend([(line, y) for line, _, y in drawn])
    labelled = sum(line.bold for line, _, _ in drawn) <= _LABELLED
    height = HEIGHT + 18 * len(legend)
    right = WIDTH - _RIGHT - (_LEVEL_ROOM if levels else 0)
    across = _axis(np.concatenate([x for _, x, _ in drawn]), _LEFT, right, log_x)
    heights = np.concatenate([*(y for _, _, y in drawn), np.array(list(levels.values()), float)])
    up = _axis(heights, HEIGHT - _BOTTOM, _TOP, log_y, room=0.06)
    parts = [_text(_LEFT, 18, title, "text", "font-weight:600;font-size:14px")]
    parts += _grid(across, up, x_title, y_title)
    for name, value in levels.items():
        y = float(up.at(value))
        dashed = "stroke-dasharray:5 4;stroke-width:1.2"
        parts.append(_stroke(f"M{_LEFT},{y:.1f}H{right}", "var(--muted,#667085)", dashed))
        parts.append(_text(right + 5, y + 4, f"{name} {number(value)}", "muted"))
    parts += [_area(line, across, up) for line, _, _ in drawn if line.band]
    most = max(_FEWEST, min(2 * WIDTH, _MOST // len(drawn)))
    for line, x, y in sorted(drawn, key=lambda entry: entry[0].bold):  # thin below bold
        parts.append(_curve(line, across.at(x), up.at(y), most))
    for line, x, y in drawn:
        if line.bold:
            parts.append(_mark(line, across, up, x, y, labelled))
    for row, entries in enumerate(legend):
        parts += _legend_row(entries, HEIGHT + 6 + 18 * row)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(title)}" class="chart" '
        f'viewBox="0 0 {WIDTH} {height}" style="display:block;width:100%;max-width:{WIDTH}px;font-family:inherit">'
        f"{''.join(parts)}</svg>"
    )


def number(value: float) -> str:
    """A tick or a level in as few digits as say it: `1,200`, `0.003`, `1e-5`."""
    if value and (abs(value) >= 1e7 or abs(value) < 1e-3):
        digits, _, power = f"{value:.2e}".partition("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def ticks(low: float, high: float, log: bool = False, wanted: int = 6) -> list[float]:
    """Round numbers from low to high: multiples of 1, 2 or 5 times a power of ten; on a log axis these themselves."""
    if log:
        span = math.log10(high / low)
        steps = (1, 2, 5) if span < 3.6 else (1,)
        stride = max(1, math.ceil(span / 8))
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [step * 10.0**power for power in decades if power % stride == 0 for step in steps]
        found = [value for value in found if low <= value <= high]
        return found if len(found) > 1 else ticks(low, high)  # less than a step of the scale: as on a linear axis
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(count * step, 12) for count in range(first, math.floor(high / step + 1e-9) + 1)]


def _clean(line: Line, log_x: bool, log_y: bool) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(line.x, float), np.asarray(line.y, float)
    sound = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not log_x)) & ((y > 0) | (not log_y))
    return x[sound], y[sound]


def _axis(values: np.ndarray, begin: float, end: float, log: bool, room: float = 0.0) -> Axis:
    """An axis that shows all values, with so much room on both ends as a share of it."""
    low, high = float(values.min()), float(values.max())
    if log:
        if high / low < 1.02:
            low, high = low / 1.1, high * 1.1
        factor = (high / low) ** room
        return Axis(low / factor, high * factor, begin, end, True)
    if high - low <= 1e-9 * max(abs(high), abs(low)):
        middle = abs(high) or 1.0
        low, high = low - 0.1 * middle, high + 0.1 * middle
    return Axis(low - room * (high - low), high + room * (high - low), begin, end, False)


def _grid(across: Axis, up: Axis, x_title: str, y_title: str) -> list[str]:
    parts = []
    for value in ticks(up.low, up.high, up.log):
        y = float(up.at(value))
        parts.append(_stroke(f"M{across.begin},{y:.1f}H{across.end}", "var(--line,#d9dde7)", "stroke-width:1"))
        parts.append(_text(across.begin - 6, y + 4, number(value), "muted", "font-size:11px;text-anchor:end"))
    bottom = up.begin
    parts.append(_stroke(f"M{across.begin},{bottom}H{across.end}", "var(--muted,#667085)", "stroke-width:1"))
    for value in ticks(across.low, across.high, across.log):
        x = float(across.at(value))
        parts.append(_stroke(f"M{x:.1f},{bottom}v4", "var(--muted,#667085)", "stroke-width:1"))
        parts.append(_text(x, bottom + 16, number(value), "muted", "font-size:11px;text-anchor:middle"))
    middle = (across.begin + across.end) / 2
    parts.append(_text(middle, bottom + 33, x_title, "muted", "font-size:11.5px;text-anchor:middle"))
    turned = f"font-size:11.5px;text-anchor:middle;transform:rotate(-90deg);transform-origin:14px {(_TOP + bottom) / 2}px"
    parts.append(_text(14, (_TOP + bottom) / 2, y_title, "muted", turned))
    return parts


def _curve(line: Line, x: np.ndarray, y: np.ndarray, most: int) -> str:
    look = f"stroke-width:{2.6 if line.bold else 1.2};stroke-opacity:{1 if line.bold else 0.6};stroke-linejoin:round"
    look += f";stroke-dasharray:{line.dash}" if line.dash else ""
    if len(x) == 1:
        return f'<circle cx="{x[0]:.1f}" cy="{y[0]:.1f}" r="3" style="fill:{line.colour}"/>'
    kept = thinned(x, y, most)
    return _stroke("M" + _path(x[kept], y[kept]), line.colour, look)


def _area(line: Line, across: Axis, up: Axis) -> str:
    """The band of a line, within the plot."""
    found = line.band
    sound = np.isfinite(found.x) & np.isfinite(found.low) & np.isfinite(found.high)
    sound &= ((found.x > 0) | (not across.log)) & ((found.low > 0) | (not up.log))
    if sound.sum() < 2:
        return ""
    x = across.at(found.x[sound])
    low, high = (np.clip(up.at(edge[sound]), up.end, up.begin) for edge in (found.low, found.high))
    outline = f"M{_path(x, low)}L{_path(x[::-1], high[::-1])}Z"
    return f'<path d="{outline}" style="fill:{line.colour};fill-opacity:0.15;stroke:none"/>'


def _path(x: np.ndarray, y: np.ndarray) -> str:
    return "L".join(f"{left:.1f},{top:.1f}" for left, top in zip(x.tolist(), y.tolist(), strict=True))


def _mark(line: Line, across: Axis, up: Axis, x: np.ndarray, y: np.ndarray, labelled: bool) -> str:
    best = int(y.argmin())
    left, top = float(across.at(x[best])), float(up.at(y[best]))
    anchor = "end" if left > across.end - 60 else "middle"
    where = f"{line.name} best {line.best or number(y[best])} at {number(x[best])}".strip()
    ring = f"fill:none;stroke:{line.colour};stroke-width:2"
    circle = f'<g><title>{html.escape(where)}</title><circle cx="{left:.1f}" cy="{top:.1f}" r="5" style="{ring}"/></g>'
    text = _text(left, top - 9, line.best or number(y[best]), "text", f"{_HALO};text-anchor:{anchor}")
    return circle + (text if labelled else "")


def _legend(lines: Sequence[tuple[Line, np.ndarray]]) -> list[list[tuple[float, Line, str]]]:
    """Rows of (left, line, text) as wide as the chart; lines of one name and colour are one entry. Where there are too many to
    write their best values into the chart, these stand here."""
    bold = {(line.name, line.colour): f" {line.best or number(float(y.min()))}" for line, y in lines if line.bold}
    best = bold if len(bold) > _LABELLED else {}
    rows: list[list[tuple[float, Line, str]]] = []
    seen: set[tuple[str, str]] = set()
    left = 0.0
    for line, _ in lines:
        key = (line.name, line.colour)
        if not line.name or key in seen:
            continue
        seen.add(key)
        text = (line.name if len(line.name) <= 44 else line.name[:43] + "…") + best.get(key, "")
        width = 30 + _LETTER * len(text) + 12
        if not rows or left + width > WIDTH - _LEFT:
            rows.append([])
            left = 0.0
        rows[-1].append((_LEFT + left, line, text))
        left += width
    return rows


def _legend_row(entries: Sequence[tuple[float, Line, str]], y: float) -> list[str]:
    parts = []
    for left, line, text in entries:
        dash = f";stroke-dasharray:{line.dash}" if line.dash else ""
        parts.append(_stroke(f"M{left:.1f},{y}h22", line.colour, f"stroke-width:2.6{dash}"))
        parts.append(_text(left + 28, y + 4, text, "text"))
    return parts


def _stroke(path: str, colour: str, look: str) -> str:
    return f'<path d="{path}" style="fill:none;stroke:{colour};{look}"/>'


def _text(x: float, y: float, text: str, colour: str, style: str = "font-size:11.5px") -> str:
    shade = {"text": "var(--text,#1c2230)", "muted": "var(--muted,#667085)"}[colour]
    return f'<text x="{x:.1f}" y="{y:.1f}" style="fill:{shade};{style}">{html.escape(text)}</text>'
