"""A node as a card on the canvas: its HTML, and the CSS that all cards share.

The browser reads a card's HTML anew only when its text has changed, about a millisecond each. So what an edit anywhere
changes in every card, its share of the parameters, is no text of it but a property of its frame; and whatever cards have in
common stands once, in the sheet.
"""

from __future__ import annotations

import html

from cortex import units
from cortex.builder import Plan, shape_text
from cortex.graph import Node
from cortex.picture import title_of
from cortex.registry import KINDS
from ui.plain import one_line
from ui.theme import FAMILY_COLOURS, Theme

# Width of a card in pixels.
WIDTH = 184


def card(planned: Plan, node: Node, theme: Theme) -> str:
    """The HTML of a node's card: kind and id; shape; parameters with their share of the whole, or the fault.

    The first card of a graph carries the sheet: the component's frame takes none but through the content of a card.
    """
    issues = planned.issues_of(node.id)
    shape = shape_text(planned.shapes[node.id]) if node.id in planned.shapes else units.UNKNOWN
    if KINDS.get(node.kind) and KINDS[node.kind].role == "loss":
        shape = "nats per token"
    note = _safe(node.note).replace('"', "&quot;")
    title = f' title="{note}"' if note else ""
    rows = [
        f'<div class="cn-kind"{title}>{_safe(title_of(node))}{" ✎" if node.note else ""}</div>',
        f'<div class="cn-shape"><span>{_safe(shape)}</span><span class="cn-id">{_safe(node.id)}</span></div>',
    ]
    if issues:
        rows.append(f'<div class="{"cn-follows" if issues[0].follows else "cn-fault"}">{_safe(issues[0].message)}</div>')
    elif node.bypass:
        rows.append('<div class="cn-muted">bypassed</div>')
    else:
        number = planned.parameters.get(node.id)
        text = "no parameters" if number == 0 else f"{units.count(number)} parameters" if number else "parameters not known yet"
        rows.append(f'<div>{text}</div><div class="cn-bar"><div></div></div>')
    return (sheet(theme) if node is planned.graph.nodes[0] else "") + "".join(rows)


def card_style(planned: Plan, node: Node, theme: Theme) -> dict[str, str]:
    """The CSS of a card's frame that differs from card to card: border by family and faults, share of the parameters.

    No property contains another: the browser is told only those that have changed, and `border` would take `borderLeft` along.
    """
    kind = KINDS.get(node.kind)
    issues = planned.issues_of(node.id)
    faulty = any(issue.follows is None for issue in issues)
    wide, line, colour = "1px", "solid", theme.line
    if faulty:
        wide, line, colour = "2px", "solid", theme.fault
    elif issues or node.bypass:
        wide, line, colour = "2px", "dashed", theme.muted
    side = theme.fault if faulty or kind is None else FAMILY_COLOURS[kind.family]
    number, total = planned.parameters.get(node.id), planned.total
    share = f"{number / total:.1%}" if number and total else "0"
    return {
        "width": f"{WIDTH}px",
        "borderWidth": f"{wide} {wide} {wide} 5px",
        "borderStyle": f"{line} {line} {line} solid",
        "borderColor": f"{colour} {colour} {colour} {side}",
        "--cn-share": share,
    }


def sheet(theme: Theme) -> str:
    """The style of all cards, and of what the component draws itself."""
    cut = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
    two_lines = "display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;overflow:hidden;overflow-wrap:anywhere"
    return (
        f"<style>.react-flow .react-flow__node{{padding:7px 9px 6px 10px;text-align:left;background:{theme.card};"
        f"color:{theme.text};border-radius:6px;font-size:12px;line-height:1.35}}"
        ".markdown-node *{margin:0}"
        f".cn-kind{{font-weight:600;{cut}}}"
        f".cn-shape{{display:flex;justify-content:space-between;gap:8px;color:{theme.muted};white-space:nowrap;"
        f"font-variant-numeric:tabular-nums}}.cn-id{{{cut}}}"
        f".cn-muted{{color:{theme.muted}}}.cn-fault{{color:{theme.fault};{two_lines}}}"
        f".cn-follows{{color:{theme.muted};{two_lines}}}"
        f".markdown-node .cn-bar{{height:3px;margin-top:4px;background:{theme.line};border-radius:2px}}"
        f".cn-bar div{{height:3px;width:var(--cn-share);background:{theme.ring};border-radius:2px}}"
        f".react-flow__node.selected{{box-shadow:0 0 0 3px {theme.ring}!important}}"
        f".react-flow__edge.selected .react-flow__edge-path{{stroke:{theme.ring}!important;stroke-width:3px!important}}"
        f".react-flow__controls-button{{background:{theme.card};border-color:{theme.line};fill:{theme.text}}}"
        f".react-flow__controls-button:hover{{background:{theme.background}}}"
        f".react-flow__handle{{background:{theme.muted};border-color:{theme.card};width:9px;height:9px}}</style>"
    )


def _safe(text: str) -> str:
    """Text of a document as HTML that says only itself, in one line, so that Markdown finds nothing in it either."""
    escaped = html.escape(one_line(text)[:200], quote=False)
    return "".join(f"&#{ord(sign)};" if sign in "_*`[]~\\|#$:" else sign for sign in escaped)
