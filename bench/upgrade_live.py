#!/usr/bin/env python3
"""Model upgrades as a client sees them: over HTTP, on real models.

usage: bench/upgrade_live.py [cascade] [tokens] [swap] [--swaps N]
       [--sets scifact,cranfield]

cascade   minilm-l3 -> minilm-l6 on SciFact and Cranfield: the old model, the
          bridge, the cascade at N and coverage, in random order and in that of
          the backfill queue, the cutover, and a complete re-index
tokens    colbert-l3 -> colbert-l6 on Cranfield, a vector per token: no
          adapter, bridge, cascade, through the default pipeline and exact
swap      eight connections search while the model is swapped and rolled back
          N times (200): failed queries, answers of another space than they
          say, times before and during, and how long a swap takes

Without a name: all three. Needs INVAR_DATA.
"""

import argparse
import http.client
import json
import sys
import threading
import time

import numpy as np

from common import MAGIC, UPLOAD_BYTES, Client, Daemon, Failure, Report
from common import Tokens, b64, frame, matrix, ndcg, note, shared

TABLE = [("", "<46"), ("nDCG@10", "8.4f"), ("of re-index", "8.3f")]


# ---- what all parts do ----

def wait(client, job):
    while job["state"] in ("queued", "running"):
        time.sleep(.02)
        job = client.call("GET", f"/v1/jobs/{job['id']}")
    if job["state"] != "succeeded":
        raise Failure(f"job: {job}")
    return job["result"]


def post_frames(client, path, frames):
    """Frames to a route in requests of 8 MB; how many were stored."""
    parts, size, stored = [MAGIC], 0, 0
    for one in list(frames) + [None]:
        if one is None or size >= UPLOAD_BYTES:
            if len(parts) > 1:
                status, text = client.send("POST", path, b"".join(parts),
                                           "application/x-invar")
                answer = json.loads(text)
                if status != 200 or answer["errors"]:
                    raise Failure(f"{path}: {status} {answer}")
                stored += answer["stored"]
            parts, size = [MAGIC], 0
        if one is not None:
            parts.append(one)
            size += len(one)
    return stored


def put_model(client, name, model, **body):
    client.call("PUT", f"/v1/collections/{name}/models/{model}", body)


def post_queries(client, name, model, old, items):
    """items: (id, new, old vector or None, relevant or None, fit_only)."""
    path = f"/v1/collections/{name}/models/{model}/queries"
    for at in range(0, len(items), 500):
        client.call("POST", path, {"queries": [
            {"id": key, "vector": b64(new),
             **({"old": {"model": old, "vector": b64(before)}}
                if before is not None else {}),
             **({"relevant": sorted(relevant)} if relevant else {}),
             "fit_only": fit_only, "judge_only": not fit_only}
            for key, new, before, relevant, fit_only in items[at:at + 500]]})


def fit(client, collection, **body):
    job = client.call("POST", f"/v1/collections/{collection}/adapters", body)
    return wait(client, job)


def activate(client, collection, **body):
    answer = client.call("POST", f"/v1/collections/{collection}/activate", body)
    if "stage" in answer:
        wait(client, answer)
    return answer


def ask_all(client, name, queries, key="vector", **more):
    hits, needs = [], 0
    for query in queries:
        answer = client.search(name, {key: query, "limit": 10, **more})
        hits.append([hit["id"] for hit in answer["hits"]])
        needs += len(answer.get("need_vectors", []))
    return hits, needs


# ---- cascade ----

class Pair:
    """One collection in two models."""

    def __init__(self, folder):
        base = f"{folder}/vectors/minilm-"
        self.data = shared(folder)
        self.docs = [np.asarray(matrix(f"{base}{m}-docs.f16.npy"), np.float32)
                     for m in ("l3", "l6")]
        self.queries = [np.asarray(matrix(f"{base}{m}-queries.f16.npy"),
                                   np.float32) for m in ("l3", "l6")]
        self.titles = np.asarray(matrix(f"{base}l6-titles.f16.npy"),
                                 np.float32)

    def frames(self, model, rows):
        for i in rows:
            yield frame(self.data.ids[i], self.docs[model][i][None, :])


def new_upgrade(client, pair, name):
    every = range(len(pair.data.ids))
    client.create(name, kind="single", dim=384, metric="cosine",
                  model={"name": "minilm", "revision": "l3"},
                  index={"type": "flat"})
    client.put_frames(name, pair.frames(0, every))
    client.rebuild(name)
    put_model(client, name, "minilm@l6", dim=384)


