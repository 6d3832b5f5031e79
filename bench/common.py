"""What the benchmarks over HTTP share: a daemon of their own, one keep-alive
connection, test collections, the framed upload, rankings and tables.

Python's standard library and NumPy (Debian: python3-numpy). Every time is
measured around http.client, which costs the client some 0.1 ms a request;
`floor_ms` says how much on the machine at hand.
"""

import gzip
import http.client
import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

try:
    import numpy as np
except ImportError:
    sys.exit("this benchmark needs NumPy: apt-get install python3-numpy")

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(ROOT, "bench", "results")
DATA = os.path.abspath(
    os.environ.get("INVAR_DATA", os.path.join(ROOT, "..", "shared", "data")))
DTYPES = {"f32": 1, "f16": 2, "i8": 3}
MAGIC = b"INVB" + struct.pack("<I", 1)
UPLOAD_BYTES = 8 << 20


def invard_path():
    variant = os.environ.get("VARIANT", "release")
    default = os.path.join(ROOT, "build", variant, "invard")
    path = os.environ.get("INVARD", default)
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is not there: run `make` first")
    return path


def need_data(*names):
    """Leaves, saying so, when a file of the test collections is missing."""
    for name in names:
        path = os.path.join(DATA, name)
        if not os.path.exists(path):
            print(f"{path} is not there: this benchmark needs the matrices of "
                  "bench/README.md; set INVAR_DATA to where they are.")
            sys.exit(77)


def note(text):
    print(f"  {text}", file=sys.stderr, flush=True)


# ---- the daemon ----

class Daemon:
    """An invard with a fresh directory, stopped by its process id."""

    def __init__(self, models=True, options=()):
        self.dir = tempfile.mkdtemp(prefix="invar-bench.")
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "log")
        self.options = list(options)
        if models:
            self.options += ["--models", os.path.join(ROOT, "demo", "models")]
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        environment = dict(os.environ)
        environment.pop("INVAR_KEY", None)
        self.started = time.perf_counter()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [invard_path(), "--data", self.data, "--listen",
                 "127.0.0.1:0", *self.options],
                stdout=subprocess.PIPE, stderr=log, env=environment)
        line = self.process.stdout.readline().decode()
        found = re.match(r"listening on http://(.*):(\d+)", line)
        if not found:
            self.process.wait()
            with open(self.log) as log:
                sys.exit("the daemon did not start:\n" + log.read())
        self.host, self.port = found.group(1), int(found.group(2))

    def wait_ready(self):
        """Seconds from the start of the process until /readyz says 200."""
        client = Client(self)
        while client.send("GET", "/readyz")[0] != 200:
            time.sleep(0.005)
        return time.perf_counter() - self.started

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code != 0:
            note(f"the daemon left with code {code}")
        self.process.stdout.close()
        self.process = None

    def rss_mb(self):
        """Resident: all of it, and the part that is no mapped file."""
        status = {}
        with open(f"/proc/{self.process.pid}/status") as file:
            for line in file:
                key, _, value = line.partition(":")
                status[key] = value.split()
        return (int(status["VmRSS"][0]) / 1024,
                int(status["RssAnon"][0]) / 1024)

    def disk_mb(self):
        total = 0
        for folder, _, names in os.walk(self.data):
            total += sum(os.path.getsize(os.path.join(folder, n))
                         for n in names)
        return total / (1 << 20)


class Failure(Exception):
    pass


