"""The pictures, each a function from all reports to a figure, or None where its reports are not there."""

import math

import matplotlib.pyplot as plt
import series

COLOURS = {"none": "C7", "prefix": "C0", "dual": "C2", "elastic": "C3", "interval": "C4", "dkv": "C1", "flash": "C5", "horizon": "C6"}


def colour_of(contender):
    return COLOURS.get(series.policy_of(contender), "C8")


def markers(contenders):
    """A marker for each contender, different within a policy."""
    chosen, seen = {}, {}
    for name in contenders:
        place = seen[series.policy_of(name)] = seen.get(series.policy_of(name), -1) + 1
        chosen[name] = "osx^vD+*"[place % 8]
    return chosen


def plain_ticks(axis, values):
    """A logarithmic axis that names the sizes that were measured."""
    axis.set_ticks(values, [str(value) for value in values])
    axis.set_ticks([], minor=True)


def new_figure(columns, rows=1, width=4.2, height=3.6):
    figure, panels = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, layout="constrained"
    )
    return figure, panels


def draw_accuracy_speed(reports):
    """One curve a policy, its points by confidence threshold; a panel a length."""
    report = reports.get("threshold")
    if report is None:
        return None
    lengths = series.lengths_of(report)
    figure, panels = new_figure(len(lengths))
    for panel, length in zip(panels[0], lengths):
        for name, lines in series.curves(report, length).items():
            x = [line["tokens_per_second"] for line in lines]
            y = [100 * line["accuracy"] for line in lines]
            reach = [
                [100 * (line["accuracy"] - line["accuracy_interval"][0]) for line in lines],
                [100 * (line["accuracy_interval"][1] - line["accuracy"]) for line in lines],
            ]
            panel.errorbar(x, y, yerr=reach, fmt="o-", color=colour_of(name), label=name, capsize=2, elinewidth=0.6)
        panel.set(xscale="log", xlabel="tokens/s", ylabel="right, %", title=f"{length} tokens")
        panel.legend(fontsize="small")
    figure.suptitle("by confidence threshold; bars: 95 %")
    return figure


def draw_tuning(reports):
    """Accuracy and speed against each parameter that was swept."""
    names = ["gamma", "window", "threshold", "track", "block_length", "refresh_every", "horizon"]
    found = [name for name in names if name in reports]
    if not found:
        return None
    figure, panels = new_figure(len(found), rows=2, width=3.2, height=2.6)
    for column, name in enumerate(found):
        report = reports[name]
        length = series.lengths_of(report)[-1]
        for policy, lines in series.curves(report, length).items():
            x = [series.parameters_of(line["policy"]).get(name) for line in lines]
            accuracy = [100 * line["accuracy"] for line in lines]
            speed = [line["tokens_per_second"] for line in lines]
            for panel, y in zip(panels[:, column], (accuracy, speed)):
                if x == [None]:  # without the parameter, to compare with
                    panel.axhline(y[0], color=colour_of(policy), linestyle=":", label=policy)
                else:
                    panel.plot(x, y, "o-", color=colour_of(policy), label=policy)
        panels[0][column].set(ylabel="right, %", title=f"{name}, {length} tokens")
        panels[1][column].set(ylabel="tokens/s", xlabel=name)
        panels[1][column].set_ylim(bottom=0)
        panels[1][column].tick_params(axis="x", rotation=45)
        panels[0][column].tick_params(axis="x", labelbottom=False)
        panels[0][column].legend(fontsize="small")
    return figure


def draw_drift(reports):
    """Drift by layer and step as a heat map; a panel a contender that tests it."""
    report = reports.get("trace")
    if report is None:
        return None
    layers = series.layers_traced(report)
    traced = [r for r in report["results"] if any(step["similarity"] for step in r.get("trace", []))]
    figure, panels = new_figure(1, rows=len(traced), width=8.4, height=1.9)
    for panel, result in zip(panels[:, 0], traced):
        similarity, refreshed = series.drift_map(result, layers)
        drift = [[math.nan if value is None else max(1 - value, 1e-6) for value in row] for row in similarity]
        image = panel.imshow(
            drift, aspect="auto", origin="lower", norm="log", cmap="viridis", interpolation="nearest"
        )
        for layer, row in enumerate(refreshed):
            steps = [step for step, done in enumerate(row) if done]
            panel.plot(steps, [layer] * len(steps), "s", color="C3", markersize=2)
        panel.set(ylabel="layer", title=f"{result['policy']}, {result['task']}, {result['length']} tokens")
        panel.grid(False)
        figure.colorbar(image, ax=panel, label="1 - similarity")
    panels[-1, 0].set_xlabel("step (red: recomputed for all rows; white: not tested)")
    return figure


def draw_lengths(reports):
    """Tokens a second against the length, on the trained model."""
    report = reports.get("policies")
    if report is None or len(series.lengths_of(report)) < 2:
        return None
    figure, panels = new_figure(1, width=5.2)
    for name, points in series.speed_by_length(report).items():
        style = "o:" if series.is_official(name) else "o-"
        panels[0][0].plot(*zip(*points), style, color=colour_of(name), label=name)
    panels[0][0].yaxis.set_major_formatter("{x:g}")
    panels[0][0].set(xscale="log", yscale="log", xlabel="tokens asked for (max_tokens)", ylabel="tokens/s")
    plain_ticks(panels[0][0].xaxis, series.lengths_of(report))
    panels[0][0].legend(fontsize="small")
    return figure


