#!/usr/bin/env python3
"""Draws the pictures and fills the tables of docs/results from the reports there.

usage: draw.py [FOLDER] [PAGE ...]

FOLDER (docs/results) holds the reports of `rubato bench ... --json`; the pictures go beside them. The tables of each PAGE
(FOLDER/README.md) are filled. What has no report is left as it is. benchmarks/results runs it.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import matplotlib  # noqa: E402 (after the path)

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "rubato", "svg.fonttype": "none", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})

import figures  # noqa: E402
import series  # noqa: E402
import tables  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=pathlib.Path("docs/results"))
    parser.add_argument("pages", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    reports = series.load_reports(arguments.folder)
    for name, draw in figures.FIGURES.items():
        figure = draw(reports)
        if figure is None:
            print(f"{name}: no report, left as it is")
            continue
        figure.savefig(arguments.folder / f"{name}.svg", metadata={"Date": None})
        print(f"{name}: drawn")
    for page in arguments.pages or [arguments.folder / "README.md"]:
        page.write_text(tables.fill(page.read_text(), reports))
        print(f"{page}: tables filled")


if __name__ == "__main__":
    main()
