#!/usr/bin/env python3
"""Transformer vectors over HTTP: token matrices of a ColBERT-like model and
pooled vectors, sent as framed binary, judged against the test collections.

  bench/transformers.py [tokens] [pooled] [limit]     (all by default)

Needs the matrices under INVAR_DATA (bench/README.md). Candidate recall 10R@n is
the share of the exact MaxSim top 10 among the n documents that the encoding
alone puts first, measured through the API with every budget and the limit at n.
"""

import os
import sys

from common import Client, DATA, Daemon, Report, Tokens, ask, b64, frame
from common import lines, matrix, ndcg, need_data, note, np, recall, shared

SHAPES = ((20, 3, 8), (20, 4, 8), (10, 4, 16), (20, 5, 16))
SEEDS = (42, 1042)
# 10R @10 @100 @500 of an independent implementation, scifact, two seeds.
REFERENCE = {
    ("muvera", 20, 3, 8): (.352, .760, .934),
    ("muvera", 20, 4, 8): (.400, .800, .954),
    ("muvera", 10, 4, 16): (.393, .795, .954),
    ("muvera", 20, 5, 16): (.480, .886, .982),
    ("muvera+", 20, 3, 8): (.411, .824, .964),
    ("muvera+", 20, 4, 8): (.459, .859, .977),
    ("muvera+", 10, 4, 16): (.459, .858, .977),
    ("muvera+", 20, 5, 16): (.523, .920, .990),
}
EXACT = {"params": {"exact": True}}
CANDIDATES = [("R,k,m", "<10"), ("variant", "<8"), ("dims", "6d"),
              ("10R@10", "7.3f"), ("10R@100", "8.3f"), ("10R@500", "8.3f"),
              ("known @10", "9.3f"), ("@100", "6.3f"), ("@500", "6.3f")]
PIPELINE = [("", "<38"), ("nDCG@10", "8.4f"), ("recall@10", "9.4f"),
            ("p50 ms", "8.2f"), ("p99 ms", "8.2f"), ("q/s", "7.0f"),
            ("bytes/doc", "9.0f")]
PREFIX = [("", "<38"), ("nDCG@10", "8.4f"), ("known", "6.3f"),
          ("10R@100", "8.3f"), ("known 10R", "9.3f"), ("p50 ms", "8.2f")]


def at(n):
    return {"limit": n, "params": {"candidates": n, "rescore": n,
                                   "rerank": n}}


def golden(kind):
    need_data("../golden/scifact-top20.tsv.gz")
    path = os.path.join(DATA, "..", "golden", "scifact-top20.tsv.gz")
    wanted = {}
    for line in lines(path):
        fields = line.split("\t")
        if fields[0] == kind:
            wanted.setdefault(fields[1], []).append(
                (fields[3], float(fields[4])))
    return wanted


def check_golden(report, kind, client, name, bodies, query_ids):
    """Same ids at each rank, ties and differences under 2e-4 aside, scores to
    1e-3 relative."""
    run = ask(client, name, bodies, 0, limit=20, **EXACT)
    wanted = golden(kind)
    ids_differ = worst = 0
    for query, hits, scores in zip(query_ids, run.hits, run.scores):
        known = dict(wanted[query])
        for (name_wanted, score), hit, got in zip(wanted[query], hits, scores):
            worst = max(worst, abs(got - score) / abs(score))
            near = abs(known.get(hit, got) - score) < 2e-4 * max(1, abs(score))
            ids_differ += hit != name_wanted and not near
    report.check(f"golden {kind}: ids that differ beyond ties", ids_differ,
                 high=0)
    report.check(f"golden {kind}: worst relative score difference", worst,
                 high=1e-3)


def muvera(variant, shape, seed=42):
    r, k, m = shape
    return {"type": "muvera", "variant": variant, "R": r, "k": k, "m": m,
            "seed": seed}


def candidate_table(report, client, name, bodies, top):
    report.heading("scifact, colbert-l6 i8 tokens: candidate recall by the "
                   "encoding alone, mean of two seeds", CANDIDATES)
    for shape in SHAPES:
        for variant in ("muvera", "muvera+"):
            found = np.zeros(3)
            for seed in SEEDS:
                client.rebuild(name, encoder=muvera(variant, shape, seed))
                for i, n in enumerate((10, 100, 500)):
                    hits = ask(client, name, bodies, 0, **at(n)).hits
                    found[i] += recall(hits, top) / len(SEEDS)
            given = REFERENCE[(variant, *shape)]
            report.row(",".join(map(str, shape)), variant,
                       shape[0] * 2 ** shape[1] * shape[2],
                       *map(float, found), *given)
            report.check(f"{variant} {shape} 10R@100", found[1],
                         given[1] - .03)


