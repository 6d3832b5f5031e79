#!/usr/bin/env python3
"""Upgrades where documents have classes: scikit-learn's digits in three model
versions, over HTTP.

usage: bench/upgrade_digits.py [--samples N]

Rows 0 to 999 are the gallery, the others ask: R@1 (is the nearest image of the
same class?) and mAP over the whole ranking. 400 labelled images are fitted, the
mean of N samples (5). Each way of going from version 1 to 2 and 3:

own          each version searched in its own vectors
procrustes   the gallery stays version 1, queries go through an adapter
folded .1    the same, folded with the simplex (kind simplex, beta .1)
whole        a new collection whose gallery is in the simplex: documents of
             version 1, queries of 1, 2 and 3
mixed        the same, documents of all three versions in turn
blend .3     as whole, with version 1's vectors beside

and once more fitted on the classes 0 to 6 and judged on 7 to 9, which no fit has
seen. Needs INVAR_DATA.
"""

import argparse
import json
import sys

import numpy as np

from common import Client, Daemon, Failure, Report, b64, frame, matrix, \
    need_data
from upgrade_live import post_frames, put_model, wait

GALLERY = 1000
PAIRS = 400
CLASSES = 10
MARGIN = .1  # of R@1: 400 labels cannot tell a smaller one (they say +- .03)
SEEN = 7
TABLE = [("", "<34"), ("R@1", "8.4f"), ("mAP", "8.4f"),
         ("independent", "<12"), ("bench_simplex", "<13")]

# R@1 and mAP: of an independent implementation, on samples of its own, and of
# bench_simplex, the same without a daemon (ten samples), which is the bar.
EXPECTED = {
    ("own", 1): ((.927, .663), (.927, .663)),
    ("own", 2): ((.942, .799), (.942, .799)),
    ("own", 3): ((.986, .965), (.986, .965)),
    ("procrustes", 2): ((.898, .724), (.895, .724)),
    ("folded .1", 2): ((.910, .732), (.902, .733)),
    ("whole", 2): ((.918, .848), (.910, .855)),
    ("blend .3", 2): ((.920, .793), (.924, .803)),
    ("procrustes", 3): ((.954, .813), (.955, .812)),
    ("folded .1", 3): ((.957, .821), (.959, .820)),
    ("whole", 3): ((.961, .906), (.961, .908)),
    ("blend .3", 3): ((.969, .877), (.969, .882)),
}


class Digits:
    def __init__(self):
        need_data("digits/labels.u8.npy")
        self.rows = [None] + [
            np.asarray(matrix(f"digits/v{v}.f32.npy"), np.float32)
            for v in (1, 2, 3)]
        self.labels = np.asarray(matrix("digits/labels.u8.npy"))

    def sample(self, seed, unseen):
        rows = np.random.default_rng(seed).permutation(GALLERY)
        return [int(i) for i in rows
                if not unseen or self.labels[i] < SEEN][:PAIRS]


def name_of(i):
    return f"d{i}"


def measure(client, name, digits, version, unseen):
    """R@1 and mAP of the version's queries; every document is ranked."""
    first, precision, judged = 0, 0.0, 0
    rows = digits.rows[version]
    for at in range(GALLERY, len(rows), 100):
        ask = [i for i in range(at, min(at + 100, len(rows)))
               if not unseen or digits.labels[i] >= SEEN]
        if not ask:
            continue
        answer = client.call(
            "POST", f"/v1/collections/{name}/search/batch",
            {"searches": [{"vector": b64(rows[i]), "limit": GALLERY,
                           "model": f"v@{version}",
                           "params": {"exact": True}} for i in ask]})
        for i, one in zip(ask, answer["results"]):
            found = [int(hit["id"][1:]) for hit in one["hits"]]
            right = digits.labels[found] == digits.labels[i]
            places = np.flatnonzero(right) + 1
            first += right[0]
            precision += np.mean(np.arange(1, len(places) + 1) / places)
            judged += 1
    return first / judged, precision / judged


def fit(client, collection, **body):
    job = client.call("POST", f"/v1/collections/{collection}/adapters", body)
    return wait(client, job)


def put(client, name, digits, version, rows, model):
    path = f"/v1/collections/{name}/documents/bulk?model={model}"
    parts = [b"INVB\1\0\0\0"] + [
        frame(name_of(i), digits.rows[version][i][None, :],
              payload={"class": int(digits.labels[i])}) for i in rows]
    status, text = client.send("POST", path, b"".join(parts),
                               "application/x-invar")
    if status != 200 or json.loads(text)["failed"]:
        raise Failure(f"{path}: {status} {text[:500]}")


# ---- the gallery is version 1 ----

