#!/usr/bin/env bash
# Installs the Debian packages that building, running, testing and linting
# Invar need. Safe to run again: with everything in place it asks dpkg once
# and leaves apt alone. FAISS is not here: Debian's build of it has no C
# library (12) or no AVX2 (12 and 13), see install-faiss.sh.
set -euo pipefail

packages=(
    # build: gcc brings libasan, libubsan and libtsan, so clang is not needed
    gcc g++ make cmake pkg-config dpkg-dev git ca-certificates
    libmicrohttpd-dev libjansson-dev libsqlite3-dev libcurl4-openssl-dev
    libopenblas-dev liblapacke-dev libgomp1 libutf8proc-dev zlib1g-dev
    # test, benchmark
    check curl jq sqlite3 python3 python3-numpy
    # lint
    clang-format clang-tidy cppcheck pmccabe shellcheck
)

say() { printf 'deps: %s\n' "$*"; }
die() { printf 'deps: %s\n' "$*" >&2; exit 1; }

if [ "${1:-}" = --help ]; then
    echo "usage: install-deps.sh    (as root, or as a user with sudo)"
    exit 0
fi
[ $# -eq 0 ] || die "unknown argument '$1'; see --help."
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "this needs Debian's apt. Elsewhere, install: ${packages[*]}"
fi

# dpkg-query complains about names it has never seen; those count as missing.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' \
    "${packages[@]}" 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
    [[ $'\n'$installed$'\n' == *$'\n'"installed $package"$'\n'* ]] ||
        missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    say "all ${#packages[@]} packages are already installed."
    exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
    root=()
elif command -v sudo >/dev/null; then
    root=(sudo)
else
    die "please run this as root (there is no sudo here); missing: ${missing[*]}"
fi

log=$(mktemp "${TMPDIR:-/tmp}/invar-deps.XXXXXX.log")
apt() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
        apt-get -q -y -o Dpkg::Use-Pty=0 "$@" 2>&1 | tee -a "$log"
}
update() { say "refreshing the package lists" && apt update >/dev/null; }
# Of apt's many lines only those that show progress reach the reader.
install() {
    apt install --no-install-recommends "${missing[@]}" |
        sed -n 's/^Setting up \([^ :]*\).*/  \1/p'
}

say "installing ${#missing[@]} of ${#packages[@]} packages: ${missing[*]}"
# Lists that are absent do not know the names; stale ones fail to download.
known=true
apt-get -s install "${missing[@]}" >/dev/null 2>&1 || known=false
if ! { { $known && install; } || { update && install; }; }; then
    tail -n 15 "$log" >&2
    die "apt-get failed; its full output is in $log"
fi
rm -f "$log"
say "done."
