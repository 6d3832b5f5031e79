#!/usr/bin/env python3
"""200,000 single vectors of 384 dimensions over HTTP: load rate, memory,
start-up, what each index kind finds in which time, and a rebuild from hnsw to
ivf_pq under the load of four connections.

  bench/single200k.py [COUNT]

Vectors: normalise(.7 d_i + .3 d_j + .3 g / sqrt(384)), seed 1, d the SciFact
and Cranfield documents of all-MiniLM-L6; the queries are the real ones. Needs
the matrices under INVAR_DATA. HNSW builds take minutes.
"""

import json
import multiprocessing
import sys
import time

from common import Client, Daemon, Report, ask, b64, floor_ms, mixture
from common import mixture_frames, note, recall

NAME = "big"
CONNECTIONS = 4
COLUMNS = [("", "<40"), ("recall@10", "9.4f"), ("p50 ms", "8.2f"),
           ("p99 ms", "8.2f"), ("q/s", "7.0f"), ("bytes/doc", "9.0f"),
           ("RSS MB", "7.0f"), ("anon MB", "7.0f")]


def settle(client):
    """Waits until the maintenance has sealed what was loaded."""
    quiet = 0
    while quiet < 10:
        about = client.describe(NAME)
        fresh = sum(s["live"] for s in about["segments"] if s["fresh"])
        busy = about["state"] == "rebuilding" or fresh >= 256
        quiet = 0 if busy else quiet + 1
        time.sleep(.3)
    return [(s["index"], s["live"]) for s in about["segments"]]


def searcher(daemon, bodies, start, stop, results):
    """One connection in a process of its own: (when, seconds, fine)."""
    client = Client(daemon)
    seen, at = [], start
    while not stop.is_set():
        body = bodies[at % len(bodies)]
        at += 1
        began = time.perf_counter()
        try:
            status, text = client.send("POST",
                                       f"/v1/collections/{NAME}/search", body)
            good = status == 200 and len(json.loads(text)["hits"]) == 10
        except OSError:
            good, client = False, Client(daemon)
        seen.append((began, time.perf_counter() - began, good))
    results.put(seen)


def percentile(times, share):
    times = sorted(times)
    return 1e3 * times[min(len(times) - 1, int(share * len(times)))]