class Client:
    """One keep-alive connection."""

    def __init__(self, daemon):
        self.http = http.client.HTTPConnection(daemon.host, daemon.port,
                                               timeout=600)

    def send(self, method, path, body=None, content="application/json"):
        headers = {} if body is None else {"Content-Type": content}
        self.http.request(method, path, body, headers)
        answer = self.http.getresponse()
        return answer.status, answer.read()

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        status, text = self.send(method, path, data)
        if status >= 300:
            raise Failure(f"{method} {path}: {status} {text.decode()[:500]}")
        return json.loads(text)

    def create(self, name, **settings):
        return self.call("PUT", f"/v1/collections/{name}", settings)

    def drop(self, name):
        self.call("DELETE", f"/v1/collections/{name}")

    def describe(self, name):
        return self.call("GET", f"/v1/collections/{name}")

    def bytes_per_document(self, name):
        about = self.describe(name)
        total = about["bytes"]["vectors"] + about["bytes"]["index"]
        return total / max(1, about["documents"])

    def search(self, name, body):
        return self.call("POST", f"/v1/collections/{name}/search", body)

    def put_texts(self, name, documents, batch=500):
        """documents: (id, text). Returns documents per second."""
        began = time.perf_counter()
        for i in range(0, len(documents), batch):
            self.call("PUT", f"/v1/collections/{name}/documents",
                      {"documents": [{"id": d, "text": t}
                                     for d, t in documents[i:i + batch]]})
        return len(documents) / (time.perf_counter() - began)

    def put_frames(self, name, frames):
        """Sends frames in requests of 8 MB; returns documents and seconds."""
        path = f"/v1/collections/{name}/documents/bulk"
        parts, size, count, seconds = [MAGIC], 0, 0, 0.0

        def flush():
            body = b"".join(parts)
            began = time.perf_counter()
            status, text = self.send("POST", path, body,
                                     "application/x-invar")
            took = time.perf_counter() - began
            if status != 200 or json.loads(text)["failed"]:
                raise Failure(f"bulk: {status} {text.decode()[:500]}")
            return took

        for one in frames:
            parts.append(one)
            size += len(one)
            count += 1
            if size >= UPLOAD_BYTES:
                seconds += flush()
                parts, size = [MAGIC], 0
        if size:
            seconds += flush()
        return count, seconds

    def rebuild(self, name, **body):
        """Asks for a rebuild and waits for its end; seconds."""
        began = time.perf_counter()
        job = self.call("POST", f"/v1/admin/collections/{name}/rebuild", body)
        while job["state"] in ("queued", "running"):
            time.sleep(0.02)
            job = self.call("GET", f"/v1/jobs/{job['id']}")
        if job["state"] != "succeeded":
            raise Failure(f"rebuild of {name}: {job}")
        return time.perf_counter() - began


def frame(name, matrix, dtype="f32", scales=None, payload=None):
    """One document of application/x-invar."""
    rows, dim = matrix.shape
    name = name.encode()
    extra = b"" if payload is None else json.dumps(payload).encode()
    codes = b"" if scales is None else scales.astype("<f2").tobytes()
    kind = {"f32": "<f4", "f16": "<f2", "i8": "i1"}[dtype]
    return b"".join((struct.pack("<H", len(name)), name,
                     struct.pack("<IIB", rows, dim, DTYPES[dtype]), codes,
                     matrix.astype(kind).tobytes(),
                     struct.pack("<I", len(extra)), extra))


# ---- data ----

def lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


class Collection:
    """Documents, queries and judgements in the form of BEIR."""

    def __init__(self, folder, qrels):
        corpus = [json.loads(x) for x in
                  lines(os.path.join(folder, "corpus.jsonl.gz"))]
        queries = [json.loads(x) for x in
                   lines(os.path.join(folder, "queries.jsonl.gz"))]
        self.ids = [d["_id"] for d in corpus]
        self.texts = [(d.get("title", "") + " " + d["text"]).strip()
                      for d in corpus]
        self.query_ids = [q["_id"] for q in queries]
        self.queries = [q["text"] for q in queries]
        relevant = {}
        for number, line in enumerate(lines(os.path.join(folder, qrels))):
            query, document, score = line.split("\t")
            if number > 0 and float(score) > 0:
                relevant.setdefault(query, set()).add(document)
        self.relevant = [relevant.get(q, set()) for q in self.query_ids]


def shipped_scifact():
    return Collection(os.path.join(ROOT, "demo", "scifact"),
                      "qrels/test.tsv.gz")


def shared(name):
    need_data(f"{name}/corpus.jsonl.gz", f"{name}/qrels.tsv.gz")
    return Collection(os.path.join(DATA, name), "qrels.tsv.gz")


def matrix(name):
    need_data(name)
    return np.load(os.path.join(DATA, name), mmap_mode="r")


