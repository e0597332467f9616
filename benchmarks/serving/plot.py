#!/usr/bin/env python3
"""Draws what `rubato bench serving --json` wrote: throughput, latency and queue against the load.

usage: plot.py REPORT.json [REPORT.json ...] [-o PICTURE]

Reports of several servers are drawn into one picture, each named by --label, or else by its file. A report with both
loops gives one row of panels for each.
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "plots"))

import matplotlib  # noqa: E402 (after the path)

matplotlib.use("svg")

import figures  # noqa: E402


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", type=pathlib.Path, metavar="REPORT.json")
    parser.add_argument("--label", action="append", default=[], help="name of a report, in their order")
    parser.add_argument("-o", "--output", default="serving.svg", help="file to write; its ending is the format (%(default)s)")
    arguments = parser.parse_args()
    if len(arguments.label) > len(arguments.reports):
        parser.error(f"{len(arguments.label)} labels for {len(arguments.reports)} reports")
    return arguments


def main():
    arguments = read_arguments()
    labels = arguments.label + [path.stem for path in arguments.reports[len(arguments.label) :]]
    reports = {label: json.loads(path.read_text()) for label, path in zip(labels, arguments.reports)}
    figures.serving_figure(reports).savefig(arguments.output)


if __name__ == "__main__":
    main()