def rebuild_under_load(report, client, daemon, bodies, **body):
    encoded = [json.dumps(b).encode() for b in bodies]
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    workers = [multiprocessing.Process(
        target=searcher, args=(daemon, encoded, 131 * i, stop, results))
        for i in range(CONNECTIONS)]
    for worker in workers:
        worker.start()
    time.sleep(12)
    began = time.perf_counter()
    took = client.rebuild(NAME, **body)
    ended = time.perf_counter()
    time.sleep(8)
    stop.set()
    seen = [one for _ in workers for one in results.get()]
    for worker in workers:
        worker.join()
    report.heading(f"Rebuild from hnsw to ivf_pq in {took:.0f} s while "
                   f"{CONNECTIONS} connections search",
                   [("", "<12"), ("queries", "8d"), ("failed", "7d"),
                    ("p50 ms", "8.2f"), ("p99 ms", "8.2f"),
                    ("worst ms", "9.2f"), ("q/s", "7.0f")])
    first = min(s[0] for s in seen)
    last = max(s[0] for s in seen)
    spans = (("before", first + 2, began), ("during", began, ended),
             ("after", ended, last))
    p99, failed = {}, 0
    for label, a, b in spans:
        some = [s for s in seen if a <= s[0] < b]
        bad = sum(not s[2] for s in some)
        times = [s[1] for s in some]
        failed += bad
        p99[label] = percentile(times, .99)
        report.row(label, len(some), bad, percentile(times, .5), p99[label],
                   1e3 * max(times), len(some) / (b - a))
    report.check("failed queries while rebuilding", failed, high=0)
    report.check("p99 during the rebuild, of before",
                 p99["during"] / p99["before"], high=1.5)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200000
    report = Report("single200k", f"{count:,} single vectors of 384 over HTTP, "
                    "one connection unless said")
    rows, _, queries = mixture(count)
    bodies = [{"vector": b64(q), "limit": 10} for q in queries]
    facts = {"count": count}
    with Daemon(models=False) as daemon:
        client = Client(daemon)
        client.create(NAME, kind="single", dim=384, index={"type": "hnsw"})
        sent, seconds = client.put_frames(NAME, mixture_frames(rows))
        facts["vectors_per_s"] = sent / seconds
        resident, anonymous = daemon.rss_mb()
        print(f"\nloaded {sent:,} vectors as f32 frames: "
              f"{sent / seconds:,.0f} vectors/s, durable; resident "
              f"{resident:.0f} MB, of it {anonymous:.0f} MB not from files; "
              f"{daemon.disk_mb():.0f} MB on disk (segments are built "
              "meanwhile)", flush=True)
        began = time.perf_counter()
        parts = settle(client)
        facts["settled_s"] = time.perf_counter() - began
        print(f"sealed and merged {facts['settled_s']:.0f} s later: {parts}",
              flush=True)
        report.heading("Search", COLUMNS)

        def line(label, top, passes=3, some=len(bodies), **more):
            run = ask(client, NAME, bodies[:some], passes, **more)
            same = recall(run.hits, top[:some]) if top else 1.0
            report.row(label, same, run.p(.5), run.p(.99), run.qps(),
                       client.bytes_per_document(NAME), *daemon.rss_mb())
            return run, same

        run, _ = line("exact (f32 vectors)", None, 1,
                      params={"exact": True})
        top = run.hits
        exact_ms = run.p(.5)
        line("hnsw, segments as loaded", top)
        facts["hnsw_s"] = client.rebuild(NAME)
        note(f"hnsw of everything in {facts['hnsw_s']:.0f} s")
        for label, params in (("hnsw, defaults", {}),
                              ("hnsw, candidates 64", {"candidates": 64}),
                              ("hnsw, candidates 64, ef 200",
                               {"candidates": 64, "ef": 200}),
                              ("hnsw, candidates 300", {"candidates": 300})):
            _, same = line(label, top, params=params)
            if not params:
                report.check("hnsw recall@10", same, .95)

        daemon.stop()
        daemon.start()
        facts["ready_s"] = daemon.wait_ready()
        client = Client(daemon)
        resident, anonymous = daemon.rss_mb()
        began = time.perf_counter()
        client.search(NAME, bodies[0])
        first_ms = 1e3 * (time.perf_counter() - began)
        print(f"restart: /readyz says 200 after {facts['ready_s']:.2f} s, the "
              f"first search takes {first_ms:.1f} ms; resident "
              f"{resident:.0f} MB, of it {anonymous:.0f} MB not from files",
              flush=True)
        report.check("seconds until ready", facts["ready_s"], high=2)

        rebuild_under_load(report, client, daemon, bodies,
                           index={"type": "ivf_pq"})
        report.heading("Search", COLUMNS)
        for label, params in (("ivf_pq 4-bit fast scan, defaults", {}),
                              ("ivf_pq, candidates 200", {"candidates": 200}),
                              ("ivf_pq, candidates 1000",
                               {"candidates": 1000})):
            _, same = line(label, top, params=params)
            if not params:
                report.check("ivf_pq recall@10", same, .95)
        client.rebuild(NAME, index={"type": "ivf_pq", "pq_bits": 8})
        for label, params in (("ivf_pq 8-bit, defaults", {}),
                              ("ivf_pq 8-bit, nprobe 64", {"nprobe": 64})):
            line(label, top, params=params)
        client.rebuild(NAME, index={"type": "flat"})
        line("flat (f16 codes, then f32)", top, 1)
        floor = floor_ms(client)
        print(f"exact p50 {exact_ms:.1f} ms; a request that asks for nothing "
              f"{floor:.2f} ms")
    return report.finish(floor_ms=floor, **facts)


if __name__ == "__main__":
    sys.exit(main())