class Tokens:
    """A set's token matrices of one model; [i] gives the parts of one."""

    def __init__(self, folder, model):
        base = f"{folder}/tokens/{model}"
        self.codes = matrix(f"{base}-docs.i8.npy")
        self.scales = matrix(f"{base}-docs.scale.f16.npy")
        self.offsets = matrix(f"{base}-docs.offsets.i64.npy")
        self.query_rows = matrix(f"{base}-queries.f16.npy")
        self.query_offsets = matrix(f"{base}-queries.offsets.i64.npy")
        self.dim = self.codes.shape[1]

    def frames(self, ids, dtype):
        for i, name in enumerate(ids):
            a, b = int(self.offsets[i]), int(self.offsets[i + 1])
            if dtype == "i8":
                yield frame(name, self.codes[a:b], "i8", self.scales[a:b])
            else:
                rows = (self.codes[a:b].astype(np.float32)
                        * self.scales[a:b, None].astype(np.float32))
                yield frame(name, rows, dtype)

    def queries(self):
        for i in range(len(self.query_offsets) - 1):
            a, b = int(self.query_offsets[i]), int(self.query_offsets[i + 1])
            yield np.asarray(self.query_rows[a:b], np.float32)


def mixture(count=200000):
    """Vectors like documents, as many as asked: normalise(.7 d_i + .3 d_j +
    .3 g / sqrt(384)) of SciFact's and Cranfield's minilm-l6 documents, i, j
    and g from seed 1. Also which d_i each came from, and the real queries."""
    sets = ("scifact", "cranfield")
    base = np.concatenate([matrix(f"{s}/vectors/minilm-l6-docs.f16.npy")
                           for s in sets]).astype(np.float32)
    queries = np.concatenate([matrix(f"{s}/vectors/minilm-l6-queries.f16.npy")
                              for s in sets]).astype(np.float32)
    draw = np.random.default_rng(1)
    first = draw.integers(len(base), size=count)
    second = draw.integers(len(base), size=count)
    rows = np.empty((count, base.shape[1]), np.float32)
    for at in range(0, count, 10000):
        end = min(count, at + 10000)
        noise = draw.standard_normal((end - at, base.shape[1]), np.float32)
        some = (.7 * base[first[at:end]] + .3 * base[second[at:end]] +
                .3 / math.sqrt(base.shape[1]) * noise)
        rows[at:end] = some / np.linalg.norm(some, axis=1, keepdims=True)
    return rows, first, queries


def mixture_frames(rows, payloads=None):
    for i, row in enumerate(rows):
        yield frame(f"v{i:06d}", row[None, :],
                    payload=None if payloads is None else payloads[i])


def b64(rows):
    """A query as the API takes it in JSON, base64 of little-endian f32."""
    import base64
    rows = np.ascontiguousarray(rows, "<f4")
    return {"b64": base64.b64encode(rows.tobytes()).decode(), "dtype": "f32",
            "shape": list(rows.shape)}


# ---- asking and judging ----