def fit_all(client, pair, name):
    """Every method on all documents; the report of each."""
    post_frames(client, f"/v1/collections/{name}/models/minilm@l6/vectors",
                pair.frames(1, range(len(pair.data.ids))))
    post_queries(client, name, "minilm@l6", "minilm@l3",
                 [(f"q{i}", pair.queries[1][i], pair.queries[0][i],
                   pair.data.relevant[i], False)
                  for i in range(len(pair.data.queries))] +
                 [(f"t{i}", pair.titles[i], None, {pair.data.ids[i]}, True)
                  for i in range(len(pair.titles))])
    reports = {}
    for method, body in (("procrustes", {"kind": "procrustes"}),
                         ("kappa .1", {"kind": "lambda_orthogonal",
                                       "kappa": .1}),
                         ("kappa .35", {"kind": "lambda_orthogonal",
                                        "kappa": .35}),
                         ("ridge", {"kind": "ridge", "rho": .01}),
                         ("contrastive", {"kind": "lambda_orthogonal",
                                          "solver": "contrastive"})):
        slug = "".join(c if c.isalnum() else "-" for c in method)
        began = time.perf_counter()
        result = fit(client, name, name=slug, **{"from": "minilm@l6"}, **body)
        reports[method] = (slug, result, time.perf_counter() - began)
    return reports


def part_cascade(report, client, folder):
    pair = Pair(folder)
    name = folder
    relevant = pair.data.relevant
    new = [b64(q) for q in pair.queries[1]]
    old = [b64(q) for q in pair.queries[0]]
    every = range(len(pair.data.ids))
    client.create("again", kind="single", dim=384, metric="cosine",
                  model={"name": "minilm", "revision": "l6"},
                  index={"type": "flat"})
    client.put_frames("again", pair.frames(1, every))
    client.rebuild("again")
    full = ndcg(ask_all(client, "again", new)[0], relevant)
    report.heading(f"{folder}, minilm-l3 -> minilm-l6, {len(new)} queries, "
                   "over HTTP", TABLE)

    def line(text, hits):
        got = ndcg(hits, relevant)
        report.row(text, got, got / full)
        return got
    line("complete re-index with the new model",
         ask_all(client, "again", new)[0])
    new_upgrade(client, pair, name)
    before = line("old model", ask_all(client, name, old)[0])
    reports = fit_all(client, pair, name)
    best = "contrastive"
    for method, (slug, result, seconds) in reports.items():
        activate(client, name, model="minilm@l6", adapter=slug, mode="bridge",
                 force=True)
        line(f"bridge, {method} ({result['verdict']}, {seconds:.1f} s)",
             ask_all(client, name, new)[0])
    slug = reports[best][0]
    bridge = ndcg(ask_all(client, name, new)[0], relevant)
    activate(client, name, model="minilm@l6", adapter=slug, mode="cascade",
             force=True)
    for depth in (50, 100, 200):
        got = line(f"cascade, {best}, N = {depth}, all covered", ask_all(
            client, name, new, params={"cascade": depth})[0])
    report.check(f"{folder}: cascade at full coverage over re-index",
                 got / full, low=.99)
    coverages(report, client, pair, line, reports[best], bridge, before)
    activate(client, name, model="minilm@l6", mode="cutover")
    same = ask_all(client, name, new)[0]
    line("after the cutover", same)
    report.check(f"{folder}: answers after the cutover that differ from a "
                 "re-index", sum(a != b for a, b in zip(
                     same, ask_all(client, "again", new)[0])), high=0)
    line("old clients after the cutover (forward adapter)",
         ask_all(client, name, old, model="minilm@l3")[0])
    client.drop("again")


