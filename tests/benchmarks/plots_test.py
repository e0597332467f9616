"""What pictures and tables pick out of the reports (benchmarks/plots). The drawing itself needs matplotlib, which is not among the
tools of the tests; benchmarks/results --quick goes through it."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "plots"))

import series  # noqa: E402 (after the path)
import tables  # noqa: E402

CONDITIONS = {
    "version": "1",
    "commit": "abc",
    "command": "rubato bench policies",
    "started": "2026-11-24T15:00:00Z",
    "ranks": 2,
    "threads": 1,
    "kernels": "avx2",
    "dtype": "float32",
    "machine": {"cpu": "Abacus", "cores": 3, "memory_bytes": 1, "load_before": 0.25, "load_after": 1.5},
}


def line(policy, length=64, task="all tasks", speed=10.0, right=0.9, seconds=(40.0,)):
    return {
        "task": task,
        "policy": policy,
        "length": length,
        "questions": 10,
        "accuracy": right,
        "accuracy_interval": [0.5, 1.0],
        "seconds": sorted(seconds)[len(seconds) // 2],
        "seconds_of_each_repetition": list(seconds),
        "tokens_per_second": speed,
        "tokens_per_forward_pass": 2.5,
        "forward_passes": 40,
        "refresh_share": 0.25,
        "rows_computed": 12345,
        "cache_bytes": 3 * 2**20,
        "boundaries": {"none": 30, "0": 10, "3": 0},
    }


def report(*lines):
    return {**CONDITIONS, "results": [{**one, "task": "sums"} for one in lines], "all_tasks": list(lines)}


SWEEP = report(*(line(f"{p}:gamma={g}", speed=s) for p in ("elastic", "none") for g, s in ((0.99, 5), (0.9, 20))))


def test_the_swept_parameter_is_the_one_that_differs():
    assert series.swept_parameter(SWEEP) == "gamma"
    assert series.swept_parameter(report(line("none:threshold=null"), line("none:threshold=0.9"), line("dual"))) is None
    assert series.swept_parameter(report(line("dual:window=1:gamma=1"), line("dual:window=2:gamma=2"))) is None


def test_a_curve_is_a_policy_in_the_order_of_the_parameter():
    curves = series.curves(SWEEP, 64)
    assert list(curves) == ["elastic", "none"]
    assert [one["tokens_per_second"] for one in curves["elastic"]] == [20, 5]


def test_llada_s_own_sampler_is_on_no_curve():
    assert list(series.curves(report(line("none:threshold=null"), line("dual")), 64)) == ["dual"]


def test_boundaries_become_shares_of_steps():
    assert series.boundary_shares(report(line("dual")), 64) == {"dual": {"none": 0.75, "0": 0.25}}


def test_the_drift_map_has_similarities_up_to_the_boundary_and_marks_what_was_recomputed():
    trace = [
        {"boundary": 0, "similarity": []},
        {"boundary": None, "similarity": [0.9, 0.8, 0.7]},
        {"boundary": 1, "similarity": [0.5]},
        {"boundary": 2, "similarity": [0.9, 0.5]},
    ]
    similarity, refreshed = series.drift_map({"trace": trace}, 3)
    assert similarity == [[None, 0.9, 0.5, 0.9], [None, 0.8, None, 0.5], [None, 0.7, None, None]]
    assert refreshed == [[True, False, False, False], [True, False, True, False], [True, False, True, False]]
    assert series.layers_traced({"results": [{"trace": trace}, {}]}) == 3


def test_conditions_name_machine_load_commit_and_command():
    sentence = series.conditions(CONDITIONS)
    for fact in ("mpirun -np 2 rubato bench policies", "abc", "Abacus", "3 cores", "0.2 before", "1.5 after"):
        assert fact in sentence


LONG = {
    **CONDITIONS,
    "results": [
        {
            "canvas": canvas,
            "policy": policy,
            "ms_per_step": canvas / 10,
            "collective_share": 0.125,
            "by_boundary": [{"boundary": None, "count": 3, "ms": {"median": 1.5}, "rows": 96}, *full],
        }
        for canvas in (64, 128)
        for policy, full in (("dual", [{"boundary": 0, "count": 1, "ms": {"median": 7.0}, "rows": 4 * canvas}]), ("elastic", []))
    ],
    "growth": [{"policy": "dual", "of": "step", "exponent": 1.0, "canvases": [64, 128], "ms": [6.4, 12.8]}],
}


def level(loop, load, speed, queue=None):
    waits = {"p50": 2 * load, "p99": 1234.4}
    return {
        "loop": loop,
        "concurrency": load if loop == "closed" else None,
        "rate": load if loop == "open" else None,
        "requests": 8,
        "answered": 7,
        "requests_per_second": 3.25,
        "tokens_per_second": speed,
        "first_text_ms": waits,
        "whole_ms": waits,
        "engine": queue and {"queue_ms": queue},
    }


def served(*levels):
    """A report of `bench serving`, which does not know the ranks of the server."""
    of_an_engine = ("ranks", "threads", "kernels", "dtype")
    return {**{key: value for key, value in CONDITIONS.items() if key not in of_an_engine}, "levels": list(levels)}


SERVERS = {"serving-two": served(level("open", 2.5, 30), level("closed", 16, 250, queue=5.5), level("closed", 1, 100))}


def test_levels_are_by_loop_and_load():
    report = SERVERS["serving-two"]
    assert [one["concurrency"] for one in series.levels_of(report, "closed")] == [1, 16]
    assert [one["rate"] for one in series.levels_of(report, "open")] == [2.5]
    assert series.servers({**SERVERS, "policies": SWEEP}, "serving") == {"two": report}


@pytest.mark.parametrize(
    "kind, reports, expected",
    [
        (
            "serving",
            {"x-two": SERVERS["serving-two"]},
            "| `two` | 1 at a time | 3.2 | 100 | 1.0 x | 2 | 1,234 | 2 | 1,234 | - | 1 |\n"
            "| `two` | 16 at a time | 3.2 | 250 | 2.5 x | 32 | 1,234 | 32 | 1,234 | 5.5 | 1 |\n"
            "| `two` | 2.5 a second | 3.2 | 30.0 | - | 5 | 1,234 | 5 | 1,234 | - | 1 |",
        ),
        ("policies", {"x": report(line("none", speed=5), line("dual"))}, "| 64 | `dual` | 90.0 % (50-100) | 10.0 | 2.0 x | 4.0 |"),
        ("policies", {"x": report(line("dual", seconds=(40.0, 36.0, 44.0)))}, "| 64 | `dual` | 90.0 % (50-100) | 10.0 ± 10 % | 1.0 x |"),
        ("tasks", {"x": report(line("dual", right=0.5))}, "| 64 | `dual` | 50.0 % (50-100) |"),
        ("sweep", {"x": SWEEP}, "| 64 | `elastic:gamma=0.9` | 90.0 % (50-100) | 20.0 | 4.0 | 2.50 | 25.0 % | 1,234 |"),
        ("long", {"x": LONG}, "| `dual` | 6.4 | 12.8 | 1.00 |\n| `elastic` | 6.4 | 12.8 | - |"),
        ("steps", {"x": LONG}, "| 128 | full | 512 | 7.0 | `dual` |\n| 128 | reuse | 96.0 | 1.5 | `dual`, `elastic` |"),
        ("ranks", {"x-np2": LONG}, "| 2 | 128 | `elastic` | 12.8 | - | 1.5 | 12.5 % |"),
    ],
)
def test_a_table_has_the_numbers_and_where_they_come_from(kind, reports, expected):
    table = tables.render(kind, "x", reports)
    assert expected in table
    assert "commit abc" in table


def test_a_page_is_filled_between_its_marks_and_filling_again_changes_nothing():
    page = "before\n<!-- table sweep gamma -->\nold\n<!-- end -->\nafter\n<!-- table sweep lost -->\nkept\n<!-- end -->\n"
    filled = tables.fill(page, {"gamma": SWEEP})
    assert filled.startswith("before\n<!-- table sweep gamma -->\n\n| length |")
    assert "old" not in filled
    assert "kept" in filled
    assert tables.fill(filled, {"gamma": SWEEP}) == filled


def test_a_number_in_the_text_is_taken_from_a_contender_s_line():
    reports = {"x": report(line("none:threshold=null", speed=2), line("none", speed=5, right=0.9), line("dual", speed=40, right=0.8))}
    text = "<!-- value x 64 dual {} -->old<!-- end --> and <!-- value lost 64 dual speed -->kept<!-- end -->"
    for what, found in {"speed": "20.0", "over_none": "8.0", "points": "-10.0", "percent": "80.0 %", "rows": "1,234"}.items():
        assert tables.fill(text.format(what), reports) == text.format(what).replace("old", found)


def test_phases_of_a_step_are_told_in_microseconds():
    seconds = {**dict.fromkeys(tables.PHASES, 0.0), "plan": 0.01, "reuse": 0.97, "sample": 0.02}
    steps = {"reuse": {"count": 100, "seconds": seconds}, "full": {"count": 0, "seconds": seconds}}
    table = tables.phases_table(report({**line("dual"), "steps": steps}, {**line("dual:window=4"), "steps": steps}))
    assert table.endswith("| 64 | `dual` | reuse | 100 | 9,700 | 0 | 0 | 0 | 0 | 200 | 0 | 10,000 | 3.0 % |\n")


PAGES = ["README.md", "docs/performance.md", "docs/results/README.md", "docs/tuning.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_ask_for_what_there_is(page):
    text, script = (ROOT / page).read_text(), (ROOT / "benchmarks" / "results").read_text()
    wanted = [(kind, name) for _, kind, name, _ in tables.BLOCK.findall(text)]
    for kind, name in wanted:
        assert kind in tables.TABLES or kind in ("ranks", "serving")
        assert f"{name}{ {'ranks': '-np', 'serving': '-'}.get(kind, '')}" in script
    values = tables.VALUE.findall(text)
    for _, name, _, _, what, _, _ in values:
        assert name in script and what in tables.VALUES
    assert wanted or values
    assert page in script


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_say_what_the_reports_beside_them_say(page):
    text = (ROOT / page).read_text()
    assert tables.fill(text, series.load_reports(ROOT / "docs" / "results")) == text