class Run:
    """What a set of queries got: ids in order, and the times."""

    def __init__(self):
        self.hits, self.scores, self.plans, self.times = [], [], [], []
        self.passes = []

    def p(self, share):
        times = sorted(self.times)
        return 1e3 * times[min(len(times) - 1, int(share * len(times)))]

    def qps(self):
        return sorted(self.passes)[len(self.passes) // 2]


def ask(client, name, bodies, passes=5, **more):
    """Sends every body once to warm up and to read the hits (keeping them),
    then `passes` times on the clock. more: fields for every body."""
    run = Run()
    path = f"/v1/collections/{name}/search"
    encoded = [json.dumps({**body, **more}).encode() for body in bodies]
    for body in encoded:
        status, text = client.send("POST", path, body)
        if status != 200:
            raise Failure(f"search: {status} {text.decode()[:500]}")
        answer = json.loads(text)
        run.hits.append([h["id"] for h in answer["hits"]])
        run.scores.append([h["score"] for h in answer["hits"]])
        run.plans.append(answer.get("plan"))
    for _ in range(passes):
        total = 0.0
        for body in encoded:
            began = time.perf_counter()
            status, _ = client.send("POST", path, body)
            took = time.perf_counter() - began
            if status != 200:
                raise Failure(f"search: {status}")
            run.times.append(took)
            total += took
        run.passes.append(len(encoded) / total)
    return run


def floor_ms(client, count=300):
    """What a request that asks for nothing takes: client, kernel, daemon."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        client.send("GET", "/v1")
        times.append(time.perf_counter() - began)
    return 1e3 * sorted(times)[count // 2]


def ndcg(hits, relevant, k=10):
    """nDCG@k with binary gains; queries without a judgement do not count."""
    total, count = 0.0, 0
    for found, right in zip(hits, relevant):
        if not right:
            continue
        gain = sum(1 / math.log2(i + 2) for i, name in enumerate(found[:k])
                   if name in right)
        ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(right))))
        total += gain / ideal
        count += 1
    return total / max(1, count)


def recall(hits, exact, k=10):
    """The share of the exact top k among all hits given."""
    shares = [len(set(e[:k]) & set(h)) / max(1, len(e[:k]))
              for h, e in zip(hits, exact)]
    return sum(shares) / max(1, len(shares))


# ---- what comes out ----

def machine():
    model = ""
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    version = subprocess.run([invard_path(), "--version"], text=True,
                             capture_output=True, check=False).stdout.strip()
    return {"cpu": model, "cores": os.cpu_count(), "invard": version,
            "load": os.getloadavg()[0],
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def width(fmt):
    return fmt.lstrip("<").split(".")[0].rstrip("d")


class Report:
    """Rows to a table on standard output and to bench/results/NAME.json."""

    def __init__(self, name, title):
        self.name, self.rows, self.checks = name, [], []
        self.machine = machine()
        print(f"{title}\n{self.machine['invard']}, {self.machine['cpu']}, "
              f"{self.machine['cores']} cores, load "
              f"{self.machine['load']:.1f}: times on a busy machine are upper "
              "bounds", flush=True)

    def heading(self, text, columns):
        self.columns = columns
        print(f"\n{text}")
        print(" | ".join(
            f"{title:{'<' if fmt[0] == '<' else '>'}{width(fmt)}}"
            for title, fmt in columns), flush=True)
        self.section = text

    def row(self, *values):
        cells = []
        for value, (_, fmt) in zip(values, self.columns):
            side = "<" if fmt[0] == "<" else ">"
            if value is None or isinstance(value, str):
                cells.append(f"{value or '-':{side}{width(fmt)}}")
            else:
                cells.append(f"{value:{fmt}}")
        print(" | ".join(cells), flush=True)
        self.rows.append({"section": self.section, **{
            title: value for value, (title, _) in zip(values, self.columns)}})

    def check(self, text, value, low=None, high=None):
        """A bar: value >= low, value <= high. Remembered for the end."""
        good = ((low is None or value >= low - 1e-9) and
                (high is None or value <= high + 1e-9))
        bar = " and ".join(
            [f"{sign} {bound:.4g}" for sign, bound in ((">=", low),
                                                       ("<=", high))
             if bound is not None])
        self.checks.append({"check": text, "value": value, "bar": bar,
                            "passed": good})
        return good

    def near(self, text, value, expected, within):
        self.check(f"{text} (expected {expected:.3f})", value,
                   expected - within, expected + within)

    def finish(self, **more):
        print()
        for check in self.checks:
            print(f"{'ok  ' if check['passed'] else 'MISS'} {check['check']}: "
                  f"{check['value']:.4g}, bar {check['bar']}")
        os.makedirs(RESULTS, exist_ok=True)
        path = os.path.join(RESULTS, self.name + ".json")
        with open(path, "w") as file:
            json.dump({"machine": self.machine, "rows": self.rows,
                       "checks": self.checks, **more}, file, indent=1)
        missed = sum(not check["passed"] for check in self.checks)
        print(f"{len(self.checks) - missed} of {len(self.checks)} bars met; "
              f"rows in {os.path.relpath(path)}", flush=True)
        return 1 if missed else 0


def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread
