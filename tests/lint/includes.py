"""Who may include whom. The layers: base -> libc and BLAS; encoders -> base
and LAPACK; index -> base; server -> everything below; cli -> base and the
server's JSON and request contracts, and the adapters. encoders and index never see each other.
And one third-party library in one place. tests/, bench/ and deploy/ may look
at everything, but nobody includes a .c file.
"""

import fnmatch
import re
import sys

import sources

LAYERS = {
    "base": ("base/*",),
    "encoders": ("encoders/*", "base/*"),
    "index": ("index/*", "base/*"),
    "server": ("server/*", "index/*", "encoders/*", "base/*"),
    "cli": ("cli/*", "base/*", "server/json/json*.h", "server/json/report.h",
            "server/json/adapter_file.h", "server/requests.h",
            "server/verify.h", "encoders/adapters/*.h"),
}

# header -> the files that may include it
LIBRARIES = {
    "microhttpd.h": ("server/http/http_mhd.c",),
    "jansson.h": ("server/json/json_tree.c",),
    "sqlite3.h": ("index/catalog*.[ch]",),
    "faiss/*": ("index/faiss*",),
    "omp.h": ("index/faiss*",),
    "curl/*": ("cli/client.c",),
    "utf8proc.h": ("encoders/text/*",),
    "zlib.h": ("cli/lines.c", "encoders/adapters/npz.c"),
    "*intrin.h": ("base/kernels*.c", "base/crc32c.c"),
    "cblas.h": ("base/*", "encoders/*"),
    "lapacke.h": ("encoders/*",),
}

LIBC = re.compile(
    r"(assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|"
    r"math|setjmp|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|"
    r"stdio|stdlib|stdnoreturn|string|strings|tgmath|threads|time|wchar|"
    r"dirent|endian|fcntl|fnmatch|fts|getopt|glob|ifaddrs|langinfo|libgen|"
    r"malloc|netdb|poll|pthread|pwd|regex|sched|semaphore|spawn|syslog|"
    r"termios|unistd|utime|((arpa|linux|net|netinet|sys)/[a-z0-9_/]+))\.h$")
FREE = ("tests/*", "bench/*", "deploy/*")


def allowed(name, patterns):
    return any(fnmatch.fnmatch(name, p) for p in patterns)


def problem(name, bracket, path):
    if path.endswith((".c", ".cc")):
        return "includes the source file %s" % path
    if allowed(name, FREE):
        return None
    if bracket == '"':
        top = name.split("/")[0]
        if not allowed(path, LAYERS.get(top, ())):
            return "%s may not include %s" % (top + "/", path)
        return None
    for header, places in LIBRARIES.items():
        if fnmatch.fnmatch(path, header):
            if allowed(name, places):
                return None
            return "<%s> belongs to %s only" % (path, " ".join(places))
    if LIBC.match(path) or (name.endswith(".cc") and "." not in path):
        return None
    return "<%s> is neither libc nor a library this project uses" % path


def main():
    names = sources.matching(sources.C_FILES)
    found = 0
    for name in names:
        for line, bracket, path in sources.includes(sources.read(name)):
            text = problem(name, bracket, path)
            if text:
                found += 1
                print("%s:%d: %s" % (name, line, text))
    print("%d files" % len(names))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