def token_set(report, client, folder, dtypes, expected):
    data = shared(folder)
    tokens = Tokens(folder, "colbert-l6")
    bodies = [{"vectors": b64(q), "limit": 10} for q in tokens.queries()]
    for dtype in dtypes:
        name = f"{folder}-{dtype}"
        client.create(name, kind="multi", dim=tokens.dim, metric="ip",
                      tokens={"dtype": dtype}, index={"type": "flat"})
        count, seconds = client.put_frames(name,
                                           tokens.frames(data.ids, dtype))
        note(f"{name}: {count / seconds:.0f} documents/s as {dtype} frames")
        client.rebuild(name)
        report.heading(f"{folder}, colbert-l6, {dtype} tokens, whole pipeline",
                       PIPELINE)

        def line(label, passes=3, of=None, **more):
            run = ask(client, name, bodies, passes, **more)
            good = ndcg(run.hits, data.relevant)
            same = recall(run.hits, of) if of else 1.0
            report.row(label, good, same, run.p(.5), run.p(.99), run.qps(),
                       client.bytes_per_document(name))
            return run.hits, good

        top, best = line("exact MaxSim", 1, **EXACT)
        report.near(f"{name} exact MaxSim", best, expected[2], .003)
        if dtype == "i8":
            for dims, given in ((24, expected[0]), (48, expected[1])):
                _, good = line(f"exact MaxSim on {dims} dimensions", 1, top,
                               params={"exact": True, "dims": [dims]})
                report.near(f"{name} exact {dims} dimensions", good, given,
                            .003)
        for rerank in (100, 200, 500):
            label = f"muvera+ default, rerank {rerank}"
            _, good = line(label, 3, top, params={"rerank": rerank})
            if rerank == 200:
                report.check(f"{name} {label}: nDCG@10 of exact", good / best,
                             .99)
        if folder == "scifact" and dtype == "i8":
            check_golden(report, "maxsim", client, name, bodies,
                         data.query_ids)
            for variant, preset in (("muvera", "default"),
                                    ("muvera+", "small"),
                                    ("muvera+", "quality"),
                                    ("muvera", "quality")):
                client.rebuild(name, encoder={"type": "muvera",
                                              "variant": variant,
                                              "preset": preset})
                line(f"{variant} {preset}", 3, top)
            candidate_table(report, client, name, bodies, top)
        client.drop(name)


def tokens_part(report, client):
    token_set(report, client, "scifact", ("i8", "f16"), (.6578, .6764, .6930))
    token_set(report, client, "cranfield", ("i8",), (.5001, .5184, .5300))


# ---- pooled ----

# nDCG@10 and 10R@100 of exact search on a prefix, plain and rotated.
PREFIXES = {
    "scifact": {"none": {32: (.337, .595), 64: (.484, .814),
                         128: (.602, .949), 256: (.635, .999)},
                "pca": {32: (.457, .908), 64: (.559, .984),
                        128: (.636, .999), 256: (.644, 1)}},
    "cranfield": {"none": {},
                  "pca": {32: (.423, None), 64: (.478, None),
                          128: (.506, None), 256: (.509, None)}},
}
FULL = {"scifact": .6451, "cranfield": .5090}


