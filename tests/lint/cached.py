"""Runs one tool once per file, two files at a time, and remembers the answer
under build/lint/ by the content of everything that can change it: the file,
the project headers it reaches, the tool's version, options and settings. So a
second run costs only what was edited since. LINT_JOBS says how many at a time.

    cached.py format | headers | tidy | cppcheck | shell
"""

import concurrent.futures
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

import exceptions
import sources

CACHE = os.path.join(sources.ROOT, "build", "lint")
KEEP_SECONDS = 14 * 86400
JOBS = int(os.environ.get("LINT_JOBS", "2"))

# As in the Makefile.
DEFINES = ["-I.", "-D_GNU_SOURCE", '-DINV_VERSION="lint"']
KERNELS = {
    "base/kernels_avx2.c": ["-mavx2", "-mfma", "-mf16c", "-mpopcnt"],
    "base/kernels_avx512.c": [
        "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx2",
        "-mfma", "-mf16c", "-mpopcnt"],
}
PRODUCT = ("base/*.c", "encoders/*.c", "index/*.c", "index/*.cc",
           "server/*.c", "cli/*.c")


def output(*command):
    return subprocess.run(command, cwd=sources.ROOT, capture_output=True,
                          text=True, check=False)


def faiss_prefix():
    prefix = os.environ.get("FAISS_PREFIX")
    script = os.path.join(sources.ROOT, "deploy", "install-faiss.sh")
    if not prefix and os.access(script, os.X_OK):
        prefix = output(script, "--print-prefix").stdout.strip()
    return prefix if prefix and os.path.isdir(prefix + "/include/faiss") else ""


class Tool:
    """What to run for a file, on which files, and what else it depends on."""

    program = ""
    version = ""  # with another version than this the check is skipped
    settings = ()  # files that change the answer
    patterns = sources.C_FILES

    def __init__(self):
        self.faiss = faiss_prefix()

    def command(self, name):
        raise NotImplementedError

    def text(self, out):
        return out

    def is_finding(self, code, out):
        del out
        return code != 0

    def input(self, name):
        del name
        return None

    def flags(self, name):
        if not name.endswith(".cc"):
            return ["-std=c11"] + DEFINES + KERNELS.get(name, [])
        own = output("g++", "-print-file-name=include").stdout.strip()
        return ["-std=c++17"] + DEFINES + ["-fopenmp", "-idirafter", own]

    def system(self):
        return ["-isystem", self.faiss + "/include"] if self.faiss else []


class Format(Tool):
    program, version, settings = "clang-format", "14", (".clang-format",)

    def command(self, name):
        return ["clang-format", "--dry-run", "--Werror", name]

    def text(self, out):  # the line says it, the picture of it does not help
        found = re.findall(r"^\S+?:\d+", out, re.M)
        return found[0] + ": clang-format -i %s (%d places)" % (
            found[0].split(":")[0], len(found)) if found else out


class Headers(Tool):
    """Alone, and twice: the guard is part of it."""

    program, patterns = "gcc", ("*.h",)

    def command(self, name):
        return ["gcc", "-fsyntax-only", *self.flags(name), *self.system(),
                "-Wall", "-Wextra", "-Wpedantic", "-Wstrict-prototypes",
                "-Werror", "-x", "c", "-"]

    def input(self, name):  # `static` helpers of a header may go unused here
        return ('#pragma GCC diagnostic ignored "-Wunused-function"\n'
                '#pragma GCC diagnostic ignored "-Wunused-variable"\n'
                '#include "%s"\n#include "%s"\nint inv_lint_;\n'
                % (name, name)) if name.endswith(".h") else None


class Tidy(Tool):
    program, version, patterns = "clang-tidy", "14", PRODUCT
    settings = (".clang-tidy", "tests/lint/analyzer.h")

    def command(self, name):
        front = ["-include", "tests/lint/analyzer.h"]
        if name.endswith(".cc") or name == "base/status.c":
            front = []
        return ["clang-tidy", "--quiet", name, "--", *self.flags(name),
                *self.system(), *front]

    def is_finding(self, code, out):
        return code != 0 or ": warning: " in out

    def text(self, out):
        return "\n".join(s for s in out.split("\n") if re.match(
            r"\S+:\d+:\d+: (warning|error): ", s)) or out


class Cppcheck(Tool):
    program, version = "cppcheck", "2.10"
    settings = ("tests/lint/cppcheck.txt",)
    patterns = ("*.c",)

    def command(self, name):
        return ["cppcheck", "--quiet", "--error-exitcode=1", "--std=c11",
                "--enable=warning,performance,portability",
                "--inline-suppr", "--library=posix", "-I.", "-D_GNU_SOURCE",
                "-D__x86_64__=1", "--max-configs=4",
                "--template={file}:{line}: {id}: {message}",
                "--suppressions-list=tests/lint/cppcheck.txt", name]


