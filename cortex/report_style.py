"""How a report looks: light and dark by the reader's own setting, black on white on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --background:#f4f5f9; --card:#ffffff; --text:#1c2230; --muted:#5b6578; --line:#d9dde7;
  --warn:#fff4dc; --added:#00794f; --removed:#c92a2a; --changed:#b45f00; }
@media (prefers-color-scheme: dark) { :root { --background:#161a23; --card:#1f2430; --text:#e5e8ef; --muted:#a3adbf;
  --line:#3a4252; --warn:#3d3320; --added:#4cc38a; --removed:#ff7b7b; --changed:#f0a34a; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--background); color:var(--text);
  font:.94rem/1.5 "Source Sans 3","Segoe UI",system-ui,sans-serif; }
main { max-width:1360px; margin:0 auto; padding:24px 32px 48px; }
h1 { font-size:1.5rem; margin:0 0 4px; overflow-wrap:anywhere; }
h2 { font-size:1.15rem; margin:30px 0 8px; }
h3 { font-size:1rem; margin:18px 0 6px; overflow-wrap:anywhere; }
p { margin:6px 0; max-width:100ch; }
.quiet { color:var(--muted); font-size:.9em; }
.warn { background:var(--warn); border-left:4px solid var(--changed); padding:8px 12px; border-radius:4px; max-width:none; }
.wide { overflow-x:auto; background:var(--card); border:1px solid var(--line); border-radius:8px; }
table { border-collapse:collapse; width:100%; font-size:.9em; font-variant-numeric:tabular-nums; }
th, td { text-align:left; padding:5px 10px; border-bottom:1px solid var(--line); vertical-align:top; }
tr:last-child > * { border-bottom:0; }
thead th { color:var(--muted); font-weight:600; vertical-align:bottom; line-height:1.25; }
thead th.name { min-width:7em; overflow-wrap:anywhere; color:var(--text); }
tbody th { font-weight:500; white-space:nowrap; }
td.number { white-space:nowrap; }
td.number, th.number { text-align:right; }
.run { min-width:12em; max-width:22em; overflow-wrap:anywhere; }
.dot { display:inline-block; width:.7em; height:.7em; border-radius:50%; margin-right:.45em; }
.best { font-weight:700; }
.tag { display:inline-block; border:1px solid var(--line); border-radius:9px; padding:0 7px; margin-right:4px;
  font-size:.8rem; }
.charts { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(100%,560px),1fr)); gap:14px; }
figure, .picture { margin:0; background:var(--card); border:1px solid var(--line); border-radius:8px; padding:10px 12px;
  break-inside:avoid; }
figcaption { color:var(--muted); font-size:.85rem; }
.picture { overflow-x:auto; }
.samples { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr)); gap:14px; }
.samples > div { background:var(--card); border:1px solid var(--line); border-radius:8px; padding:8px 12px;
  break-inside:avoid; }
pre { margin:6px 0; white-space:pre-wrap; overflow-wrap:anywhere; font:0.85rem/1.45 ui-monospace,Menlo,Consolas,monospace; }
.prompt { color:var(--muted); }
ul { margin:4px 0; padding-left:20px; }
details { margin:8px 0; }
summary { cursor:pointer; color:var(--muted); }
section { break-inside:auto; }
h2, h3 { break-after:avoid; }
tr { break-inside:avoid; }
@media print {
  :root { --background:#fff; --card:#fff; --text:#000; --muted:#444; --line:#bbb; --warn:#fff4dc; --added:#00794f;
    --removed:#c92a2a; --changed:#b45f00; }
  @page { size:A4 landscape; margin:12mm; }
  :root { font-size:11px; }
  main { max-width:none; padding:0; }
  .wide, .picture { overflow:visible; }
  .wide table { font-size:.85em; }
  tbody th { white-space:normal; overflow-wrap:anywhere; }
  th, td { padding:2px 5px; }
  .run { min-width:0; }
  .charts { grid-template-columns:1fr 1fr; }
  .samples { grid-template-columns:1fr 1fr 1fr; }
  details::details-content { content-visibility:visible; display:block; block-size:auto; }
}
"""
