"""Fills the tables of a Markdown page from reports: what stands between `<!-- table KIND NAME -->` and `<!-- end -->`
is replaced by a table of the report NAME.json. Standard library only."""

import re

import series

BLOCK = re.compile(r"(<!-- table (\w+) ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def percent(share):
    return f"{100 * share:.1f} %"


def accuracy(line):
    low, high = line["accuracy_interval"]
    return f"{percent(line['accuracy'])} ({100 * low:.0f}-{100 * high:.0f})"


def number(value):
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def speed(line):
    """Tokens a second, and how far the runs lie apart where there were several."""
    seconds = line["seconds_of_each_repetition"]
    spread = f" ± {50 * (max(seconds) - min(seconds)) / line['seconds']:.0f} %" if len(seconds) > 1 else ""
    return number(line["tokens_per_second"]) + spread


def policies_table(report):
    """Every contender at every length, over all tasks."""
    head = ["length", "policy", "right", "tokens/s", "speed", "passes", "tokens a pass", "refreshed", "rows", "cache MiB"]
    rows = []
    for length in series.lengths_of(report):
        lines = series.results(report, length)
        base = lines[0]["tokens_per_second"]
        for line in lines:
            questions = line["questions"]
            rows.append(
                [
                    length,
                    f"`{line['policy']}`",
                    accuracy(line),
                    speed(line),
                    f"{line['tokens_per_second'] / base:.1f} x",
                    number(line["forward_passes"] / questions),
                    f"{line['tokens_per_forward_pass']:.2f}",
                    percent(line["refresh_share"]),
                    number(line["rows_computed"] / questions),
                    number(line["cache_bytes"] / 2**20),
                ]
            )
    return markdown(head, rows)


def tasks_table(report):
    """Accuracy by task, at every length."""
    tasks = series.tasks_of(report)
    rows = []
    for length in series.lengths_of(report):
        by_task = {task: {r["policy"]: r for r in series.results(report, length, task)} for task in tasks}
        for line in series.results(report, length):
            rows.append([length, f"`{line['policy']}`", *(accuracy(by_task[task][line["policy"]]) for task in tasks)])
    return markdown(["length", "policy", *tasks], rows)


def sweep_table(report):
    """The values of one parameter, over all tasks at every length."""
    rows = [
        [
            line["length"],
            f"`{line['policy']}`",
            accuracy(line),
            number(line["tokens_per_second"]),
            number(line["forward_passes"] / line["questions"]),
            f"{line['tokens_per_forward_pass']:.2f}",
            percent(line["refresh_share"]),
            number(line["rows_computed"] / line["questions"]),
        ]
        for line in report["all_tasks"]
    ]
    return markdown(["length", "policy", "right", "tokens/s", "passes", "tokens a pass", "refreshed", "rows"], rows)


def long_table(report):
    """Milliseconds a step by policy and canvas, and the exponent by which they grow."""
    canvases = sorted({result["canvas"] for result in report["results"]})
    policies = list(dict.fromkeys(result["policy"] for result in report["results"]))
    cost = {(r["policy"], r["canvas"]): r["ms_per_step"] for r in report["results"]}
    rows = []
    for policy in policies:
        growth = series.growth_of(report, policy, "step")
        exponent = f"{growth['exponent']:.2f}" if growth else "-"
        rows.append([f"`{policy}`", *(number(cost[policy, canvas]) for canvas in canvases), exponent])
    return markdown(["ms a step at canvas", *canvases, "exponent"], rows)


def steps_table(report):
    """Milliseconds and rows of each sort of step on each canvas."""
    seen = {}
    for result in report["results"]:
        for sort in result["by_boundary"]:
            seen.setdefault((result["canvas"], sort["boundary"], sort["rows"]), []).append((result["policy"], sort))
    rows = []
    for (canvas, boundary, count), sorts in sorted(seen.items(), key=lambda item: (item[0][0], -item[0][2])):
        kind = "reuse" if boundary is None else "full" if boundary == 0 else f"from layer {boundary}"
        median = sorted(sort["ms"]["median"] for _, sort in sorts)[len(sorts) // 2]
        rows.append([canvas, kind, number(count), number(median), ", ".join(f"`{policy}`" for policy, _ in sorts)])
    return markdown(["canvas", "step", "rows", "ms", "seen under"], rows)


def ranks_table(reports):
    """Several numbers of ranks side by side, on the longest canvas."""
    rows = []
    for report in reports:
        canvas = max(result["canvas"] for result in report["results"])
        for result in report["results"]:
            if result["canvas"] == canvas:
                rows.append(
                    [
                        report["ranks"],
                        canvas,
                        f"`{result['policy']}`",
                        number(result["ms_per_step"]),
                        number(series.cost_of_sort(result, 0)),
                        number(series.cost_of_sort(result, None)),
                        percent(result["collective_share"]),
                    ]
                )
    return markdown(["ranks", "canvas", "policy", "ms a step", "full", "reuse", "in collectives"], rows)


PHASES = ["plan", "reuse", "reduce", "decide", "refresh", "head", "sample", "finish"]
OWN_PHASES = ["plan", "decide", "sample", "finish"]  # neither forward pass nor collective


def phases_table(report):
    """Where the time of a step goes, in microseconds, for each sort of step at the greatest length; over all tasks."""
    rows = []
    for line in series.results(report, series.lengths_of(report)[-1]):
        if series.parameters_of(line["policy"]):
            continue  # a variant
        for sort, steps in line["steps"].items():
            if steps["count"] == 0:
                continue
            each = {phase: 1e6 * steps["seconds"][phase] / steps["count"] for phase in PHASES}
            whole = sum(each.values())
            own = percent(sum(each[phase] for phase in OWN_PHASES) / whole)
            times = [f"{us:,.0f}" for us in (*each.values(), whole)]
            rows.append([line["length"], f"`{line['policy']}`", sort, *times, own])
    return markdown(["length", "policy", "step", *PHASES, "in all", "own"], rows)


def serving_table(servers):
    """Throughput and waiting by server and load; both loops."""
    rows = []
    for server, report in servers.items():
        closed = series.levels_of(report, "closed")
        for level in closed + series.levels_of(report, "open"):
            base = closed[0]["tokens_per_second"] if level in closed else None
            queue = (level["engine"] or {}).get("queue_ms")
            rows.append(
                [
                    f"`{server}`",
                    f"{level['concurrency']} at a time" if level in closed else f"{level['rate']:g} a second",
                    number(level["requests_per_second"]),
                    number(level["tokens_per_second"]),
                    f"{level['tokens_per_second'] / base:.1f} x" if base else "-",
                    *(f"{level[what][p]:,.0f}" for what in ("first_text_ms", "whole_ms") for p in ("p50", "p99")),
                    number(queue),
                    level["requests"] - level["answered"],
                ]
            )
    head = ["server", "load", "answers/s", "tokens/s", "speed", "text p50", "p99", "whole p50", "p99", "queue", "errors"]
    return markdown(head, rows)


TABLES = {
    "policies": policies_table,
    "tasks": tasks_table,
    "sweep": sweep_table,
    "long": long_table,
    "steps": steps_table,
    "phases": phases_table,
}

# Single numbers in the text: of a contender's line over all tasks, given that of `none` and the first one of its length.
VALUES = {
    "right": lambda line, none, first: f"{line['right']} of {line['questions']}",
    "percent": lambda line, none, first: percent(line["accuracy"]),
    "points": lambda line, none, first: f"{100 * (line['accuracy'] - none['accuracy']):+.1f}",
    "speed": lambda line, none, first: f"{line['tokens_per_second'] / first['tokens_per_second']:.1f}",
    "over_none": lambda line, none, first: f"{line['tokens_per_second'] / none['tokens_per_second']:.1f}",
    "tokens": lambda line, none, first: number(line["tokens_per_second"]),
    "rows": lambda line, none, first: number(line["rows_computed"] / line["questions"]),
    "passes": lambda line, none, first: number(line["forward_passes"] / line["questions"]),
}
VALUE = re.compile(r"(<!-- value ([\w-]+) (\d+) (\S+) (\w+) -->)(.*?)(<!-- end -->)", re.DOTALL)


def value(name, length, policy, what, reports):
    """A number of a `policies` report, or None where the report is not there."""
    if name not in reports:
        return None
    lines = {line["policy"]: line for line in series.results(reports[name], int(length))}
    return VALUES[what](lines[policy], lines["none"], next(iter(lines.values())))


def render(kind, name, reports):
    """A table and where it comes from, or None where a report is not there.

    `ranks` takes every NAME-np* there is, `serving` every NAME-SERVER.
    """
    if kind == "serving":
        found = series.servers(reports, name)
        chosen = list(found.values())
        text = serving_table(found) if found else None
    elif kind == "ranks":
        chosen = [report for key, report in reports.items() if key.startswith(name + "-np")]
        chosen.sort(key=lambda report: report["ranks"])
        text = ranks_table(chosen) if chosen else None
    else:
        chosen = [reports[name]] if name in reports else []
        text = TABLES[kind](chosen[0]) if chosen else None
    return text and text + "\n" + "".join(f"({series.conditions(report)})\n" for report in chosen)


def fill(page, reports):
    """The page with its tables and single values made anew; those without a report stay as they are."""

    def replace(block):
        table = render(block[2], block[3], reports)
        return block[0] if table is None else f"{block[1]}\n{table}\n{block[4]}"

    def put(mark):
        found = value(*mark.groups()[1:5], reports)
        return mark[0] if found is None else mark[1] + found + mark[7]

    return VALUE.sub(put, BLOCK.sub(replace, page))
