"""What is said of it: tables, verdicts, plots."""

import math

from .asks import BATCH
from .plots import plot


def table(head, rows):
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


KINDS = [("grant", "durable grant"), ("batch", "batch of 1,000 grants"), ("refusal", "sold out")]
ALONE = [KINDS[0], KINDS[2]]
MIB, KB = 1 << 20, 1_000


def report_offices(points, plots):
    plot(plots / "growth-offices.svg", [
        ("Rate beside one office, same minutes", "offices x 30 days", "rate / rate with one office",
         [(name, [(p["offices"], p[kind]["rate_ratio"]) for p in points]) for kind, name in KINDS],
         0.95, "least"),
        ("Server CPU", "offices x 30 days", "us a call (batch: us a grant)",
         [(name, [(p["offices"], p[kind]["cpu_us"] / (BATCH if kind == "batch" else 1)) for p in points])
          for kind, name in KINDS]),
        ("Until ready", "offices x 30 days", "seconds",
         [("first start", [(p["offices"], p["first_start_s"]) for p in points]),
          ("restart", [(p["offices"], p["restart_s"]) for p in points])]),
        ("Memory without registrations", "offices x 30 days", "MiB",
         [("resident", [(p["offices"], p["rss_bytes"] / MIB) for p in points])]),
    ])
    rows = []
    for p in points:
        cells = [f'{p["offices"]:,}', f'{p["first_start_s"]:.2f}', f'{p["restart_s"]:.2f}',
                 f'{p["rss_bytes"] / MIB:.0f}']
        for kind, _ in KINDS:
            found = p[kind]
            cells += [f'{found["per_s"] * (BATCH if kind == "batch" else 1):,.0f}', f'{found["cpu_us"]:,.1f}',
                      f'{down(found["rate_ratio"])} / {down(found["cpu_ratio"])}']
        rows.append(cells)
    head = ["offices", "first start s", "restart s", "memory MiB", "grants/s", "us a grant", "ratio",
            "batched grants/s", "us a batch", "ratio", "refusals/s", "us a refusal", "ratio"]
    largest = points[-1]
    worst = min(largest[kind][what] for kind, _ in KINDS for what in ["rate_ratio", "cpu_ratio"])
    found = "; ".join(f'{name} {down(largest[kind]["rate_ratio"])} of the rate, {down(largest[kind]["cpu_ratio"])} of '
                      'the calls a CPU second' for kind, name in KINDS)
    verdicts = [(f'{largest["offices"]:,} offices x 30 days: at least 0.95 of the rate with one office', found,
                 worst >= 0.95)]
    words = ("Every ask goes to another office and day, over 32 connections with 32 calls each, or 16 with a "
             "batch each. Beside each number of offices runs a server with one office x 30 days, and the two "
             "take turns with the same load, in eight such pairs one after the other. Ratios are medians over all "
             "rounds but the first of each pair: calls a second, and calls a CPU second of the server, over those "
             "of one office in the same round. The demand counts as met only "
             "where all six reach it. The row of one office, measured against itself, shows the noise.\n")
    return words + "\n" + table(head, rows), verdicts