def draw_boundaries(reports):
    """The share of steps by the first layer that was recomputed for all rows."""
    report = reports.get("policies")
    if report is None:
        return None
    length = series.lengths_of(report)[-1]
    shares = series.boundary_shares(report, length)
    layers = sorted({key for share in shares.values() for key in share if key != "none"}, key=int)
    figure, panels = new_figure(1, width=6.4, height=0.4 * len(shares) + 1)
    panel, names = panels[0][0], list(shares)
    left = [0.0] * len(names)
    for number, key in enumerate(["none", *layers]):
        widths = [100 * shares[name].get(key, 0) for name in names]
        shade = "0.85" if key == "none" else plt.get_cmap("viridis")((number - 1) / max(1, len(layers)))
        label = "reuse alone" if key == "none" else "full" if key == "0" else f"from layer {key}"
        panel.barh(names, widths, left=left, color=shade, label=label)
        left = [before + width for before, width in zip(left, widths)]
    panel.invert_yaxis()
    panel.set(xlabel=f"steps, % ({length} tokens)", xlim=(0, 100))
    panel.legend(fontsize="small", ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.25))
    return figure


def draw_long(reports):
    """Milliseconds a step against the canvas, with fitted exponents."""
    report = reports.get("long-np1")
    if report is None:
        return None
    figure, panels = new_figure(3)
    canvases = sorted({result["canvas"] for result in report["results"]})
    marker = markers(dict.fromkeys(result["policy"] for result in report["results"]))
    for panel, what in zip(panels[0], ["step", "reuse", "full"]):
        for growth in report["growth"]:
            if growth["of"] != what:
                continue
            label = f"{growth['policy']}: {growth['exponent']:.2f}"
            style = marker[growth["policy"]] + "-"
            panel.plot(growth["canvases"], growth["ms"], style, color=colour_of(growth["policy"]), label=label)
        title = {"step": "all steps, mean", "reuse": "reuse steps", "full": "full forwards"}[what]
        panel.set(xscale="log", yscale="log", xlabel="canvas", ylabel="ms", title=title)
        plain_ticks(panel.xaxis, canvases)
        panel.legend(fontsize="x-small", title="exponent", title_fontsize="x-small")
    figure.suptitle(report["model"])
    return figure


def draw_ranks(reports):
    """A step's time and its collectives by number of ranks, on the longest canvas."""
    chosen = sorted((r for name, r in reports.items() if name.startswith("long-np")), key=lambda r: r["ranks"])
    if len(chosen) < 2:
        return None
    canvas = min(max(result["canvas"] for result in report["results"]) for report in chosen)
    at_canvas = [{r["policy"]: r for r in report["results"] if r["canvas"] == canvas} for report in chosen]
    policies = [name for name in at_canvas[0] if all(name in one for one in at_canvas)]
    figure, panels = new_figure(len(policies), width=2.1, height=2.8)
    for panel, policy in zip(panels[0], policies):
        ranks = [str(report["ranks"]) for report in chosen]
        lines = [one[policy] for one in at_canvas]
        inside = [line["ms_per_step"] * line["collective_share"] for line in lines]
        own = [line["ms_per_step"] - part for line, part in zip(lines, inside)]
        panel.bar(ranks, own, color=colour_of(policy), label="computing")
        panel.bar(ranks, inside, bottom=own, color="0.6", label="collectives")
        panel.set(title=policy, xlabel="ranks")
        panel.title.set_fontsize(8)
    panels[0][0].set_ylabel(f"ms a step, canvas {canvas}")
    panels[0][0].legend(fontsize="x-small")
    return figure


LOOPS = {"closed": ("concurrency", "requests at a time"), "open": ("rate", "requests a second (Poisson)")}
LATENCIES = {"first_text_ms": "first text", "whole_ms": "whole answer"}


def draw_loop(loop, servers, throughput, latency, queue):
    """Panels of one loop, all servers in each."""
    key, title = LOOPS[loop]
    for number, (server, report) in enumerate(servers.items()):
        levels = series.levels_of(report, loop)
        load = [level[key] for level in levels]
        colour = f"C{number}"
        throughput.plot(load, [level["tokens_per_second"] for level in levels], "o-", color=colour, label=server)
        for (name, words), marker in zip(LATENCIES.items(), "so"):
            for percent, style in (("p50", "-"), ("p99", ":")):
                ms = [level[name][percent] for level in levels]
                label = f"{server}: {words}, {percent}"
                latency.plot(load, ms, marker + style, color=colour, markersize=4, label=label)
        waited = [(level["engine"] or {}).get("queue_ms") for level in levels]
        queue.plot(load, [math.nan if ms is None else ms for ms in waited], "o-", color=colour, label=server)
    for panel, what in ((throughput, "output tokens/s"), (latency, "ms"), (queue, "ms in the queue, mean")):
        panel.set(xlabel=title, ylabel=what)
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.legend(fontsize="x-small")
    throughput.set_ylim(bottom=0)
    queue.set_ylim(bottom=0)
    latency.set_yscale("log")


def serving_figure(servers):
    """Throughput, latency and queue against the load, a row a loop, of `serving` reports by the server's name."""
    loops = [loop for loop in LOOPS if any(series.levels_of(report, loop) for report in servers.values())]
    figure, panels = new_figure(3, rows=len(loops))
    for loop, row in zip(loops, panels):
        draw_loop(loop, servers, *row)
    first = next(iter(servers.values()))
    figure.suptitle(f"{first['model']}, {', '.join(first['tasks'])}, max_tokens {first['length']}")
    return figure


def draw_serving(reports):
    """What clients get of each server that was measured."""
    servers = series.servers(reports, "serving")
    return serving_figure(servers) if servers else None


FIGURES = {
    "accuracy-speed": draw_accuracy_speed,
    "tuning": draw_tuning,
    "drift": draw_drift,
    "lengths": draw_lengths,
    "boundaries": draw_boundaries,
    "long": draw_long,
    "ranks": draw_ranks,
    "serving": draw_serving,
}
