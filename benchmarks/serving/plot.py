#!/usr/bin/env python3
"""Draws what `rubato bench serving --json` wrote: throughput and latency against the load.

usage: plot.py REPORT.json [REPORT.json ...] [-o PICTURE]

Reports of several servers are drawn into one picture, each named by --label, or else by its file. A report with both
loops gives one row of panels for each.
"""

import argparse
import json
import pathlib

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402 (after the choice of what draws)

LOOPS = {"closed": ("concurrency", "requests at a time"), "open": ("rate", "requests a second (Poisson)")}
LATENCIES = {"first_text_ms": "first text", "whole_ms": "whole answer"}


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", type=pathlib.Path, metavar="REPORT.json")
    parser.add_argument("--label", action="append", default=[], help="name of a report, in their order")
    parser.add_argument("-o", "--output", default="serving.svg", help="file to write; its ending is the format (%(default)s)")
    arguments = parser.parse_args()
    if len(arguments.label) > len(arguments.reports):
        parser.error(f"{len(arguments.label)} labels for {len(arguments.reports)} reports")
    return arguments


def levels_of(report, loop):
    key = LOOPS[loop][0]
    return sorted((level for level in report["levels"] if level["loop"] == loop), key=lambda level: level[key])


def draw_loop(loop, reports, throughput, latency):
    key, title = LOOPS[loop]
    for number, (label, report) in enumerate(reports.items()):
        levels = levels_of(report, loop)
        load = [level[key] for level in levels]
        color = f"C{number}"
        throughput.plot(load, [level["tokens_per_second"] for level in levels], "o-", color=color, label=label)
        for (name, words), marker in zip(LATENCIES.items(), "so"):
            for percent, style in (("p50", "-"), ("p99", ":")):
                seconds = [level[name][percent] / 1e3 for level in levels]
                latency.plot(load, seconds, marker + style, color=color, markersize=4, label=f"{label}: {words}, {percent}")
    for panel, what in ((throughput, "output tokens/s"), (latency, "seconds")):
        panel.set(xlabel=title, ylabel=what)
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
        if loop == "closed":
            panel.set_xscale("log", base=2)
            panel.xaxis.set_major_formatter("{x:g}")
    throughput.set_ylim(bottom=0)
    latency.set_yscale("log")


def main():
    arguments = read_arguments()
    labels = arguments.label + [path.stem for path in arguments.reports[len(arguments.label) :]]
    reports = {label: json.loads(path.read_text()) for label, path in zip(labels, arguments.reports)}
    loops = [loop for loop in LOOPS if any(levels_of(report, loop) for report in reports.values())]
    figure, panels = plt.subplots(len(loops), 2, figsize=(11, 4 * len(loops)), squeeze=False, layout="constrained")
    for loop, row in zip(loops, panels):
        draw_loop(loop, reports, *row)
    first = next(iter(reports.values()))
    figure.suptitle(f"{first['model']}, {', '.join(first['tasks'])}, max_tokens {first['length']}")
    figure.savefig(arguments.output)


if __name__ == "__main__":
    main()