def coverages(report, client, pair, line, best, bridge, before):
    """The same adapter over galleries of growing coverage: exported, imported
    into fresh collections, documents posted in two orders."""
    slug = best[0]
    relevant = pair.data.relevant
    new = [b64(q) for q in pair.queries[1]]
    source = shared_name(pair)
    status, body = client.send(
        "GET", f"/v1/collections/{source}/adapters/{slug}?format=npz")
    if status != 200:
        raise Failure(f"export: {status} {body[:300]}")
    count = len(pair.data.ids)
    index = {name: i for i, name in enumerate(pair.data.ids)}
    means, queue = {}, {}
    for order in ["queue"] + [f"random {i}" for i in range(5)]:
        name = "part"
        new_upgrade(client, pair, name)
        status, text = client.send(
            "POST", f"/v1/collections/{name}/adapters?format=npz&name=a"
            "&from=minilm@l6&to=minilm@l3", body, "application/octet-stream")
        if status not in (200, 201):
            raise Failure(f"import: {status} {text[:300]}")
        activate(client, name, model="minilm@l6", adapter="a", mode="cascade",
                 force=True)
        if order == "queue":  # the accesses of real queries come first
            ask_all(client, name, new, params={"cascade": 200})
        rows = np.random.default_rng(
            int(order[-1]) if order != "queue" else 0).permutation(count)
        done = 0
        for share in (.1, .25, .5):
            want = round(share * count)
            if order == "queue":
                answer = client.call(
                    "GET", f"/v1/collections/{name}/backfill"
                    f"?limit={want - done}")
                part = [index[d["id"]] for d in answer["documents"]]
            else:
                part = rows[done:want]
            post_frames(client,
                        f"/v1/collections/{name}/models/minilm@l6/vectors",
                        pair.frames(1, part))
            done += len(part)
            hits, needs = ask_all(client, name, new,
                                  params={"cascade": 200,
                                          "need_vectors": 200})
            got = ndcg(hits, relevant)
            if order == "queue":
                queue[share] = got
                line(f"cascade, N = 200, {share:.0%} covered, queue's order "
                     f"(asks {100 * needs / len(new):.0f} a 100 queries)",
                     hits)
            else:
                means.setdefault(share, []).append(got)
        client.drop(name)
    for share, values in means.items():
        mean = sum(values) / len(values)
        report.row(f"cascade, N = 200, {share:.0%} covered, five random "
                   "orders", mean, None)
        report.check(f"cascade at {share:.0%} less the bridge", mean - bridge,
                     low=0)
        if mean >= before:
            note(f"at {share:.0%} the cascade has reached the old model")


def shared_name(pair):
    return "scifact" if len(pair.data.ids) > 2000 else "cranfield"


# ---- tokens ----

def part_tokens(report, client):
    data = shared("cranfield")
    sets = [Tokens("cranfield", m) for m in ("colbert-l3", "colbert-l6")]
    queries = [[b64(q) for q in t.queries()] for t in sets]
    name = "tokens"
    encoder = {"type": "muvera", "variant": "muvera+", "seed": 42}
    relevant = data.relevant
    client.create(name, kind="multi", dim=96, metric="ip", encoder=encoder,
                  model={"name": "colbert", "revision": "l3"},
                  tokens={"dtype": "i8"})
    client.put_frames(name, sets[0].frames(data.ids, "i8"))
    client.rebuild(name)
    put_model(client, name, "colbert@l6", dim=96)
    post_frames(client, f"/v1/collections/{name}/models/colbert@l6/vectors",
                sets[1].frames(data.ids, "i8"))
    report.heading("cranfield, colbert-l3 -> colbert-l6, a vector per token, "
                   "over HTTP", [("", "<34"), ("muvera+", "8.4f"),
                                 ("exact", "8.4f")])

    def line(text, which, **more):
        params = more.pop("params", {})
        figures = [ndcg(ask_all(client, name, queries[which], key="vectors",
                                params={**params, **extra}, **more)[0],
                        relevant)
                   for extra in ({}, {"exact": True})]
        report.row(text, *figures)
        return figures
    line("old model", 0, model="colbert@l3")
    nothing = line("no adapter", 1, model="colbert@l3")
    result = fit(client, name, name="p", kind="procrustes",
                 **{"from": "colbert@l6"})
    note(f"verdict {result['verdict']}")
    activate(client, name, model="colbert@l6", adapter="p", mode="bridge",
             force=True)
    bridge = line("bridge, procrustes", 1)
    activate(client, name, model="colbert@l6", adapter="p", mode="cascade",
             force=True)
    for depth in (50, 100, 200):
        last = line(f"cascade, N = {depth}", 1, params={"cascade": depth})
    report.check("tokens without adapter (exact)", nothing[1], high=.05)
    report.near("tokens, bridge (exact)", bridge[1], .425, .02)
    report.near("tokens, cascade N = 200 (exact)", last[1], .531, .015)


# ---- swap ----

