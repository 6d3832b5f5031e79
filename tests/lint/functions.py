"""Functions of at most 80 lines and complexity 15 (pmccabe, a switch counted
once), files of at most 600 lines. A Check test goes by the name in its
START_TEST.
"""

import re
import subprocess
import sys

import exceptions
import sources

MAX_LINES, MAX_COMPLEXITY, MAX_FILE = 80, 15, 600
ROW = re.compile(r"(\d+)\t\d+\t\d+\t\d+\t(\d+)\t([^(]+)\((\d+)\): (.+)$")
TEST = re.compile(r"START_TEST\((\w+)\)")


def measure(names):
    """Rows (path, line, function, lines, complexity) and complaints."""
    run = subprocess.run(["pmccabe", *names], cwd=sources.ROOT,
                         capture_output=True, text=True, check=False)
    rows = []
    for line in run.stdout.split("\n"):
        m = ROW.match(line)
        if not m:
            continue
        complexity, length, path, at, function = m.groups()
        rows.append((path, int(at), function, int(length), int(complexity)))
    return list(named(rows)), [s for s in run.stderr.split("\n") if s]


def named(rows):
    """With START_TEST replaced by the name of the test, which may stand on
    the next line."""
    for path, at, function, length, complexity in rows:
        if function == "START_TEST":
            text = sources.read(path).split("\n")[at - 1:at + 1]
            t = TEST.search(" ".join(text))
            function = t.group(1) if t else function
        yield path, at, function, length, complexity


def longest(title, patterns):
    rows, _ = measure(sources.matching(patterns))
    lengths = sorted(r[3] for r in rows)
    print("%s: %d functions" % (title, len(rows)), end="")
    if not rows:
        print()
        return
    print(", median %d lines, nine of ten at most %d" % (
        lengths[len(lengths) // 2], lengths[len(lengths) * 9 // 10]))
    print("%6s %11s  %s" % ("lines", "complexity", "function"))
    for path, at, function, length, complexity in sorted(
            rows, key=lambda r: (-r[3], r[0]))[:10]:
        print("%6d %11d  %s (%s:%d)" % (length, complexity, function, path, at))


def print_longest():
    longest("product", [f + "/*.c*" for f in (
        "base", "encoders", "index", "server", "cli")])
    print()
    longest("tests", ["tests/*.c"])


def main():
    names = sources.matching(sources.C_FILES)
    known = exceptions.Exceptions(("length", "complexity", "file"))
    found = []
    rows, complaints = measure([n for n in names if not n.endswith(".h")])
    for path, at, function, length, complexity in rows:
        what = "%s:%s" % (path, function)
        if length > MAX_LINES and not known.permits("length", what, length):
            found.append("%s:%d: %s has %d lines, at most %d" % (
                path, at, function, length, MAX_LINES))
        if complexity > MAX_COMPLEXITY and not known.permits(
                "complexity", what, complexity):
            found.append("%s:%d: %s has complexity %d, at most %d" % (
                path, at, function, complexity, MAX_COMPLEXITY))
    for name in names:
        lines = sources.read(name).count("\n")
        if lines > MAX_FILE and not known.permits("file", name, lines):
            found.append("%s:%d: the file has %d lines, at most %d" % (
                name, MAX_FILE, lines, MAX_FILE))
    found += ["pmccabe: " + s for s in complaints] + known.report()
    print("\n".join(found + ["%d functions in %d files" % (
        len(rows), len(names))]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(print_longest() if sys.argv[1:] == ["--longest"] else main())
