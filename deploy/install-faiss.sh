#!/usr/bin/env bash
# Installs FAISS with its C API, once, under a versioned prefix outside the
# checkout. It is built from Debian's source package because Debian's binaries
# are baseline code (a flat scan is four to five times slower than with AVX2,
# 4-bit fast scan forty times) and because Debian 12 has no libfaiss_c at all.
#
# Nothing outside the prefix changes, and root is not needed: apt runs with
# private lists, derived from the machine's own configuration.
set -euo pipefail

usage() {
    cat <<'EOF'
usage: install-faiss.sh [--print-prefix]

  Builds FAISS once, about two minutes on two cores; later runs only check it.
  --print-prefix   print where it is (or would be) installed, and stop
  FAISS_PREFIX     install there instead of in the user's cache directory
EOF
}
say() { printf 'faiss: %s\n' "$*"; }
die() { printf 'faiss: %s\n' "$*" >&2; exit 1; }

# ---- what to build, and where ------------------------------------------

has_avx2() {
    local flag
    for flag in avx2 fma f16c popcnt; do
        grep -qsw "$flag" /proc/cpuinfo || return 1
    done
}

# A stable release never changes FAISS' upstream version; knowing it keeps
# --print-prefix fast and independent of apt's lists. Elsewhere, ask apt.
faiss_version() {
    case $(. /etc/os-release && echo "${ID:-}-${VERSION_ID:-}") in
    debian-12) echo 1.7.3 ;;
    debian-13) echo 1.11.0 ;;
    *) LC_ALL=C apt-cache policy libfaiss-dev 2>/dev/null |
        sed -n 's/^  Candidate: \([0-9.]*[0-9]\).*/\1/p' ;;
    esac
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(faiss_version || true)
[ -n "$version" ] || die "apt knows no libfaiss-dev, so there is no version to build."
# Release adds -O3 -DNDEBUG, as FAISS' authors do: IVF-PQ scans a third faster
# than with -O2, for ten seconds more of compiling.
if has_avx2; then
    flavour=$(uname -m)-avx2
    flags="-mavx2 -mfma -mf16c -mpopcnt"
else
    flavour=$(uname -m)-plain
    flags=
fi
# A prefix whose stamp says anything else is built anew: raise the recipe's
# number when this script changes what it installs.
recipe="recipe 1, faiss $version, $flavour"

if [ -n "${FAISS_PREFIX:-}" ]; then
    prefix=$FAISS_PREFIX
else
    cache=${XDG_CACHE_HOME:-${HOME:?is not set; set FAISS_PREFIX}/.cache}
    prefix=$cache/invar/faiss-$version-$flavour
fi
[[ $prefix == /* ]] || prefix=$PWD/$prefix
while [[ $prefix == */ ]]; do prefix=${prefix%/}; done
stamp=$prefix/installed-by-invar
log=$prefix.log

case "${1:-}" in
'') ;;
--print-prefix) printf '%s\n' "$prefix" && exit 0 ;;
--help | -h) usage && exit 0 ;;
*) die "unknown argument '$1'; see --help." ;;
esac

for tool in gcc g++ make cmake objdump dpkg-source apt-get flock; do
    command -v "$tool" >/dev/null ||
        die "'$tool' is missing; run deploy/install-deps.sh first."
done
# Settings meant for the build that called us must not shape this one.
unset MAKEFLAGS MFLAGS CMAKE_GENERATOR CFLAGS CXXFLAGS CPPFLAGS LDFLAGS

# ---- checking an installation ------------------------------------------

# Links and runs verify-faiss.c; on an AVX2 machine also looks for 256-bit
# fused multiply-adds in the distance functions, which only AVX2 code has.
verify() (
    tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
    gcc -std=c11 -O1 -I"$1/include" -c "$here/verify-faiss.c" \
        -o "$tmp/verify.o" &&
        g++ "$tmp/verify.o" -o "$tmp/verify" -L"$1/lib" \
            -lfaiss_c -lfaiss -lopenblas -lgomp &&
        OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$tmp/verify" || exit 1
    [[ $flavour == *-avx2 ]] || exit 0
    ar p "$1/lib/libfaiss.a" distances_simd.cpp.o >"$tmp/distances.o" &&
        objdump -d "$tmp/distances.o" | grep 'vfmadd.*%ymm' >/dev/null && exit
    echo "verify-faiss: no AVX2 code in the distance functions"
    exit 1
)

