#!/usr/bin/env python3
"""Filtered search over HTTP on the 200,000 vectors of single200k.py, with
fields of three distributions, against an exact search in NumPy.

  bench/filters.py [COUNT]

uniform  integer, each of 0..999,999 as likely: a range
word     keyword, the word of rank r with a share as 1 / r (Zipf, 10,000 words):
         one word, or for 50 % a list of the most frequent
place    integer that goes with the vectors: the source documents d_i in the
         order of the leaves of a tree that halves them along their principal
         axis again and again: a range is a region, and most queries are
         outside it
Every query is asked with the same filter (its bitset is then cached), and once
more with a filter that no search has seen ("new").
"""

import collections
import sys

from common import Client, Daemon, Report, ask, b64, mixture, mixture_frames
from common import note, np, recall

NAME = "filtered"
QUERIES = 200
SHARES = (.5, .1, .01, .001, 0)
WORDS = 10000
COLUMNS = [("field", "<8"), ("matches", "9d"), ("recall@10", "9.4f"),
           ("few", "4d"), ("plan", "<20"), ("p50 ms", "7.2f"),
           ("p99 ms", "7.2f"), ("new p50", "7.2f"), ("q/s", "6.0f"),
           ("of unfiltered", "13.2f")]


def leaf_order(rows):
    """Positions in the leaves of a tree of halvings along principal axes."""
    order = []

    def split(members):
        if len(members) <= 4:
            order.extend(members)
            return
        some = rows[members] - rows[members].mean(0)
        axis = some[0] + 1e-6
        for _ in range(15):
            axis = some.T @ (some @ axis)
            axis /= np.linalg.norm(axis)
        ranked = members[np.argsort(some @ axis, kind="stable")]
        half = len(ranked) // 2
        split(ranked[:half])
        split(ranked[half:])

    split(np.arange(len(rows)))
    place = np.empty(len(rows), np.int64)
    place[order] = np.arange(len(rows))
    return place


def fields_of(rows, first):
    """The three fields as arrays."""
    draw = np.random.default_rng(2)
    uniform = draw.integers(1000000, size=len(rows))
    weights = 1 / np.arange(1, WORDS + 1)
    words = draw.choice(WORDS, size=len(rows), p=weights / weights.sum())
    sources = int(first.max()) + 1
    centre = np.zeros((sources, rows.shape[1]), np.float32)
    np.add.at(centre, first, rows)
    place = leaf_order(centre / np.maximum(
        np.linalg.norm(centre, axis=1, keepdims=True), 1e-9))
    return uniform, words, place[first], sources


def filters_for(share, uniform, words, place, sources):
    """(field, filter, mask) for the share, one a field."""
    bound = int(1000000 * share)
    yield ("uniform", {"key": "uniform", "range": {"lt": bound}},
           uniform < bound)
    counts = np.bincount(words, minlength=WORDS) / len(words)
    if share >= .5:
        top = int(np.searchsorted(np.cumsum(counts), share)) + 1
        yield ("word", {"key": "word",
                        "match": [f"w{i}" for i in range(top)]}, words < top)
    else:
        rank = WORDS + 1 if share == 0 else int(
            np.argmin(np.abs(counts - share)))
        yield ("word", {"key": "word", "match": f"w{rank}"}, words == rank)
    edge = int(sources * share)
    yield ("place", {"key": "place", "range": {"lt": edge}}, place < edge)


def oracle(scores, mask, k=10):
    """Names of the best k of the mask, for every query."""
    allowed = np.flatnonzero(mask)
    if len(allowed) == 0:
        return [[] for _ in scores]
    some = scores[:, allowed]
    k = min(k, len(allowed))
    best = np.argpartition(-some, k - 1, axis=1)[:, :k]
    result = []
    for row, picks in zip(some, best):
        ranked = picks[np.argsort(-row[picks], kind="stable")]
        result.append([f"v{allowed[i]:06d}" for i in ranked])
    return result