def adapted(client, digits, sample, unseen):
    """version -> way -> quality, on a gallery that stays as it is."""
    name, out = "adapted", {}
    client.create(name, kind="single", dim=digits.rows[1].shape[1],
                  model={"name": "v", "revision": "1"},
                  index={"type": "flat"})
    put(client, name, digits, 1, range(GALLERY), "v@1")
    for version in (2, 3):
        model = f"v@{version}"
        put_model(client, name, model, dim=digits.rows[version].shape[1])
        post_frames(client, f"/v1/collections/{name}/models/{model}/vectors",
                    [frame(name_of(i), digits.rows[version][i][None, :])
                     for i in sample])
        for way, body in (("procrustes", {"kind": "procrustes"}),
                          ("folded .1", {"kind": "simplex", "beta": .1,
                                         "label_field": "class"})):
            slug = f"{way.split()[0]}-{version}"
            fit(client, name, name=slug, **{"from": model}, **body)
            client.call("POST", f"/v1/collections/{name}/activate",
                        {"model": model, "adapter": slug, "mode": "bridge",
                         "force": True})
            out[way, version] = measure(client, name, digits, version, unseen)
    client.drop(name)
    return out


# ---- the gallery is a simplex ----

def post_labels(client, name, digits, version, rows):
    client.call("POST", f"/v1/collections/{name}/models/v@{version}/queries",
                {"queries": [{"id": f"q{i}",
                              "vector": b64(digits.rows[version][i]),
                              "label": str(int(digits.labels[i]))}
                             for i in rows]})


def in_simplex(client, digits, sample, unseen, way, reports):
    name, out = "simplex", {}
    space = {"type": "simplex", "classes": CLASSES}
    if way == "blend .3":
        space.update(blend=.3, base_dim=digits.rows[1].shape[1])
    client.create(name, kind="single", space=space, index={"type": "flat"})
    for version in (1, 2, 3):
        put_model(client, name, f"v@{version}",
                  dim=digits.rows[version].shape[1])
        post_labels(client, name, digits, version, sample)
        reports[way, version] = fit(client, name, name=f"s{version}",
                                    margin=MARGIN, **{"from": f"v@{version}"})
        if reports[way, version]["verdict"] == "REFUSE":
            note = reports[way, version]["report"]["reason"]
            raise Failure(f"{way} {version}: refused: {note}")
    for version in (1, 2, 3):
        rows = range(version - 1, GALLERY, 3) if way == "mixed" else \
            range(GALLERY) if version == 1 else ()
        put(client, name, digits, version, rows, f"v@{version}")
    for version in (1, 2, 3):
        out[way, version] = measure(client, name, digits, version, unseen)
    client.drop(name)
    return out


def own(client, digits):
    out = {}
    for version in (1, 2, 3):
        client.create("own", kind="single",
                      dim=digits.rows[version].shape[1],
                      model={"name": "v", "revision": str(version)},
                      index={"type": "flat"})
        put(client, "own", digits, version, range(GALLERY), f"v@{version}")
        out["own", version] = measure(client, "own", digits, version, False)
        client.drop("own")
    return out


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--samples", type=int, default=5)
    args = parser.parse_args()
    digits = Digits()
    report = Report("upgrade_digits", "Upgrades of documents with classes")
    sums, last = {}, {}
    with Daemon(models=False) as daemon:
        client = Client(daemon)
        alone = own(client, digits)
        for seed in range(args.samples):
            for unseen in (True, False):
                sample = digits.sample(seed, unseen)
                found = adapted(client, digits, sample, unseen)
                for way in ("whole", "mixed", "blend .3"):
                    found.update(in_simplex(client, digits, sample, unseen,
                                            way, last))
                for (way, version), value in found.items():
                    key = (way + " unseen" if unseen else way, version)
                    sums.setdefault(key, []).append(value)
    means = {**alone, **{key: tuple(np.mean(values, axis=0))
                         for key, values in sums.items()}}
    report.heading(f"queries of a version on the gallery, {PAIRS} labelled, "
                   f"mean of {args.samples} samples", TABLE)
    for (way, version), (first, precision) in means.items():
        others = EXPECTED.get((way, version), (None, None))
        report.row(f"{way}, v{version}", float(first), float(precision),
                   *("" if one is None else f"{one[0]:.3f} {one[1]:.3f}"
                     for one in others))
        if others[1] is not None:
            report.near(f"{way}, v{version}: R@1", float(first),
                        others[1][0], .01)
            report.near(f"{way}, v{version}: mAP", float(precision),
                        others[1][1], .01)
    for way in ("whole", "mixed"):
        report.check(f"{way}, v3: R@1 of classes that no fit saw, over "
                     "procrustes", float(means[way + " unseen", 3][0] /
                                         means["procrustes unseen", 3][0]),
                     high=1)
    report.heading("what the fits' own reports say, held out (last sample)", [
        ("", "<34"), ("R@1", "8.4f"), ("mAP", "8.4f"), ("own R@1", "8.4f"),
        ("v1 R@1", "8.4f"), ("seconds", "8.3f")])
    for (way, version), result in last.items():
        about = result["report"]
        report.row(f"{way}, v{version} ({result['verdict']})",
                   about["held_out"]["r1"], about["held_out"]["map"],
                   about["own"]["r1"], about["reference"]["r1"],
                   about["seconds"])
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
