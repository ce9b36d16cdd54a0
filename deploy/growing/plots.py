"""Plots as SVG."""

import math


ASKED = 'stroke="#777" stroke-dasharray="4 3"'
COLOURS = ["#1f6fb2", "#c8501e", "#3a8f4d"]
PANEL_WIDTH, PANEL_HEIGHT, LEFT, TOP, BOTTOM = 340, 300, 64, 70, 52


def human(number):
    for unit, short in [(1_000_000, "M"), (1_000, "k")]:
        if number >= unit:
            return f"{number / unit:g}{short}"
    return f"{number:g}"



def nice(top):
    """A round number not below, and how many steps lead there."""
    power = 10 ** math.floor(math.log10(top))
    for factor, steps in [(1, 5), (1.5, 3), (2, 4), (3, 3), (4, 4), (5, 5), (6, 3), (8, 4), (10, 5)]:
        if factor * power >= top * 0.999:
            return factor * power, steps
    return 10 * power, 5


def panel(left, title, x_name, y_name, lines, asked=None, bound="most"):
    """One plot: x logarithmic, with a place of its own for 0; y from 0 on; what was asked is a dashed line."""
    xs = sorted({x for _, points in lines for x, _ in points})
    top, steps = nice(max([y for _, points in lines for _, y in points] + [asked or 0]) * 1.02 or 1)
    inner_width, inner_height = PANEL_WIDTH - LEFT - 22, PANEL_HEIGHT - TOP - BOTTOM
    logs = {x: math.log10(x) for x in xs if x > 0}
    if 0 in xs:
        logs[0] = min(logs.values()) - 1
    low, high = min(logs.values()), max(logs.values())

    def place(x, y):
        share = (logs[x] - low) / (high - low or 1)
        return left + LEFT + share * inner_width, TOP + (1 - y / top) * inner_height

    def across(y, stroke):
        return f'<line x1="{left + LEFT}" x2="{left + LEFT + inner_width}" y1="{y:.1f}" y2="{y:.1f}" {stroke}/>'

    floor = TOP + inner_height
    text = lambda x, y, words, more="": f'<text x="{x:.1f}" y="{y:.1f}" {more}>{words}</text>'
    out = [text(left + LEFT, 22, title, 'font-weight="bold"'),
           text(left + LEFT + inner_width / 2, PANEL_HEIGHT - 12, x_name, 'text-anchor="middle"'),
           text(left + 14, TOP + inner_height / 2, y_name, 'text-anchor="middle" transform="rotate(-90 '
                f'{left + 14} {TOP + inner_height / 2:.1f})"')]
    for step in range(steps + 1):
        y = floor - step / steps * inner_height
        out.append(across(y, 'stroke="#ddd"'))
        out.append(text(left + LEFT - 6, y + 4, human(top * step / steps), 'text-anchor="end"'))
    for x in xs:
        out.append(text(place(x, 0)[0], floor + 17, human(x), 'text-anchor="middle"'))
    names = [name for name, _ in lines] + ([f"asked: {human(asked)} at {bound}"] if asked else [])
    for number, name in enumerate(names):
        x, y = left + LEFT + (number % 2) * 132, 40 + number // 2 * 15
        stroke = ASKED if number == len(lines) else f'stroke="{COLOURS[number]}" stroke-width="2"'
        out.append(f'<line x1="{x}" x2="{x + 16}" y1="{y - 4}" y2="{y - 4}" {stroke}/>' + text(x + 21, y, name))
    if asked:
        out.append(across(place(xs[0], asked)[1], ASKED))
    for colour, (_, points) in zip(COLOURS, lines):
        dots = [place(x, y) for x, y in points]
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
                   + " ".join(f"{x:.1f},{y:.1f}" for x, y in dots) + '"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in dots]
    return "\n".join(out)


def plot(path, panels):
    width = len(panels) * PANEL_WIDTH
    drawn = [panel(number * PANEL_WIDTH, *what) for number, what in enumerate(panels)]
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{PANEL_HEIGHT}" '
                    f'viewBox="0 0 {width} {PANEL_HEIGHT}" font-family="sans-serif" font-size="11" fill="#222">\n'
                    '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n")