def plans(run):
    """How often each plan was taken, over queries and segments."""
    taken = collections.Counter()
    for plan in run.plans:
        for segment in plan["segments"]:
            taken[segment["plan"] + ("!" if segment["fallback"] else "")] += 1
    return " ".join(f"{name} {count}" for name, count in taken.most_common())


def measure(report, client, kind, scores, bodies, cases):
    plain = ask(client, NAME, bodies, 3)
    top = oracle(scores, np.ones(scores.shape[1], bool))
    report.heading(f"{kind}: unfiltered recall@10 "
                   f"{recall(plain.hits, top):.4f}, p50 {plain.p(.5):.2f} ms, "
                   f"{plain.qps():.0f} q/s", COLUMNS)
    for share, field, condition, mask in cases:
        wanted = oracle(scores, mask)
        one = {"must": [condition]}
        explained = ask(client, NAME, bodies, 0, explain=True, filter=one)
        run = ask(client, NAME, bodies, 3, filter=one)
        fresh = [{**body, "filter": {"must": [condition], "must_not": [
            {"key": "uniform", "match": -1 - i}]}}
            for i, body in enumerate(bodies)]
        path = f"/v1/collections/{NAME}/search"
        new = first_time(client, path, fresh)
        few = sum(len(h) < len(w) for h, w in zip(run.hits, wanted))
        wrong = sum(not set(h) <= {f"v{i:06d}" for i in np.flatnonzero(mask)}
                    for h in run.hits) if mask.sum() < 5000 else 0
        same = recall(run.hits, wanted) if mask.any() else 1.0
        report.row(field, int(mask.sum()), same, few, plans(explained),
                   run.p(.5), run.p(.99), new, run.qps(),
                   run.qps() / plain.qps())
        label = f"{kind} {field} {100 * share:g} %"
        report.check(f"{label} recall@10", same, .95)
        report.check(f"{label} queries with too few or wrong hits",
                     few + wrong, high=0)
        if share in (.1, .01):
            report.check(f"{label} q/s of unfiltered",
                         run.qps() / plain.qps(), .5)


def first_time(client, path, bodies):
    """p50 of filters that no search has seen, asked once each."""
    import json
    import time
    times = []
    for body in bodies:
        text = json.dumps(body)
        began = time.perf_counter()
        client.send("POST", path, text)
        times.append(time.perf_counter() - began)
    return 1e3 * sorted(times)[len(times) // 2]


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200000
    report = Report("filters", f"Filtered search over HTTP, {count:,} vectors "
                    f"of 384, {QUERIES} queries, one connection")
    rows, first, queries = mixture(count)
    queries = queries[np.linspace(0, len(queries) - 1, QUERIES).astype(int)]
    bodies = [{"vector": b64(q), "limit": 10} for q in queries]
    scores = np.concatenate([queries[i:i + 50] @ rows.T
                             for i in range(0, QUERIES, 50)])
    uniform, words, place, sources = fields_of(rows, first)
    cases = [(share, *case) for share in SHARES
             for case in filters_for(share, uniform, words, place, sources)]
    payloads = [{"uniform": int(u), "word": f"w{w}", "place": int(p)}
                for u, w, p in zip(uniform, words, place)]
    with Daemon(models=False) as daemon:
        client = Client(daemon)
        client.create(NAME, kind="single", dim=384, index={"type": "flat"},
                      payload_index={"uniform": "integer", "word": "keyword",
                                     "place": "integer"})
        sent, seconds = client.put_frames(NAME, mixture_frames(rows, payloads))
        note(f"loaded {sent:,} with payloads, {sent / seconds:,.0f} a second")
        del rows
        for label, index in (("flat", {"type": "flat"}),
                             ("ivf_pq 4-bit", {"type": "ivf_pq"}),
                             ("hnsw", {"type": "hnsw"})):
            took = client.rebuild(NAME, index=index)
            note(f"{label}: rebuilt in {took:.0f} s")
            measure(report, client, label, scores, bodies, cases)
        resident, anonymous = daemon.rss_mb()
        note(f"resident {resident:.0f} MB, of it {anonymous:.0f} MB not from "
             "files")
    return report.finish(load_per_s=sent / seconds)


if __name__ == "__main__":
    sys.exit(main())