# Prefers what is there; only a stamped prefix is ours to judge or replace.
reuse() {
    [ -e "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$recipe" ] || return 1
    if verify "$prefix" >/dev/null 2>&1; then
        say "FAISS $version is ready in $prefix"
    else
        say "the installation in $prefix fails its check; building it anew."
        return 1
    fi
}

reuse && exit 0
if [ -e "$prefix" ] && [ ! -e "$stamp" ] && [ -n "$(ls -A "$prefix")" ]; then
    die "$prefix holds something else; set FAISS_PREFIX to a new directory."
fi
mkdir -p "$(dirname "$prefix")" || die "cannot create the parent of $prefix"
{ exec 9>"$prefix.lock"; } 2>/dev/null || die "cannot write beside $prefix"
if ! flock -n 9; then
    say "another installation is running; waiting for it."
    flock 9
    reuse && exit 0
fi

# Beside the prefix, so that the last step is a rename on one file system. We
# hold the lock: what other runs left there died with them.
rm -rf "$prefix".building.??????
work=$(mktemp -d "$prefix.building.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
: >"$log"

fail() {
    tail -n 15 "$log" >&2
    die "$1 The full log is in $log"
}
logged() { "$@" >>"$log" 2>&1; }

# ---- fetching the source -----------------------------------------------

# One-line entries: every 'deb ... main' becomes 'deb-src ... main'.
list_to_source() {
    awk '{ sub(/#.*/, "") }
        $1 == "deb" || $1 == "deb-src" {
            sub(/^[ \t]*deb(-src)?[ \t]+/, "")
            options = ""
            if (match($0, /^\[[^]]*\][ \t]*/)) {
                options = substr($0, 1, RLENGTH)
                $0 = substr($0, RLENGTH + 1)
            }
            for (i = 3; i <= NF && $1 !~ /^cdrom:/; i++)
                if ($i == "main")
                    print "deb-src", options $1, $2, "main"
        }' "$@" | sort -u
}

# deb822 stanzas: the same. All other fields stay as they are, Signed-By with
# its many possible lines included.
stanza_to_source() {
    awk 'function flush(    i, types, parts, off) {
            for (i = 1; i <= n; i++) {
                if (name[i] == "types") types = value[i]
                if (name[i] == "components") parts = value[i]
                if (name[i] == "enabled") off = tolower(value[i])
            }
            if (types ~ /[ \t\n:]deb/ && off !~ /:[ \t]*(no|false|0|off)/ &&
                parts ~ /[ \t\n:]main([ \t\n]|$)/) {
                for (i = 1; i <= n; i++) {
                    if (name[i] == "types") value[i] = "Types: deb-src"
                    if (name[i] == "components") value[i] = "Components: main"
                    print value[i]
                }
                print ""
            }
            n = 0
        }
        FNR == 1 || /^[ \t]*$/ { flush() }
        /^[ \t]*$/ || /^#/ { next }
        /^[ \t]/ { value[n] = value[n] "\n" $0; next }
        {
            value[++n] = $0
            name[n] = tolower($0)
            sub(/[ \t]*:.*/, "", name[n])
        }
        END { flush() }' "$@"
}

