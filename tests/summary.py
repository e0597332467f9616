"""Sums up a test run for tests/run: what was skipped and why, what failed, and one closing line.

usage: summary.py JUNIT_FOLDER CTEST_EXIT_STATUS

The folder holds CTest's report (ctest.xml) and, for each CTest test that runs pytest, pytest's own
(NAME.xml), whose cases are counted in the test's place. The exit status is CTest's, or 1 where a
report is missing or counts a failure that CTest did not.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

SKIP_REASON = re.compile(r"^(?:.*: Skipped\n)(.+)$", re.MULTILINE)


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []  # (name, reason)


def gtest_reason(output):
    """The text given to GTEST_SKIP(), which GoogleTest prints on the line after the place."""
    match = SKIP_REASON.search(output or "")
    return match.group(1).strip() if match else "no reason given"


def add_pytest(tally, report, ctest_failed, name):
    failures = 0
    for case in ElementTree.parse(report).iter("testcase"):
        case_name = f"{name}: {case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed.append(case_name)
            failures += 1
        elif skipped is not None:
            tally.skipped.append((case_name, skipped.get("message", "")))
        else:
            tally.passed += 1
    if ctest_failed and failures == 0:
        tally.failed.append(f"{name}: pytest ended with an error")


def add_case(tally, folder, case):
    name = case.get("name")
    failed = case.find("failure") is not None
    skipped = case.find("skipped")
    report = folder / f"{name}.xml"
    if report.exists():
        add_pytest(tally, report, failed, name)
    elif failed or (skipped is not None and "SKIP_" not in skipped.get("message", "")):
        tally.failed.append(name)  # also what could not be started: not built, say
    elif skipped is not None:
        tally.skipped.append((name, gtest_reason(case.findtext("system-out"))))
    else:
        tally.passed += 1


def main(folder, status):
    report = folder / "ctest.xml"
    if not report.exists():
        print(f"tests: error: CTest left no report in {folder}", file=sys.stderr)
        return status or 1
    tally = Tally()
    for case in ElementTree.parse(report).iter("testcase"):
        add_case(tally, folder, case)
    reasons = {}
    for name, reason in tally.skipped:
        reasons.setdefault(reason, []).append(name)
    for reason, names in sorted(reasons.items()):
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        print(f"skipped ({reason}): {shown}")
    for name in tally.failed:
        print(f"failed: {name}")
    print(f"{tally.passed} passed, {len(tally.failed)} failed, {len(tally.skipped)} skipped")
    return status or (1 if tally.failed else 0)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
