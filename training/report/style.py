"""Colours and the style sheet: one place, so that a model looks the same in every picture."""

from __future__ import annotations

INK, MUTED, FAINT, PAPER = "#16202a", "#5b6874", "#d9dfe5", "#ffffff"
GOOD, BAD = "#0a7a5a", "#b3372f"
_COLOURS = {
    "ebbtide": "#0b62a4",
    "lightgbm_tuned": "#b4530a",
    "lightgbm": "#e08e2b",
    "logistic": "#7a4fa3",
    "mbg_nbd": "#2c8f6f",
    "mbg_nbd_gamma_gamma": "#2c8f6f",
    "past_rate": "#8a949e",
    "recency": "#8a949e",
    "frequency": "#b0757f",
    "constant": "#b9c1c9",
}
TIER_COLOURS = {"R": "#d1495b", "Y": "#e9b44c", "B": "#4f8fc0"}
LABELS = {
    "ebbtide": "ebbtide",
    "lightgbm_tuned": "LightGBM, tuned",
    "lightgbm": "LightGBM",
    "logistic": "logistic regression",
    "mbg_nbd": "MBG/NBD",
    "mbg_nbd_gamma_gamma": "MBG/NBD × gamma-gamma",
    "past_rate": "past spending rate",
    "recency": "recency",
    "frequency": "frequency",
    "constant": "constant",
}


def colour_of(model: str) -> str:
    """Of a model's lines and dots."""
    return _COLOURS.get(model, MUTED)


def label_of(model: str) -> str:
    """A model's name for people."""
    return LABELS.get(model, model)


STYLE_SHEET = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f3f5f7; color: #16202a; font: 15px/1.55 system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 28px 64px; }
header h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em; }
header p { margin: 0; color: #5b6874; max-width: 78ch; }
h2 { font-size: 20px; margin: 44px 0 4px; letter-spacing: -.005em; }
h3 { font-size: 15px; margin: 26px 0 6px; }
p.lead { margin: 0 0 14px; color: #5b6874; max-width: 86ch; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 14px; margin: 26px 0 0; }
.card { background: #fff; border: 1px solid #e3e8ec; border-radius: 10px; padding: 14px 16px; }
.card .name { color: #5b6874; font-size: 12.5px; }
.card .value { font-size: 26px; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.card .note { color: #5b6874; font-size: 12.5px; font-variant-numeric: tabular-nums; }
.grid { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; }
.sheet { background: #fff; border: 1px solid #e3e8ec; border-radius: 10px; padding: 16px 18px; break-inside: avoid;
  overflow-x: auto; }
.wide { grid-column: 1 / -1; }
.sheet + .sheet { margin-top: 0; }
figure { margin: 0; }
figcaption { color: #5b6874; font-size: 12.5px; line-height: 1.45; margin-top: 4px; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: #5b6874; font-size: 12px; padding: 6px; border-bottom: 1px solid #cfd6dc;
  vertical-align: bottom; }
td { text-align: right; padding: 7px 6px; border-bottom: 1px solid #edf0f3; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 8px; }
th:last-child, td:last-child { padding-right: 8px; }
tr:last-child td { border-bottom: 0; }
tr.own td { background: #eef5fb; font-weight: 600; }
tr.own td:first-child { border-radius: 5px 0 0 5px; }
tr.own td:last-child { border-radius: 0 5px 5px 0; }
tr.head td { font-weight: 600; color: #16202a; padding-top: 14px; border-bottom: 1px solid #cfd6dc; }
td small { display: block; color: #5b6874; font-size: 10.5px; font-weight: 400; letter-spacing: -.01em; }
td b { color: #0b62a4; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 5px 22px; margin: 0; font-size: 13.5px; }
dt { color: #5b6874; } dd { margin: 0; overflow-wrap: anywhere; }
.notice { background: #fff8e8; border: 1px solid #f0deb0; border-radius: 10px; padding: 12px 16px; }
footer { margin-top: 44px; color: #5b6874; font-size: 12.5px; }
@media (max-width: 760px) { .grid { grid-template-columns: minmax(0, 1fr); } main { padding: 24px 14px 40px; }
  .cards { grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 10px; } dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 8px; } .sheet { padding: 12px; }
  figure.broad > * { min-width: 680px; } figure.broad > figcaption { min-width: 0; } }
@media print { body { background: #fff; font-size: 12px; } main { max-width: none; padding: 0; } h2, h3 { break-after: avoid; }
  @page { size: A4 landscape; margin: 13mm; } .sheet { overflow: visible; } table { font-size: 11px; } th { font-size: 10.5px; }
  td { padding: 4px 5px; } td small { font-size: 9px; } tr { break-inside: avoid; } .sheet:has(table) { break-inside: auto; } }
"""
