#!/usr/bin/env python3
"""Model upgrades on real collections, through `invar fit --json`, beside the
figures the design was measured with: closed forms must be within .005 of them,
contrastive means over the seeds within .015, the simplex on digits
(build/release/bench/bench_simplex, ten samples) within .01. Figures without a
bar stand beside a dash. At the end: which method was best where.

usage: bench/adapters.py [DATA] [--seeds N] [--only PART] [--invar PROGRAM]

DATA (INVAR_DATA, else ../shared/data) holds scifact/ and cranfield/ with
vectors/<model>-<what>.f16.npy, and digits/; absent, the code is 77. It is 1
when a figure is outside its bar. The 500 and 2,000 documents are those of
numpy's default_rng(0).permutation; without numpy those rows are left out.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile

try:
    import numpy
except ImportError:
    numpy = None

CLOSED, MEAN, DIGIT = .005, .015, .01
NAMES = ("procrustes", "path:0.1", "path:0.35", "ridge:0.01")
failures = []
best = {}  # title -> {method: nDCG@10}
quickest = {}


def fit(args, data, old, new, collection, methods, rows=None, more=(),
        titles=False, train=False):
    base = os.path.join(data, collection)
    vectors = os.path.join(base, "vectors")

    def npy(model, what):
        return os.path.join(vectors, "%s-%s.f16.npy" % (model, what))

    command = [args.invar, "fit", "--json", "--methods", methods,
               "--new", npy(new, "docs"), "--old", npy(old, "docs"),
               "--new-queries", npy(new, "queries"),
               "--old-queries", npy(old, "queries"),
               "--qrels", os.path.join(base, "qrels.tsv.gz"),
               "--corpus", os.path.join(base, "corpus.jsonl.gz"),
               "--queries", os.path.join(base, "queries.jsonl.gz"), *more]
    if collection == "scifact":
        command += ["--qrels-unseen",
                    os.path.join(base, "qrels-unseen.tsv.gz")]
    if titles:
        command += ["--titles", npy(new, "titles")]
    if train:
        command += ["--extra-new", npy(new, "train"),
                    "--extra-old", npy(old, "train")]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        if rows is not None:
            file.write("".join("%d\n" % row for row in rows))
            file.flush()
            command += ["--pair-rows", file.name]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)


def line(what, got, wanted, bar):
    if wanted is None:
        print("%-58s %.4f  -" % (what, got), flush=True)
        return
    off = abs(got - wanted) > bar + 5e-4  # the table has three digits
    if off:
        failures.append(what)
    print("%-58s %.4f  %.3f  %+.4f%s" % (what, got, wanted, got - wanted,
                                         "  OUTSIDE" if off else ""),
          flush=True)


def sample(count, of):
    return None if count == of else \
        numpy.random.default_rng(0).permutation(of)[:count]


def note(title, report):
    found = best.setdefault(title, {})
    for method in report["methods"]:
        name = method["method"].split(":")[0]
        value = method["in_fit"]["ndcg10"]
        found[name] = max(value, found.get(name, 0))
        quickest[name] = min(method["seconds"],
                             quickest.get(name, math.inf))


def closed(args, data, title, wanted, **how):
    report = fit(args, data, methods=",".join(NAMES), **how)
    note(title, report)
    for method, want in zip(report["methods"], wanted):
        line("%s, %s" % (title, method["method"]), method["in_fit"]["ndcg10"],
             want, CLOSED)
        if method["method"].startswith("path"):
            kappa = float(method["method"][5:])
            asked = kappa * 384 ** .5
            if abs(method["r"] - asked) > .01 * asked:
                failures.append("%s: r %.3f" % (title, method["r"]))
    return report


def cascades(report, name, wanted, title, bar=CLOSED):
    method = next(m for m in report["methods"] if m["method"] == name)
    for n, want in wanted.items():
        line("%s, %s, cascade %s" % (title, name, n), method["cascade"][n],
             want, bar)


def contrastive(args, data, title, temperature, wanted, cascade=None, **how):
    """wanted: in fit, unseen, held out, held out unseen; None: no figure."""
    runs = []
    for seed in range(args.seeds):
        report = fit(args, data, methods="contrastive:%s" % temperature,
                     titles=True, more=("--held-out", "relevance", "--seed",
                                        str(seed)), **how)
        runs.append(report["methods"][0])
        note(title, report)
    figures = [[run[part].get(key, 0) for run in runs]
               for part in ("in_fit", "held_out")
               for key in ("ndcg10", "unseen_ndcg10")]
    labels = ("in fit", "in fit, unseen", "judged left out",
              "judged left out, unseen")
    for label, values, want in zip(labels, figures, wanted):
        if want is not None:
            line("%s, contrastive (%d seeds), %s" % (title, len(values),
                                                     label),
                 sum(values) / len(values), want, MEAN)
    for n, want in (cascade or {}).items():
        values = [run["cascade"][n] for run in runs]
        line("%s, contrastive, cascade %s" % (title, n),
             sum(values) / len(values), want, MEAN)
    print("%-58s %s s, r %s" % (
        "", " ".join("%.1f" % run["seconds"] for run in runs),
        " ".join("%.2f" % run["r"] for run in runs)), flush=True)


def related(args, data):
    pair = dict(old="minilm-l3", new="minilm-l6")
    for count, wanted in ((500, (.437, .441, .437, .344)),
                          (2000, (.504, .510, .509, .495)),
                          (5183, (.528, .535, .534, .504))):
        if numpy is None and count != 5183:
            continue
        if count != 5183:
            closed(args, data, "scifact l3 -> l6, %d + training" % count,
                   (None,) * len(NAMES), collection="scifact", train=True,
                   rows=sample(count, 5183), **pair)
        report = closed(args, data, "scifact l3 -> l6, %d pairs" % count,
                        wanted, collection="scifact",
                        rows=sample(count, 5183), **pair)
    cascades(report, "path:0.35", {"50": .646, "100": .644, "200": .644},
             "scifact l3 -> l6")
    closed(args, data, "scifact l3 -> l6, all + training queries",
           (.542, .542, .531, .517), collection="scifact", train=True, **pair)
    for count, wanted in ((500, (.412, .412, .397, .349)),
                          (1400, (.450, .445, .431, .397))):
        if numpy is None and count != 1400:
            continue
        report = closed(args, data, "cranfield l3 -> l6, %d pairs" % count,
                        wanted, collection="cranfield",
                        rows=sample(count, 1400), **pair)
    cascades(report, "path:0.35", {"50": .501, "100": .507, "200": .507},
             "cranfield l3 -> l6")


def unrelated(args, data):
    nothing = (None,) * len(NAMES)
    for old, new, title, documents, training in (
            ("minilm-l6", "e5-small", "l6 -> e5", (.419, None, .460, .483),
             (.456, None, .494, .530)),
            ("e5-small", "minilm-l6", "e5 -> l6", (.536, None, .547, .494),
             (.543, None, .555, .489)),
            ("minilm-l3", "e5-small", "l3 -> e5", (.214, None, .291, .372),
             (.289, None, .351, .393))):
        how = dict(old=old, new=new, collection="scifact")
        for count in (500, 2000) if numpy is not None else ():
            for train in (False, True):
                closed(args, data, "scifact %s, %d%s" % (
                    title, count, " + training" if train else ""), nothing,
                    rows=sample(count, 5183), train=train, **how)
        closed(args, data, "scifact %s, all" % title, documents, **how)
        report = closed(args, data, "scifact %s, all + training" % title,
                        training, train=True, **how)
        if title == "e5 -> l6":
            cascades(report, "path:0.35", {"200": .643}, "scifact e5 -> l6")


def titles(args, data):
    contrastive(args, data, "scifact l3 -> l6", .02, (.570, .603, .558, .575),
                old="minilm-l3", new="minilm-l6", collection="scifact")
    contrastive(args, data, "cranfield l3 -> l6", .05,
                (.467, None, None, None),
                {"50": .511, "100": .508, "200": .510}, old="minilm-l3",
                new="minilm-l6", collection="cranfield")
    contrastive(args, data, "scifact l6 -> e5", .02,
                (.538, None, .527, None), {"100": .620}, old="minilm-l6",
                new="e5-small", collection="scifact")
    contrastive(args, data, "scifact e5 -> l6", .02,
                (.538, None, .509, None), {"100": .638}, old="e5-small",
                new="minilm-l6", collection="scifact")
    contrastive(args, data, "scifact l3 -> e5 (one run in the table)", .02,
                (.469, .437, None, None), {"100": .614}, old="minilm-l3",
                new="e5-small", collection="scifact")


def tokens(args, data):
    """Token by token, judged through exact MaxSim: Cranfield, colbert."""
    base = os.path.join(data, "cranfield")

    def npy(model, what, dtype):
        return os.path.join(base, "tokens", "colbert-%s-%s.%s.npy" % (
            model, what, dtype))

    out = subprocess.run(
        [args.invar, "fit", "--json", "--tokens", "--judged", "1000",
         "--methods", "procrustes,path:0.35,ridge:0.01",
         "--new", npy("l6", "docs", "i8"), "--old", npy("l3", "docs", "i8"),
         "--new-queries", npy("l6", "queries", "f16"),
         "--old-queries", npy("l3", "queries", "f16"),
         "--qrels", os.path.join(base, "qrels.tsv.gz"),
         "--corpus", os.path.join(base, "corpus.jsonl.gz"),
         "--queries", os.path.join(base, "queries.jsonl.gz")],
        check=True, stdout=subprocess.PIPE)
    report = json.loads(out.stdout)
    title = "cranfield colbert l3 -> l6"
    for key, want in (("old_old", .486), ("new_new", .530), ("none", .004)):
        line("%s, %s" % (title, key), report[key]["ndcg10"], want, CLOSED)
    for method, want in zip(report["methods"], (.425, .429, .404)):
        line("%s, %s" % (title, method["method"]),
             method["in_fit"]["ndcg10"], want, CLOSED)
    cascades(report, "path:0.35", {"50": .516, "100": .525, "200": .531},
             title)


def paper(args, data):
    """The joint loss, for comparison: no figure of it was measured before."""
    for collection, old, new, title in (
            ("scifact", "minilm-l3", "minilm-l6", "scifact l3 -> l6"),
            ("cranfield", "minilm-l3", "minilm-l6", "cranfield l3 -> l6"),
            ("scifact", "e5-small", "minilm-l6", "scifact e5 -> l6"),
            ("scifact", "minilm-l6", "e5-small", "scifact l6 -> e5"),
            ("scifact", "minilm-l3", "e5-small", "scifact l3 -> e5")):
        names = ["%s:%s" % (method, kappa) for kappa in (.1, .35)
                 for method in ("paper", "path")]
        report = fit(args, data, old, new, collection, ",".join(names))
        for method in report["methods"]:
            line("%s, %s" % (title, method["method"]),
                 method["in_fit"]["ndcg10"], None, 0)
            print("%-58s %.2f s, r %.2f, held out %.4f" % (
                "", method["seconds"], method["r"],
                method["held_out"]["ndcg10"]), flush=True)


def gate(args, data):
    """What the default command says of an upgrade and of a downgrade."""
    for old, new, wrong in (("minilm-l3", "minilm-l6", "REFUSE"),
                            ("minilm-l6", "minilm-l3", "ACTIVATE")):
        report = fit(args, data, old=old, new=new, collection="scifact",
                     methods=",".join(NAMES))
        for method in report["methods"]:
            print("%s -> %s, %s: %s: %s" % (
                old, new, method["method"], method["gate"]["verdict"],
                method["gate"]["reason"]))
            if method["gate"]["verdict"] == wrong:
                failures.append("gate, %s -> %s" % (old, new))


DIGITS = {  # R@1, mAP; the unseen classes vary by sample: no bar
    "v2 procrustes": (.898, .724), "v2 folded:0.1": (.910, .732),
    "v2 folded:0.2": (.912, .740), "v2 whole": (.918, .848),
    "v2 blend:0.3": (.920, .793),
    "v3 procrustes": (.954, .813), "v3 folded:0.1": (.957, .821),
    "v3 folded:0.2": (.961, .829), "v3 whole": (.961, .906),
    "v3 blend:0.3": (.969, .877),
    "v3-unseen procrustes": (.685, .470), "v3-unseen folded:0.1": (.665, .462),
    "v3-unseen folded:0.2": (.665, .452), "v3-unseen whole": (.403, .229),
    "v3-unseen blend:0.3": (.710, .414),
    "v1 own": (.927, .663), "v2 own": (.942, .799), "v3 own": (.986, .965)}


def digits(args, data):
    program = os.path.join(os.path.dirname(args.invar), "bench/bench_simplex")
    out = subprocess.run([program, os.path.join(data, "digits")], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    for row in out.splitlines():
        if row.startswith("compatibility"):
            print(row)
            continue
        name, first, precision = row.rsplit(" ", 2)
        bar = 1 if "unseen" in name else DIGIT
        line("digits %s, R@1" % name, float(first), DIGITS[name][0], bar)
        line("digits %s, mAP" % name, float(precision), DIGITS[name][1], bar)


PARTS = {"related": related, "unrelated": unrelated, "titles": titles,
         "tokens": tokens, "paper": paper, "digits": digits, "gate": gate}


def winners():
    """No method wins everywhere: which was best, and by how much."""
    counts = {}
    for title, found in best.items():
        if len(found) < 2:
            continue
        order = sorted(found, key=found.get, reverse=True)
        counts[order[0]] = counts.get(order[0], 0) + 1
        print("best: %-40s %s" % (title, ", ".join(
            "%s %.3f" % (name, found[name]) for name in order)))
    for name, count in sorted(counts.items()):
        print("%s is the best of the closed forms %d times" % (name, count))
    for name, seconds in quickest.items():
        print("quickest fit, %s: %.2f s on the wall clock (bench_scale measures "
              "processor time)" % (name, seconds))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("data", nargs="?", default=os.environ.get(
        "INVAR_DATA", "../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--invar", default="build/release/invar")
    args = parser.parse_args()
    if not os.path.isdir(os.path.join(args.data, "scifact", "vectors")):
        print("%s holds no scifact/vectors: this benchmark needs the matrices "
              "of bench/README.md; set INVAR_DATA to where they are"
              % args.data)
        return 77
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    print("%-58s measured table  difference" % "nDCG@10 of new queries on old "
          "vectors")
    for name, part in PARTS.items():
        if args.only in (None, name):
            part(args, args.data)
    winners()
    print("%d figures outside their bars" % len(failures))
    for failure in failures:
        print("  " + failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
