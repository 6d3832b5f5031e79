#!/usr/bin/env python3
"""SciFact over HTTP with what the repository ships (make bench-scifact):
static token vectors, as one vector a document and as a vector a token.

Recall is the share of the exact top 10 of the same collection; nDCG@10 has
binary gains. One connection, text in, hits out: tokenizing is in the times.
"""

import sys

from common import Client, Daemon, Report, ask, floor_ms, ndcg, note, recall
from common import shipped_scifact

COLUMNS = [("", "<34"), ("nDCG@10", "8.4f"), ("recall@10", "9.4f"),
           ("p50 ms", "8.2f"), ("p99 ms", "8.2f"), ("q/s", "7.0f"),
           ("bytes/doc", "9.0f")]
MODEL = {"name": "static", "revision": "2"}


def main():
    data = shipped_scifact()
    bodies = [{"text": q, "limit": 10} for q in data.queries]
    documents = list(zip(data.ids, data.texts))
    report = Report("scifact", "SciFact, static-2, 5,183 documents, 300 "
                    "queries, HTTP, one connection")
    quality = {}
    with Daemon() as daemon:
        client = Client(daemon)
        floor = floor_ms(client)

        def line(name, collection, exact, passes=5, **more):
            run = ask(client, collection, bodies, passes, **more)
            found = ndcg(run.hits, data.relevant)
            same = recall(run.hits, exact) if exact else 1.0
            report.row(name, found, same, run.p(.5), run.p(.99), run.qps(),
                       client.bytes_per_document(collection))
            quality[name] = found
            return run.hits

        report.heading("One vector a document (96 dimensions, cosine)",
                       COLUMNS)
        client.create("plain", kind="single", dim=96, model=MODEL,
                      index={"type": "flat"})
        rate = client.put_texts("plain", documents)
        note(f"single: {rate:.0f} documents/s from text")
        client.rebuild("plain")
        exact = {"params": {"exact": True}}
        top = line("single 96, exact", "plain", None, **exact)
        line("single 96, flat", "plain", top)
        client.rebuild("plain", index={"type": "hnsw"})
        line("single 96, hnsw", "plain", top)

        client.create("nested", kind="single", dim=96, model=MODEL,
                      encoder={"type": "matryoshka", "dims": [24, 48, 96]},
                      index={"type": "flat"})
        client.put_texts("nested", documents)
        client.rebuild("nested")
        for dims in (24, 48):
            line(f"prefix {dims}, exact", "nested", None,
                 params={"exact": True, "dims": [dims]})
        line("funnel 24 -> 48 -> 96", "nested", top,
             params={"dims": [24, 48, 96]})
        line("funnel, keep 800, 200", "nested", top,
             params={"dims": [24, 48, 96], "keep": [800, 200]})

        report.heading("A vector a token (MaxSim, f16 tokens)", COLUMNS)
        client.create("multi", kind="multi", dim=96, model=MODEL,
                      encoder={"type": "muvera", "variant": "muvera+",
                               "preset": "default"},
                      index={"type": "flat"})
        rate = client.put_texts("multi", documents)
        note(f"multi: {rate:.0f} documents/s from text")
        client.rebuild("multi")
        top = line("multi, exact MaxSim", "multi", None, 1, **exact)
        for variant, preset in (("muvera+", "default"), ("muvera+", "small"),
                                ("muvera", "default"), ("muvera", "quality")):
            client.rebuild("multi", encoder={
                "type": "muvera", "variant": variant, "preset": preset})
            line(f"{variant} {preset}", "multi", top, 3)

    report.near("single 96", quality["single 96, exact"], .469, .003)
    report.near("prefix 48", quality["prefix 48, exact"], .377, .003)
    report.near("prefix 24", quality["prefix 24, exact"], .261, .003)
    report.near("exact MaxSim", quality["multi, exact MaxSim"], .640, .003)
    report.check("funnel nDCG@10 of its full-dimension row",
                 quality["funnel 24 -> 48 -> 96"] /
                 quality["single 96, exact"], .97)
    report.check("muvera+ default nDCG@10 of exact MaxSim's",
                 quality["muvera+ default"] / quality["multi, exact MaxSim"],
                 .99)
    print(f"\na request that asks for nothing (GET /v1): {floor:.2f} ms, "
          "most of it Python's client")
    return report.finish(floor_ms=floor)


if __name__ == "__main__":
    sys.exit(main())