class Connection(threading.Thread):
    """Searches without naming a model, and checks each answer against what the
    model that it names finds exactly."""

    def __init__(self, daemon, name, bodies, truth, number):
        super().__init__(daemon=True)
        self.http = http.client.HTTPConnection(daemon.host, daemon.port,
                                               timeout=60)
        self.path = f"/v1/collections/{name}/search"
        self.bodies, self.truth, self.number = bodies, truth, number
        self.times, self.failed, self.wrong = [], 0, 0
        self.models = {}
        self.stopping = threading.Event()

    def run(self):
        at = self.number * 37
        while not self.stopping.is_set():
            i = at % len(self.bodies)
            at += 1
            began = time.perf_counter()
            try:
                self.http.request("POST", self.path, self.bodies[i],
                                  {"Content-Type": "application/json"})
                answer = self.http.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                self.failed += 1
                self.http.close()
                continue
            took = time.perf_counter() - began
            if answer.status != 200:
                self.failed += 1
                continue
            self.times.append((began, took))
            found = json.loads(text)
            model = found["model"]
            self.models[model] = self.models.get(model, 0) + 1
            want = self.truth[model][i]
            self.wrong += [hit["id"] for hit in found["hits"]] != want


def p99(times):
    return 1e3 * sorted(times)[min(len(times) - 1, int(.99 * len(times)))] \
        if times else 0


def part_swap(report, client, daemon, swaps):
    pair = Pair("scifact")
    name = "swap"
    new_upgrade(client, pair, name)
    rows = np.random.default_rng(5).permutation(len(pair.data.ids))[:2000]
    post_frames(client, f"/v1/collections/{name}/models/minilm@l6/vectors",
                pair.frames(1, rows))
    fit(client, name, name="p", kind="procrustes", **{"from": "minilm@l6"})
    vectors = [b64(q) for q in pair.queries[1]]
    # An unlabelled vector means what the active model says: the same numbers
    # are a query of the old model before a swap and of the new one after it.
    truth = {model: ask_all(client, name, vectors, model=model,
                            params={"exact": True})[0]
             for model in ("minilm@l3", "minilm@l6")}
    bodies = [json.dumps({"vector": v, "limit": 10}) for v in vectors]
    threads = [Connection(daemon, name, bodies, truth, i) for i in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(6)
    begin = time.perf_counter()
    took = []
    for _ in range(swaps):
        for call, body in (("activate", {"model": "minilm@l6", "adapter": "p",
                                         "mode": "bridge", "force": True}),
                           ("rollback", {})):
            at = time.perf_counter()
            client.call("POST", f"/v1/collections/{name}/{call}", body)
            took.append(time.perf_counter() - at)
            time.sleep(.01)
    end = time.perf_counter()
    time.sleep(.2)
    for thread in threads:
        thread.stopping.set()
    for thread in threads:
        thread.join()
    times = [t for thread in threads for t in thread.times]
    before = [took for at, took in times if begin - 4 < at < begin - .2]
    during = [took for at, took in times if begin <= at < end]
    models = {}
    for thread in threads:
        for model, count in thread.models.items():
            models[model] = models.get(model, 0) + count
    report.heading(f"{swaps} swaps and {swaps} rollbacks under 8 connections, "
                   "SciFact, minilm-l3 -> minilm-l6",
                   [("", "<44"), ("value", "12.3f")])
    for text, value in (("queries", len(times)),
                        *((f"answered by {m}", n) for m, n in
                          sorted(models.items())),
                        ("failed", sum(t.failed for t in threads)),
                        ("answers of another space than they say",
                         sum(t.wrong for t in threads)),
                        ("p99 ms before", p99(before)),
                        ("p99 ms during", p99(during)),
                        ("p99 during over before",
                         p99(during) / max(1e-9, p99(before))),
                        ("swap, median ms", 1e3 * sorted(took)[len(took) // 2]),
                        ("swap, p99 ms", p99(took))):
        report.row(text, float(value))
    report.check("failed queries", sum(t.failed for t in threads), high=0)
    report.check("wrong-space answers", sum(t.wrong for t in threads), high=0)
    report.check("p99 during over before", p99(during) / p99(before),
                 high=1.5)
    report.check("swap, p99 ms", p99(took), high=50)
    client.drop(name)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*",
                        help="cascade, tokens, swap; all by default")
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--sets", default="scifact,cranfield",
                        help="of cascade")
    args = parser.parse_args()
    parts = args.parts or ["cascade", "tokens", "swap"]
    report = Report("upgrade_live", "Model upgrades over HTTP")
    with Daemon() as daemon:
        client = Client(daemon)
        if "cascade" in parts:
            for folder in args.sets.split(","):
                part_cascade(report, client, folder)
        if "tokens" in parts:
            part_tokens(report, client)
        if "swap" in parts:
            part_swap(report, client, daemon, args.swaps)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
