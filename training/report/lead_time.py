"""The walk through time as a picture and a table."""

from __future__ import annotations

import numpy as np

from training.evaluation.lead_time import LeadTime, Walk
from training.report.style import INK, colour_of, label_of
from training.report.svg import Plot, nice_ticks, percent
from training.report.tables import Row, draw_table, say, say_share


def draw_lead_time(walk: Walk) -> str:
    """How long before the rule the first alarm came, for those who left."""
    rule, step = walk.config.rule_days, walk.config.step_days
    edges = [*range(0, rule, step), rule]
    # The longest lead first: time runs from left to right, towards the day on which the rule speaks.
    names = [f"{edges[place]} to {edges[place + 1]} days" for place in reversed(range(len(edges) - 1))] + [
        "not flagged before it"
    ]
    shares = {name: _shares(found, edges) for name, found in walk.by_ranker.items()}
    top = 1.15 * max(0.05, *(float(found.max()) for found in shares.values()))
    plot = Plot(
        "Time of the first alarm",
        x=(f"lead over the naive rule of {rule} days without a purchase", (0.4, len(names) + 0.6)),
        y=("share of customers who left", (0, top)),
        width=1060,
        height=330,
    )
    plot.ticks_x(range(1, len(names) + 1), lambda at: names[round(at) - 1], grid=False)
    plot.ticks_y(nice_ticks(0, top), percent)
    width = 0.8 / len(shares)
    for place, (name, found) in enumerate(shares.items()):
        for at, value in enumerate(found, start=1):
            start = at - 0.4 + place * width
            plot.bar(start, start + width * 0.94, float(value), colour_of(name), text=percent(value))
        plot.key(label_of(name), colour_of(name))
    in_time = sum(edge >= walk.config.goal_days for edge in edges[:-1])
    if 0 < in_time < len(names):
        plot.rule_x(in_time + 0.5, INK, dash="4 3")
    return plot.render()


def tabulate_lead_time(walk: Walk) -> str:
    """Alarms, right and false, of each way to rank, and of the rule itself."""
    goal = walk.config.goal_days
    walked = [(name, label_of(name), found) for name, found in walk.by_ranker.items()]
    walked += [(name, f"{label_of(name)}, same number of false alarms", found) for name, found in walk.matched.items()]
    rows = [
        Row(
            [
                label,
                say(found.num_left),
                f"{say_share(found.share_in_time)}",
                say(found.median_lead_days, 0),
                say(found.num_right),
                say(found.num_false),
                say_share(found.accuracy),
                say_share(found.accuracy_in_time),
                say(found.false_alarms_per_right, 2),
            ],
            kind="own" if name == "ebbtide" else "",
            swatch=colour_of(name),
        )
        for name, label, found in walked
    ]
    total = walk.rule_right + walk.rule_false
    accuracy = say_share(walk.rule_right / total) if total else "–"
    rule = ["naive rule", say(walk.rule_right), "–", "0", say(walk.rule_right), say(walk.rule_false), accuracy, "–", ""]
    rule[-1] = say(walk.rule_false / walk.rule_right, 2) if walk.rule_right else "–"
    heads = [
        "",
        "customers who left",
        f"flagged {goal} days ahead",
        "median lead, days",
        "right alarms",
        "false alarms",
        "precision",
        f"precision {goal} days ahead",
        "false per right",
    ]
    return draw_table(heads, [*rows, Row(rule)])


def _shares(found: LeadTime, edges: list[int]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    counts = np.histogram(found.lead_days, edges)[0][::-1]
    return np.asarray([*counts, found.num_left - len(found.lead_days)], np.float64) / max(found.num_left, 1)