class Shell(Tool):
    program, patterns = "shellcheck", ("*.sh", ".ci/run")

    def command(self, name):
        return ["shellcheck", "--external-sources", "--format=gcc", name]


TOOLS = {"format": Format, "headers": Headers, "tidy": Tidy,
         "cppcheck": Cppcheck, "shell": Shell}


class Hashes:
    """The digest of a file together with the project headers it reaches."""

    def __init__(self):
        self.known = {}

    def one(self, name):
        if name not in self.known:
            with open(os.path.join(sources.ROOT, name), "rb") as f:
                data = f.read()
            headers = []
            if name.endswith((".c", ".h", ".cc")):
                headers = [p for _, b, p in sources.includes(
                    data.decode("utf-8", "replace")) if b == '"']
            self.known[name] = (hashlib.sha256(data).hexdigest(), headers)
        return self.known[name]

    def closure(self, name):
        seen, todo = {}, [name]
        while todo:
            at = todo.pop()
            if at in seen or not os.path.isfile(
                    os.path.join(sources.ROOT, at)):
                continue
            seen[at], headers = self.one(at)
            todo += headers
        return seen


def reaches_faiss(names):
    return any(path.startswith("faiss/") for n in names
               for _, _, path in sources.includes(sources.read(n)))


def check(tool, name, key):
    """The findings for one file, '' when there are none; from the cache."""
    path = os.path.join(CACHE, key)
    try:
        with open(path, encoding="utf-8") as f:
            old = f.read()
        os.utime(path)
        return old
    except OSError:
        pass
    run = subprocess.run(tool.command(name), cwd=sources.ROOT,
                         input=tool.input(name), capture_output=True,
                         text=True, errors="replace", check=False)
    both = run.stdout + run.stderr
    text = ""
    if tool.is_finding(run.returncode, both):
        text = (tool.text(both).replace(sources.ROOT + "/", "").strip()
                or "%s: %s failed with %d" % (name, tool.program,
                                              run.returncode))
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(temporary, path)
    return text


def keys(tool, label, names, version):
    hashes = Hashes()
    common = [label, version, tool.faiss]
    common += [hashes.one(s)[0] for s in tool.settings]
    for name in names:
        closure = hashes.closure(name)
        if not tool.faiss and label in ("headers", "tidy") and reaches_faiss(
                closure):
            yield name, None
            continue
        parts = common + tool.command(name) + [tool.input(name) or ""]
        parts += ["%s %s" % item for item in sorted(closure.items())]
        yield name, label + "-" + hashlib.sha256(
            "\n".join([name] + parts).encode()).hexdigest()


def without_exceptions(findings):
    """Drops the false alarms of clang-tidy that exceptions.txt explains."""
    known = exceptions.Exceptions(("tidy",))
    groups = {}
    for line in findings:
        m = re.match(r"(?:\./)?([^:]+):.*\[([\w.,-]+)\]$", line)
        groups.setdefault("%s:%s" % m.groups() if m else "", []).append(line)
    left = [line for what, lines in groups.items()
            if not known.permits("tidy", what, len(lines)) for line in lines]
    return left + known.report()


def forget_old():
    for path in glob.glob(os.path.join(CACHE, "*-*")):
        try:
            if os.path.getmtime(path) < time.time() - KEEP_SECONDS:
                os.unlink(path)
        except OSError:
            pass


def main():
    label = sys.argv[1] if len(sys.argv) == 2 else ""
    if label not in TOOLS:
        sys.exit("usage: cached.py " + " | ".join(TOOLS))
    tool = TOOLS[label]()
    if shutil.which(tool.program) is None:
        print("%s is not installed; `make deps` does it\n0 files"
              % tool.program)
        return 1
    version = output(tool.program, "--version").stdout
    number = (re.findall(r"\d+\.[\d.]+", version) or ["?"])[0]
    if not (number + ".").startswith(tool.version and tool.version + "."):
        print("skipped: this is %s %s, the rules are stated for %s" % (
            tool.program, number, tool.version))
        return 0
    os.makedirs(CACHE, exist_ok=True)
    names = sources.matching(tool.patterns)
    todo = list(keys(tool, label, names, version))
    without = [name for name, key in todo if key is None]
    todo = [item for item in todo if item[1] is not None]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        answers = list(pool.map(lambda item: check(tool, *item), todo))
    findings = [s for a in answers for s in a.split("\n") if s]
    findings = list(dict.fromkeys(findings))  # a header is seen many times
    if label == "tidy" and not without:
        findings = without_exceptions(findings)
    forget_old()
    print("\n".join(findings + ["%d files%s" % (
        len(todo), ", %d not seen: FAISS is not built" % len(without)
        if without else "")]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
