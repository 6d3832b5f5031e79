"""What the checks of `make lint` share: which files there are, and their text
without comments and strings. Knows no rule. Run as a program it answers
`sources.py list GLOB...` for run.sh and `sources.py count` for tests/loc.sh.
"""

import fnmatch
import os
import re
import subprocess
import sys

# selftest.sh sets INV_LINT_ROOT: another tree, made of offences.
ROOT = os.environ.get("INV_LINT_ROOT") or os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.abspath(__file__))))
C_FILES = ("*.c", "*.h", "*.cc")
SKIPPED = ("build/", ".git/", "bench/results/")


def all_files():
    """Paths from the root: what git tracks or would track, else a walk."""
    try:
        out = subprocess.run(
            ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT,
            check=True, capture_output=True).stdout.decode()
        names = [n for n in out.split("\0") if n]
    except (OSError, subprocess.CalledProcessError):
        names = [os.path.relpath(os.path.join(d, f), ROOT)
                 for d, _, fs in os.walk(ROOT) for f in fs]
    return sorted({n for n in names if not n.startswith(SKIPPED)
                   and os.path.isfile(os.path.join(ROOT, n))})


def matching(patterns, names=None):
    names = all_files() if names is None else names
    return [n for n in names if any(fnmatch.fnmatch(n, p) for p in patterns)]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


_TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_only(text, keep_strings=False):
    """Comments (and strings) become spaces; every line keeps its number."""
    def blank(match):
        token = match.group(0)
        if keep_strings and token[0] == '"':
            return token
        return re.sub(r"[^\n]", " ", token)
    return _TOKEN.sub(blank, text)


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)


def includes(text):
    """(line, '<' or '"', path) of every include."""
    text = code_only(text, keep_strings=True)
    return [(text.count("\n", 0, m.start(2)) + 1, m.group(1), m.group(2))
            for m in _INCLUDE.finditer(text)]


def count_lines():
    """Per folder: files, lines, and lines of code (no blanks, no comments)."""
    totals = {}
    for name in matching(C_FILES + ("*.sh", "*.py", "*.sql", "Makefile")):
        text = read(name)
        if name.endswith(("c", "h")) and not name.endswith(".sh"):
            lines = code_only(text, keep_strings=True).split("\n")
        else:
            mark = "--" if name.endswith(".sql") else "#"
            lines = [s for s in text.split("\n")
                     if not s.lstrip().startswith(mark)]
        folder = os.path.dirname(name) or "."
        parts = folder.split("/")
        folder = "/".join(parts[:2])
        row = totals.setdefault(folder, [0, 0, 0])
        row[0] += 1
        row[1] += text.count("\n")
        row[2] += sum(1 for s in lines if s.strip())
    print("%-24s %6s %8s %8s" % ("folder", "files", "lines", "code"))
    for folder, row in sorted(totals.items()):
        print("%-24s %6d %8d %8d" % (folder, *row))
    print("%-24s %6d %8d %8d" % (
        "all", *(sum(r[i] for r in totals.values()) for i in range(3))))


if __name__ == "__main__":
    if sys.argv[1:2] == ["list"]:
        print("\n".join(matching(sys.argv[2:])))
    elif sys.argv[1:] == ["count"]:
        count_lines()
    else:
        sys.exit("usage: sources.py list GLOB... | count")
