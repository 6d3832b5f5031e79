"""What a line may not hold. In C: calls we do not make (the reason stands with
each), prototypes that drop a status, tabs, lines over 80 columns, a file that
does not open by saying what it is. In every text file: marks of unfinished
work, paths of somebody's machine, trailing blanks, no newline at the end.
"""

import re
import sys

import exceptions
import sources

LOCALE = "depends on the locale"
UNBOUNDED = "writes without knowing the size; use inv_buf or snprintf"
BANNED = {
    **dict.fromkeys(("strcpy", "stpcpy", "strcat", "sprintf", "vsprintf",
                     "gets", "strncat"), UNBOUNDED),
    **dict.fromkeys(("strncpy", "stpncpy"),
                    "may leave no terminator; use memcpy with a known length"),
    **dict.fromkeys(("strtok", "asctime", "ctime", "localtime", "gmtime"),
                    "keeps hidden state; use its _r form"),
    **dict.fromkeys(("atoi", "atol", "atoll", "atof", "scanf", "fscanf",
                     "sscanf"), "cannot tell a bad number; use strtol and co."),
    **dict.fromkeys(("isalnum", "isalpha", "isblank", "iscntrl", "isdigit",
                     "isgraph", "islower", "isprint", "ispunct", "isspace",
                     "isupper", "isxdigit", "tolower", "toupper", "setlocale"),
                    LOCALE),
    **dict.fromkeys(("rand", "srand", "random", "srandom", "drand48",
                     "lrand48"), "is not reproducible; use base/rng.h"),
    **dict.fromkeys(("alloca", "strdupa"), "grows the stack by its input"),
    **dict.fromkeys(("system", "popen"), "starts a shell"),
    **dict.fromkeys(("tmpnam", "tempnam", "mktemp"), "races; use mkstemp"),
    **dict.fromkeys(("abort", "setjmp", "longjmp", "_exit"),
                    "takes the daemon down or skips its clean-up"),
}
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
NOT_PRODUCT = ("tests/", "bench/", "deploy/")
FREE_IN_TESTS = ("abort", "_exit", "system", "popen", "fscanf", "sscanf",
                 "setlocale")

# Written so that this file does not find itself.
MARK = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE = re.compile(r"(?<![\w.])/(work|root|Users|home/(?!user\b|you\b)\w+)/")
PROTOTYPE = re.compile(r"^enum inv_status [^;{}=]*;", re.M)
# What makes an error, or passes one on, is called as `return inv_fail(...)`.
MAKES_ERROR = re.compile(r"^enum inv_status \w*(fail|wrong)\w*\(|"
                         r"enum inv_status status\b")
TEXT_FILES = sources.C_FILES + (
    "*.py", "*.sh", "*.sql", "*.md", "*.conf", "*.service", "*.yaml", "*.yml",
    "*Makefile", "*Containerfile", "*Dockerfile", ".ci/*", ".clang-*",
    ".editorconfig", "*.supp")


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def c_findings(name, text, known):
    code = sources.code_only(text)
    calls = {}
    for m in CALL.finditer(code):
        if not (name.startswith(NOT_PRODUCT) and m.group(1) in FREE_IN_TESTS):
            calls.setdefault(m.group(1), []).append(line_of(code, m.start()))
    for call, lines in calls.items():
        if not known.permits("call", "%s:%s" % (name, call), len(lines)):
            for line in lines:
                yield line, "%s() %s" % (call, BANNED[call])
    if name.endswith(".h"):
        for m in PROTOTYPE.finditer(code):
            if not ("INV_MUST_USE" in m.group(0)
                    or MAKES_ERROR.search(m.group(0))):
                yield line_of(code, m.start()), "status without INV_MUST_USE"
        if not re.search(r"#ifndef (INV|TESTS)_\w+_H\b", code):
            yield 1, "no include guard INV_..._H"
    if not text.startswith("/*"):
        yield 1, "the file does not open by saying what it is"
    for at, line in enumerate(text.split("\n"), 1):
        if len(line) > 80:
            yield at, "%d columns, at most 80" % len(line)
        if "\t" in line:
            yield at, "a tab"


def text_findings(name, text, known):
    for rule, pattern, what in (("mark", MARK, "unfinished: "),
                                ("machine", MACHINE, "path of a machine: ")):
        hits = list(pattern.finditer(text))
        if hits and not known.permits(rule, name, len(hits)):
            for m in hits:
                yield line_of(text, m.start()), what + m.group(0)
    for at, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield at, "blanks at the end of the line"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield line_of(text, len(text)), "the file ends in one newline"


def main():
    known = exceptions.Exceptions(("call", "mark", "machine"))
    names = sources.matching(TEXT_FILES)
    c_names = set(sources.matching(sources.C_FILES, names))
    found = []
    for name in names:
        try:
            text = sources.read(name)
        except UnicodeDecodeError as e:
            found.append("%s:1: not UTF-8: %s" % (name, e))
            continue
        findings = list(text_findings(name, text, known))
        if name in c_names:
            findings += c_findings(name, text, known)
        found += ["%s:%d: %s" % (name, at, s) for at, s in sorted(findings)]
    print("\n".join(found + known.report() + ["%d files" % len(names)]))
    return 1 if found or known.problems else 0


if __name__ == "__main__":
    sys.exit(main())