# A state directory of our own leaves the machine's lists and cache alone.
private_apt() {
    local list parts apt=$work/apt lists sources
    eval "$(apt-config shell list Dir::Etc::sourcelist/f \
        parts Dir::Etc::sourceparts/d)"
    mkdir -p "$apt/sources" "$apt/state/lists/partial" \
        "$apt/cache/archives/partial"
    shopt -s nullglob
    # /dev/null stands in where a form is not used: no file would mean stdin.
    lists=(/dev/null "${parts%/}"/*.list)
    [ ! -f "$list" ] || lists+=("$list")
    sources=(/dev/null "${parts%/}"/*.sources)
    shopt -u nullglob
    list_to_source "${lists[@]}" >"$apt/sources/private.list"
    stanza_to_source "${sources[@]}" >"$apt/sources/private.sources"
    # The hooks are the machine's: they would clean its caches, not ours. The
    # _apt user cannot enter this directory, hence no sandbox.
    cat >"$apt/conf" <<EOF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "$apt/state";
Dir::State::lists "lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Cache::archives "archives";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/sources";
EOF
    : >"$apt/status"
}

fetch_source() {
    local apt=$work/apt full
    say "fetching the source of FAISS $version"
    private_apt
    # Third-party repositories without sources make this fail; Debian's count.
    logged apt-get -q -c "$apt/conf" update || true
    full=$(apt-cache -c "$apt/conf" showsrc --only-source faiss 2>>"$log" |
        sed -n "s/^Version: \(${version//./\\.}[-+~].*\)/\1/p" |
        sort -V | tail -n 1) || true
    [ -n "$full" ] || fail "apt offers no source package of FAISS $version."
    mkdir "$work/source"
    (cd "$work/source" && logged apt-get -q -c "$apt/conf" \
        source --only-source "faiss=$full") ||
        fail "apt could not fetch the source of FAISS $full."
    mv "$work/source"/faiss-*/ "$work/faiss"
}

# ---- building and installing -------------------------------------------

# Reads make's output: a bar on a terminal, else a line every ten per cent.
progress() {
    local line percent shown=0 bar='########################################'
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$log"
        [[ $line =~ ^\[\ *([0-9]+)%\] ]] || continue
        percent=${BASH_REMATCH[1]}
        if [ -t 1 ]; then
            printf '\rfaiss: building [%-40s] %3d %%' \
                "${bar:0:percent*40/100}" "$percent"
        elif [ "$percent" -ge $((shown + 10)) ]; then
            shown=$((percent - percent % 10))
            say "building, $shown %"
        fi
    done
    [ ! -t 1 ] || printf '\n'
}

build() {
    local jobs
    jobs=$(nproc)
    say "building FAISS $version ($flavour) with $jobs jobs"
    # The prefix map keeps this directory's name out of FAISS' error texts.
    logged cmake -S "$work/faiss" -B "$work/build" -G "Unix Makefiles" \
        --no-warn-unused-cli \
        -DCMAKE_C_COMPILER=gcc -DCMAKE_CXX_COMPILER=g++ \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
        -DCMAKE_CXX_FLAGS="$flags '-ffile-prefix-map=$work/faiss/='" \
        -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF \
        -DFAISS_ENABLE_C_API=ON -DFAISS_ENABLE_GPU=OFF \
        -DFAISS_ENABLE_PYTHON=OFF -DFAISS_ENABLE_EXTRAS=OFF \
        -DFAISS_ENABLE_MKL=OFF ||
        fail "cmake could not configure FAISS."
    # Only faiss_c: it pulls in faiss, and the rest is not wanted.
    cmake --build "$work/build" --target faiss_c -j "$jobs" 2>&1 | progress ||
        fail "FAISS did not compile."
}

# FAISS has no install rule for libfaiss_c, so the files are copied here.
collect() {
    local stage=$work/stage
    mkdir -p "$stage/include/faiss/c_api" "$stage/lib"
    (cd "$work/faiss" && cp LICENSE "$stage" &&
        find faiss -name '*.h' ! -path '*/gpu*' \
            -exec cp --parents -t "$stage/include" {} +)
    (cd "$work/faiss/c_api" && find . -name '*.h' ! -path '*/gpu*' \
        -exec cp --parents -t "$stage/include/faiss/c_api" {} +)
    cp "$work/build/faiss/libfaiss.a" "$work/build/c_api/libfaiss_c.a" \
        "$stage/lib"
    logged verify "$stage" || fail "the new FAISS fails its check."
    printf '%s\n' "$recipe" >"$stage/${stamp##*/}"
    chmod -R u=rwX,go=rX "$stage"
    [ ! -e "$prefix" ] || mv "$prefix" "$work/old"
    mv -T "$stage" "$prefix"
}

start=$SECONDS
fetch_source
build
collect
rm -f "$log"
say "FAISS $version is ready in $prefix ($((SECONDS - start)) s)"