def pooled_set(report, client, folder):
    data = shared(folder)
    documents = np.asarray(
        matrix(f"{folder}/vectors/minilm-l6-docs.f16.npy"), np.float32)
    queries = np.asarray(
        matrix(f"{folder}/vectors/minilm-l6-queries.f16.npy"), np.float32)
    bodies = [{"vector": b64(q), "limit": 10} for q in queries]
    for rotate in ("none", "pca"):
        name = f"{folder}-{rotate}"
        client.create(name, kind="single", dim=384, index={"type": "flat"},
                      encoder={"type": "matryoshka", "rotate": rotate,
                               "dims": [32, 64, 128, 256, 384],
                               "index_dims": 64})
        client.put_frames(name, (frame(d, v[None, :]) for d, v
                                 in zip(data.ids, documents)))
        client.rebuild(name)
        top = ask(client, name, bodies, 0, **EXACT).hits
        report.heading(f"{folder}, minilm-l6 pooled, rotation: {rotate}; exact "
                       "search on a prefix", PREFIX)
        for dims in (32, 64, 128, 256, 384):
            run = ask(client, name, bodies, 0, limit=100,
                      params={"exact": True, "dims": [dims]})
            timed = ask(client, name, bodies, 3,
                        params={"exact": True, "dims": [dims]})
            given = PREFIXES[folder][rotate].get(dims, (None, None))
            if dims == 384:
                given = FULL[folder], 1
            good = ndcg(run.hits, data.relevant)
            report.row(f"prefix {dims}", good, given[0],
                       recall(run.hits, top), given[1], timed.p(.5))
            if given[0] is not None:
                report.near(f"{name} prefix {dims} nDCG@10", good, given[0],
                            .006 if rotate == "pca" and dims < 384 else .003)
        report.heading(f"{folder}, minilm-l6 pooled, rotation: {rotate}; "
                       "funnels", PIPELINE)
        funnels = (("64 -> 128 -> 384, keep 400, 100",
                    {"dims": [64, 128, 384], "keep": [400, 100]}),
                   ("64 -> 384, keep 200", {"dims": [64, 384],
                                            "keep": [200]}),
                   ("defaults: 64, 500 candidates -> 384", {}))
        for label, params in funnels:
            run = ask(client, name, bodies, 3, params=params)
            same = recall(run.hits, top)
            report.row(label, ndcg(run.hits, data.relevant), same, run.p(.5),
                       run.p(.99), run.qps(), client.bytes_per_document(name))
            if rotate == "pca" and "keep 400" in label:
                report.check(f"{folder} funnel {label}, rotated: recall@10",
                             same, .99)
        if folder == "scifact" and rotate == "none":
            check_golden(report, "cosine", client, name, bodies,
                         data.query_ids)
        client.drop(name)


def pooled_part(report, client):
    pooled_set(report, client, "scifact")
    pooled_set(report, client, "cranfield")


def limit_part(report, client):
    """46 documents that no single vector can rank for every pair."""
    data = shared("limit-small")
    tokens = Tokens("limit-small", "colbert-l6")
    pooled = matrix("limit-small/vectors/minilm-l6-docs.f16.npy")
    queries = matrix("limit-small/vectors/minilm-l6-queries.f16.npy")
    report.heading("limit-small: 1,000 queries over 46 documents", PIPELINE)
    client.create("one", kind="single", dim=384)
    client.put_frames("one", (frame(d, np.asarray(v, np.float32)[None, :])
                              for d, v in zip(data.ids, pooled)))
    client.create("many", kind="multi", dim=tokens.dim,
                  tokens={"dtype": "i8"})
    client.put_frames("many", tokens.frames(data.ids, "i8"))
    bodies = [{"vector": b64(np.asarray(q, np.float32)), "limit": 10}
              for q in queries]
    many = [{"vectors": b64(q), "limit": 10} for q in tokens.queries()]
    rows = (("single vectors (minilm-l6)", "one", bodies, {}, .3135),
            ("a vector a token, exact", "many", many, EXACT, .9917),
            ("a vector a token, muvera+ default", "many", many, {}, .9917),
            ("the same, only 10 candidates", "many", many,
             {"params": {"candidates": 10, "rerank": 10}}, None))
    for label, name, asked, more, given in rows:
        run = ask(client, name, asked, 1, **more)
        good = ndcg(run.hits, data.relevant)
        report.row(label, good, None, run.p(.5), run.p(.99), run.qps(),
                   client.bytes_per_document(name))
        if given is not None:
            report.near(f"limit-small {label}", good, given, .003)


def main():
    parts = {"tokens": tokens_part, "pooled": pooled_part,
             "limit": limit_part}
    chosen = sys.argv[1:] or list(parts)
    for part in chosen:
        if part not in parts:
            sys.exit(f"{part} is not one of: {', '.join(parts)}")
    need_data("scifact/corpus.jsonl.gz", "cranfield/corpus.jsonl.gz")
    name = "transformers" if len(chosen) == 3 else \
        "transformers-" + "-".join(chosen)
    report = Report(name, "Transformer vectors over HTTP, one connection")
    with Daemon(models=False) as daemon:
        client = Client(daemon)
        for part in chosen:
            parts[part](report, client)
        resident, anonymous = daemon.rss_mb()
        note(f"resident at the end {resident:.0f} MB, of it {anonymous:.0f} "
             "MB not from files")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