def report_registrations(points, plots):
    grown = [p for p in points if p["registrations"]]
    plot(plots / "growth-registrations.svg", [
        ("Memory of a live registration", "live registrations", "bytes",
         [("as grown", [(p["registrations"], p["bytes_each"]) for p in grown]),
          ("after a restart", [(p["registrations"], p["bytes_each_after_restart"]) for p in grown])], 300),
        ("Until ready", "live registrations", "seconds",
         [("cached log", [(p["registrations"], p["restart_s"]) for p in points]),
          ("log from disk", [(p["registrations"], p["restart_cold_s"]) for p in points])], 10),
        ("Server CPU", "live registrations", "us a call",
         [(name, [(p["registrations"], p[kind]["cpu_us"]) for p in points]) for kind, name in ALONE]),
    ])
    cell = lambda number: f"{number:,.0f}" if number else ""
    rows = [[f'{p["registrations"]:,}', f'{p["events"]:,}', f'{p["rss_bytes"] / MIB:,.0f}', cell(p["bytes_each"]),
             cell(p["bytes_each_after_restart"]), f'{p["log_bytes"] / MIB:,.0f}', f'{p["restart_s"]:.2f}',
             f'{p["restart_cold_s"]:.2f}', f'{p["grant"]["per_s"]:,.0f}', f'{p["grant"]["cpu_us"]:.1f}',
             f'{p["refusal"]["per_s"]:,.0f}', f'{p["refusal"]["cpu_us"]:.1f}'] for p in points]
    head = ["live", "events", "memory MiB", "bytes each", "after a restart", "log MiB", "ready s", "ready s, cold",
            "grants/s", "us a grant", "refusals/s", "us a refusal"]
    largest = points[-1]
    each = max(largest["bytes_each"], largest["bytes_each_after_restart"])
    ready = max(largest["restart_s"], largest["restart_cold_s"])
    verdicts = [
        (f'At most 300 bytes a live registration, all indices included ({largest["registrations"]:,})',
         f'{largest["bytes_each"]:.0f} as grown, {largest["bytes_each_after_restart"]:.0f} after a restart',
         each <= 300),
        (f'{largest["events"]:,} events back in service within 10 s of start',
         f'{largest["restart_s"]:.1f} s, {largest["restart_cold_s"]:.1f} s with the log from the disk', ready <= 10),
    ]
    words = ("One server grows by batches; people come alone, with a reference of 20 characters. Bytes each are "
             "resident memory above that of the empty server, once it has settled, over live registrations. Ready is "
             "from the start of the process, after a clean stop, until `/readyz` says 200; cold: nothing of the log "
             "in the page cache. Calls are measured once at each size: a trend, not digits.\n")
    return words + "\n" + table(head, rows), verdicts


def report_connections(points, plots):
    many = [p for p in points if p["connections"] >= 100] or points
    plot(plots / "growth-connections.svg", [
        ("Memory of an open connection", "connections", "KB",
         [("after one call", [(p["connections"], p["bytes_each"] / KB) for p in many]),
          ("after some calls", [(p["connections"], p["bytes_each_used"] / KB) for p in many])], 40),
        ("Server CPU, one call at a time each", "connections", "us a call",
         [(name, [(p["connections"], p[kind]["cpu_us"]) for p in points]) for kind, name in ALONE]),
        ("Rate, one call at a time each", "connections", "calls a second",
         [(name, [(p["connections"], p[kind]["per_s"]) for p in points]) for kind, name in ALONE]),
    ])
    rows = [[f'{p["connections"]:,}', f'{min(p["first_served"], p["served"]):,}',
             f'{(p["rss_bytes"] - p["empty_bytes"]) / MIB:,.1f}', f'{p["bytes_each"] / KB:,.1f}',
             f'{p["bytes_each_used"] / KB:,.1f}', f'{p["grant"]["per_s"]:,.0f}', f'{p["grant"]["cpu_us"]:.1f}',
             f'{p["refusal"]["per_s"]:,.0f}', f'{p["refusal"]["cpu_us"]:.1f}'] for p in points]
    head = ["connections", "served", "memory MiB", "KB each after one call", "KB each after some", "grants/s",
            "us a grant", "refusals/s", "us a refusal"]
    largest = points[-1]
    each = max(largest["bytes_each"], largest["bytes_each_used"]) / KB
    served = min(largest["served"], largest["first_served"])
    verdicts = [(f'{largest["connections"]:,} connections open at once, all served, at most 40 KB each',
                 f'{served:,} served; {largest["bytes_each"] / KB:.1f} KB each after one call, '
                 f'{largest["bytes_each_used"] / KB:.1f} KB after some',
                 served == largest["connections"] and each <= 40)]
    words = ("All stay open. Each is granted a place, then memory settles; then all ask, one call at a time each, for "
             "what is sold out, and memory settles again; then for places. Memory is the server's above that without "
             "connections, in KB of 1,000 bytes: what the first few connections cost once is in it, the kernel's "
             "buffers are not.\n")
    return words + "\n" + table(head, rows), verdicts


def down(number):
    """Two digits, never rounded up."""
    return f"{math.floor(number * 100) / 100:.2f}"
