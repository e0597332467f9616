"""What tables and pictures are made of: numbers picked out of the JSON reports of `rubato bench`. Standard library only."""

import json
import pathlib

def load_reports(folder):
    """The reports of a folder by name, without the ending."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(pathlib.Path(folder).glob("*.json"))}


def policy_of(contender):
    return contender.split(":")[0]


def parameters_of(contender):
    return dict(part.split("=", 1) for part in contender.split(":")[1:])


def is_official(contender):
    """LLaDA's own sampler, one token a step: what speed is set against."""
    return parameters_of(contender).get("threshold") == "null"


def lengths_of(report):
    return sorted({result["length"] for result in report["results"]})


def tasks_of(report):
    return list(dict.fromkeys(result["task"] for result in report["results"]))


def results(report, length=None, task=None):
    """Lines of a `policies` report: of one task, or of all together."""
    lines = report["all_tasks"] if task is None else [r for r in report["results"] if r["task"] == task]
    return [line for line in lines if length is None or line["length"] == length]


def swept_parameter(report):
    """The one parameter in which contenders of the same policy differ, or None."""
    by_policy = {}
    for result in report["results"]:
        if not is_official(result["policy"]):
            by_policy.setdefault(policy_of(result["policy"]), []).append(parameters_of(result["policy"]))
    differing = set()
    for parameters in by_policy.values():
        for key in set().union(*parameters):
            if len({one.get(key) for one in parameters}) > 1:
                differing.add(key)
    return differing.pop() if len(differing) == 1 else None


def curves(report, length):
    """By policy, its lines over all tasks in the order of the swept parameter."""
    parameter = swept_parameter(report)
    by_policy = {}
    for line in results(report, length):
        if is_official(line["policy"]):
            continue
        value = parameters_of(line["policy"]).get(parameter)
        by_policy.setdefault(policy_of(line["policy"]), []).append((float(value) if value else 0.0, line))
    return {name: [line for _, line in sorted(points, key=lambda point: point[0])] for name, points in by_policy.items()}


def speed_by_length(report):
    """By contender, (length, tokens a second) over all tasks."""
    series = {}
    for line in report["all_tasks"]:
        series.setdefault(line["policy"], []).append((line["length"], line["tokens_per_second"]))
    return {name: sorted(points) for name, points in series.items()}


def boundary_shares(report, length):
    """By contender, the share of steps by the first layer refreshed; "none" for those without."""
    shares = {}
    for line in results(report, length):
        steps = sum(line["boundaries"].values())
        shares[line["policy"]] = {key: count / steps for key, count in line["boundaries"].items() if count}
    return shares


def drift_map(result, num_layers):
    """(similarity, refreshed): by layer, then step. Similarity is None where no test ran or none was looked at."""
    steps = result["trace"]
    similarity = [[None] * len(steps) for _ in range(num_layers)]
    refreshed = [[False] * len(steps) for _ in range(num_layers)]
    for column, step in enumerate(steps):
        for layer, value in enumerate(step["similarity"]):
            similarity[layer][column] = value
        boundary = step["boundary"]
        if boundary is None or 0 < boundary >= num_layers - 1:  # from the last layer on nothing is left to recompute
            continue
        for layer in range(boundary, num_layers):
            refreshed[layer][column] = True
    return similarity, refreshed


def layers_traced(report):
    return max(len(step["similarity"]) for result in report["results"] for step in result.get("trace", []))


def cost_of_sort(result, boundary):
    """Median milliseconds of a `long` result's steps of one sort, or None where there were none."""
    for sort in result["by_boundary"]:
        if sort["boundary"] == boundary:
            return sort["ms"]["median"]
    return None


def growth_of(report, policy, what):
    for growth in report["growth"]:
        if growth["policy"] == policy and growth["of"] == what:
            return growth
    return None


def levels_of(report, loop):
    """Levels of a `serving` report's "closed" or "open" loop, by their load."""
    key = "concurrency" if loop == "closed" else "rate"
    return sorted((level for level in report["levels"] if level["loop"] == loop), key=lambda level: level[key])


def servers(reports, name):
    """The `serving` reports NAME-SERVER, by SERVER."""
    return {key.removeprefix(name + "-"): report for key, report in reports.items() if key.startswith(name + "-")}


def conditions(report):
    """One sentence: where a report's numbers come from."""
    machine = report["machine"]
    engine = ""  # a client of a server does not know it
    if "ranks" in report:
        engine = f", {report['threads']} thread(s) a rank, {report['kernels']}, {report['dtype']}"
    ranks = f"mpirun -np {report['ranks']} " if report.get("ranks", 1) > 1 else ""
    return (
        f"`{ranks}{report['command']}`, commit {report['commit']}, {report['started'][:10]}; {machine['cpu']}, "
        f"{machine['cores']} cores{engine}; "
        f"load {machine['load_before']:.1f} before and {machine['load_after']:.1f} after"
    )
