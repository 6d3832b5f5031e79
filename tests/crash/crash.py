#!/usr/bin/env python3
"""Kills the daemon at random moments and looks at what is left.

Each round starts invard on the same directory, lets writers, searchers, jobs
and a client that makes and deletes collections work on it, kills it with
SIGKILL (now and then SIGTERM, now and then while it starts), runs `invar
verify` on the directory, starts it again and compares every document with what
was acknowledged. What was in flight may be there wholly or not at all.

Everything random comes from --seed, except the moments at which threads and
processes run. Only processes started here are ended, by their id; only
loopback is used.
"""
import argparse
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SINGLE_DIM = 12
MULTI_DIM = 8
COLLECTIONS = {
    "single": {"kind": "single", "dim": SINGLE_DIM, "metric": "l2",
               "payload_index": {"v": "integer"}},
    "multi": {"kind": "multi", "dim": MULTI_DIM, "metric": "ip",
              "encoder": {"type": "muvera", "variant": "muvera+",
                          "preset": "small", "seed": 7}},
}
CONFIG = """\
fresh_limit = 200
log_file_bytes = 64K
seal_after = 20ms
seal_min = 24
workers = 6
build_threads = 1
log_level = info
"""


class Broken(Exception):
    """What was found does not agree with what was acknowledged."""


class Gone(Exception):
    """The daemon left while a request was under way."""


def numbers(doc, version, count):
    """Numbers that tell apart every version of every document."""
    state = (hash_of(doc) * 1000003 + version * 7919 + 12345) & 0xFFFFFFFF
    out = []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(((state >> 8) % 2001 - 1000) / 1024)
    return out


def hash_of(text):
    value = 2166136261
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def vectors_of(collection, doc, version):
    if collection == "single":
        return numbers(doc, version, SINGLE_DIM)
    rows = 2 + version % 4
    flat = numbers(doc, version, rows * MULTI_DIM)
    return [flat[i * MULTI_DIM:(i + 1) * MULTI_DIM] for i in range(rows)]


def key_of(collection):
    return "vector" if collection == "single" else "vectors"


class Client:
    def __init__(self, port, timeout=60):
        self.port = port
        self.http = http.client.HTTPConnection("127.0.0.1", port,
                                               timeout=timeout)

    def call(self, method, path, body=None, kind="application/json"):
        data = body if isinstance(body, (bytes, type(None))) else \
            json.dumps(body).encode()
        try:
            self.http.request(method, path, data,
                              {"Content-Type": kind} if data else {})
            answer = self.http.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.http.close()
            raise Gone(str(error)) from error
        try:
            return answer.status, json.loads(text) if text else None
        except ValueError as error:
            raise Broken(f"{method} {path}: no JSON: {text[:200]}") from error


class Ledger:
    """Per document what it may be: (version, patch) or None for absent."""

    def __init__(self):
        self.lock = threading.Lock()
        self.docs = {name: {} for name in COLLECTIONS}
        self.groups = []     # in flight, all or nothing: (collection, {id: state})
        self.temporary = {}  # name -> set of allowed: True, False (exists)
        self.acknowledged = 0

    def allowed(self, name, doc):
        return self.docs[name].get(doc, [None])

    def begin(self, name, changes):
        with self.lock:
            for doc, state in changes.items():
                self.docs[name].setdefault(doc, [None]).append(state)
            self.groups.append((name, dict(changes)))
            return len(self.groups) - 1

    def end(self, name, changes, done):
        """done: True applied, False refused, None unknown."""
        with self.lock:
            if done is None:
                return
            for doc, state in changes.items():
                states = self.docs[name][doc]
                states.remove(state)
                if done:
                    self.docs[name][doc] = [state]
            self.groups = [g for g in self.groups
                           if g != (name, changes)]
            if done:
                self.acknowledged += len(changes)

    def settle(self, name, found):
        """After a check: what is there is what is."""
        with self.lock:
            for doc in list(self.docs[name]):
                self.docs[name][doc] = [found.get(doc)]
            self.groups = [g for g in self.groups if g[0] != name]


class Daemon:
    def __init__(self, program, data, config, log):
        self.log = open(log, "ab")
        self.process = subprocess.Popen(
            [program, "--data", data, "--config", config, "--listen",
             "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=self.log)
        self.port = None

    def listen(self):
        line = self.process.stdout.readline().decode()
        match = re.match(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if not match:
            raise Broken(f"the daemon said {line!r} and left with "
                         f"{self.process.wait()}")
        self.port = int(match.group(1))

    def wait_ready(self, seconds=60):
        end = time.time() + seconds
        while time.time() < end:
            status, answer = Client(self.port).call("GET", "/readyz")
            if status == 200:
                return answer
            for one in answer["collections"]:
                if one["state"] == "failed":
                    raise Broken(f"collection failed: {one}")
            time.sleep(0.01)
        raise Broken("not ready in time")

    def end(self, how):
        if self.process.poll() is not None:
            raise Broken(f"the daemon ended by itself with "
                         f"{self.process.returncode}")
        self.process.send_signal(how)
        code = self.process.wait(60)
        self.process.stdout.close()
        self.log.close()
        if how == signal.SIGTERM and code != 0:
            raise Broken(f"SIGTERM gave exit code {code}")

    def abandon(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


# ---- what goes on while it runs -------------------------------------------

class Load:
    def __init__(self, port, ledger, seed):
        self.port, self.ledger, self.seed = port, ledger, seed
        self.stop = threading.Event()
        self.broken = []
        self.doing = {}  # what is under way, per thread
        self.threads = []

    def start(self, work, *args):
        name = f"{work.__name__}{len(self.threads)}"

        def run():
            rng = random.Random(f"{self.seed}/{name}")
            while not self.stop.is_set():
                try:
                    work(name, rng, Client(self.port, 30), *args)
                except Gone:
                    # A killed daemon; a restart is a new Load.
                    if not self.stop.wait(0.02):
                        continue
                except Broken as error:
                    self.broken.append(str(error))
                    return
        thread = threading.Thread(target=run, name=name)
        self.threads.append(thread)
        thread.start()

    def finish(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def write(self, name, rng, client, part):
        """The documents of one part are written by one thread."""
        while not self.stop.is_set():
            collection = rng.choice(["single", "single", "multi"])
            ids = [f"{part}/{rng.randrange(250)}"
                   for _ in range(rng.choice([1, 1, 3, 10, 40]))]
            ids = list(dict.fromkeys(ids))
            what = rng.random()
            if what < 0.6:
                self.upsert(name, rng, client, collection, ids)
            elif what < 0.7:
                self.bulk(name, rng, client, collection, ids)
            elif what < 0.85:
                self.delete(name, client, collection, ids)
            else:
                self.patch(name, rng, client, collection, ids[0])

    def tell(self, name, collection, changes, send):
        self.ledger.begin(collection, changes)
        try:
            status, answer = send()
        except Gone:
            self.ledger.end(collection, changes, None)
            raise
        if status == 503:
            self.ledger.end(collection, changes, False)
            return answer
        if status != 200:
            raise Broken(f"{name}: {status} {answer}")
        self.ledger.end(collection, changes, True)
        return answer

    def fresh(self, rng, collection, ids):
        changes = {doc: (rng.randrange(1, 1 << 30), None) for doc in ids}
        documents = [{"id": doc, key_of(collection):
                      vectors_of(collection, doc, state[0]),
                      "payload": {"v": state[0], "id": doc}}
                     for doc, state in changes.items()]
        return changes, documents

    def upsert(self, name, rng, client, collection, ids):
        changes, documents = self.fresh(rng, collection, ids)
        self.tell(name, collection, changes, lambda: client.call(
            "PUT", f"/v1/collections/{collection}/documents",
            {"documents": documents}))

    def bulk(self, name, rng, client, collection, ids):
        changes, documents = self.fresh(rng, collection, ids)
        lines = b"".join(json.dumps(d).encode() + b"\n" for d in documents)
        self.tell(name, collection, changes, lambda: client.call(
            "POST", f"/v1/collections/{collection}/documents/bulk", lines,
            "application/x-ndjson"))

    def delete(self, name, client, collection, ids):
        changes = {doc: None for doc in ids}
        self.tell(name, collection, changes, lambda: client.call(
            "POST", f"/v1/collections/{collection}/documents/delete",
            {"ids": ids}))

    def patch(self, name, rng, client, collection, doc):
        states = self.ledger.allowed(collection, doc)
        if len(states) != 1 or states[0] is None:
            return
        change = rng.randrange(1, 1 << 30)
        path = doc.replace("/", "%2F")
        self.tell(name, collection, {doc: (states[0][0], change)},
                  lambda: client.call(
                      "PATCH",
                      f"/v1/collections/{collection}/documents/{path}",
                      {"payload": {"p": change}}))

    def jobs(self, name, rng, client):
        while not self.stop.is_set():
            collection = rng.choice(list(COLLECTIONS))
            kind = rng.choice(["rebuild", "rebuild", "compact"])
            body = {}
            if kind == "rebuild":
                body = rng.choice([{}, {"index": {"type": "flat"}},
                                   {"index": {"type": "hnsw"}},
                                   {"index": {"type": "ivf_flat"}}])
            if kind == "rebuild" and collection == "multi" and \
                    rng.random() < .3:
                body = dict(body, relearn=True)
            status, job = client.call(
                "POST", f"/v1/admin/collections/{collection}/{kind}", body)
            if status != 202:
                self.stop.wait(0.02)
                continue
            self.doing[name] = kind
            path = f"/v1/jobs/{job['id']}"
            while not self.stop.is_set() and \
                    job.get("state") in ("queued", "running"):
                self.stop.wait(0.005)
                _, job = client.call("GET", path)
            if job.get("state") == "failed":
                raise Broken(f"job failed: {job}")
            if not self.stop.is_set():
                self.doing[name] = None

    def come_and_go(self, name, rng, client):
        """Collections that are made, filled and deleted."""
        while not self.stop.is_set():
            temporary = f"t{rng.randrange(3)}"
            body = {"kind": "single", "dim": 4, "metric": "ip"}
            there = self.ledger.temporary.get(temporary, {False})
            self.ledger.temporary[temporary] = there | {True}
            status, answer = client.call(
                "PUT", f"/v1/collections/{temporary}", body)
            if status not in (200, 201):
                raise Broken(f"create {temporary}: {status} {answer}")
            self.ledger.temporary[temporary] = {True}
            documents = [{"id": i, "vector": [i, 1, 0, 0]}
                         for i in range(1, 40)]
            client.call("PUT", f"/v1/collections/{temporary}/documents",
                        {"documents": documents})
            if rng.random() < .5:
                client.call("POST",
                            f"/v1/admin/collections/{temporary}/rebuild", {})
            self.ledger.temporary[temporary] = {True, False}
            status, answer = client.call("DELETE",
                                         f"/v1/collections/{temporary}")
            if status not in (200, 204):
                raise Broken(f"delete {temporary}: {status} {answer}")
            self.ledger.temporary[temporary] = {False}
            self.stop.wait(0.02)

    def search(self, name, rng, client):
        """A hit is one version of a document: its score is the one of the
        vector that its payload names."""
        while not self.stop.is_set():
            query = [rng.uniform(-1, 1) for _ in range(SINGLE_DIM)]
            body = {"vector": query, "limit": 10, "with": {"payload": True}}
            if rng.random() < .3:
                body["filter"] = {"must": [{"key": "v", "range":
                                            {"gte": 1 << 29}}]}
            status, answer = client.call("POST",
                                         "/v1/collections/single/search", body)
            if status == 503:
                continue
            if status != 200:
                raise Broken(f"search: {status} {answer}")
            if len({hit["id"] for hit in answer["hits"]}) != \
                    len(answer["hits"]):
                raise Broken(f"a document twice: {answer}")
            for hit in answer["hits"]:
                version = hit["payload"]["v"]
                vector = numbers(hit["id"], version, SINGLE_DIM)
                score = -sum((a - b) ** 2 for a, b in zip(query, vector))
                if hit["payload"]["id"] != hit["id"] or \
                        abs(score - hit["score"]) > 1e-3:
                    raise Broken(f"half of {hit}: score would be {score}")


# ---- what must be there ----------------------------------------------------

def read_all(client, collection):
    found = {}
    cursor = None
    while True:
        body = {"limit": 500, "with": {"payload": True, "vectors": True}}
        if cursor is not None:
            body["cursor"] = cursor
        status, page = client.call(
            "POST", f"/v1/collections/{collection}/documents/scroll", body)
        if status != 200:
            raise Broken(f"scroll: {status} {page}")
        for document in page["documents"]:
            if document["id"] in found:
                raise Broken(f"{document['id']} is there twice")
            found[document["id"]] = document
        cursor = page["cursor"]
        if cursor is None:
            return found


def same_vectors(have, want, tolerance):
    flat = [x for row in have for x in row] if isinstance(have[0], list) \
        else have
    other = [x for row in want for x in row] if isinstance(want[0], list) \
        else want
    return len(flat) == len(other) and \
        all(abs(a - b) <= tolerance for a, b in zip(flat, other))


def state_of(collection, doc, document):
    payload = document["payload"]
    if payload.get("id") != doc:
        raise Broken(f"{collection}/{doc} has the payload {payload}")
    want = vectors_of(collection, doc, payload["v"])
    if not same_vectors(document[key_of(collection)], want, 1e-3):
        raise Broken(f"{collection}/{doc}: vectors of another version than "
                     f"its payload {payload}")
    return payload["v"], payload.get("p")


def check_collection(client, ledger, collection):
    found = {doc: state_of(collection, doc, document)
             for doc, document in read_all(client, collection).items()}
    for doc in set(found) | set(ledger.docs[collection]):
        if found.get(doc) not in ledger.allowed(collection, doc):
            raise Broken(
                f"{collection}/{doc} is {found.get(doc)}, acknowledged or in "
                f"flight: {ledger.allowed(collection, doc)}")
    for name, group in ledger.groups:
        # Later writes of a group's thread never happened: it was the last.
        if name != collection:
            continue
        applied = [found.get(doc) == state for doc, state in group.items()]
        changed = [applied[i] for i, (doc, state) in enumerate(group.items())
                   if ledger.allowed(name, doc)[0] != state]
        if changed and any(changed) != all(changed):
            raise Broken(f"{collection}: half of {list(group)[:5]}...")
    ledger.settle(collection, found)
    return found


def check_searchable(client, collection, found):
    docs = list(found.items())
    for start in range(0, len(docs), 200):
        part = docs[start:start + 200]
        searches = [{key_of(collection): vectors_of(collection, doc, state[0]),
                     "limit": 1 if collection == "single" else 20,
                     "filter": {"must": [{"ids": [doc]}]}
                     if collection == "multi" else
                     {"must": [{"key": "v", "match": state[0]}]}}
                    for doc, state in part]
        status, answer = client.call(
            "POST", f"/v1/collections/{collection}/search/batch",
            {"searches": searches})
        if status != 200:
            raise Broken(f"search: {status} {answer}")
        results = answer.get("results", answer.get("answers"))
        for (doc, state), result in zip(part, results):
            if doc not in [hit["id"] for hit in result["hits"]]:
                raise Broken(f"{collection}/{doc} {state} is not found by its "
                             f"own vector: {result}")
    # Without a filter: nothing deleted comes back.
    for doc, state in random.Random(len(docs)).sample(docs, min(30, len(docs))):
        status, answer = client.call(
            "POST", f"/v1/collections/{collection}/search",
            {key_of(collection): vectors_of(collection, doc, state[0]),
             "limit": 100})
        if status != 200:
            raise Broken(f"search: {status} {answer}")
        ids = [hit["id"] for hit in answer["hits"]]
        gone = [one for one in ids if one not in found]
        if gone or len(ids) != min(100, len(found)):
            raise Broken(f"{collection}: {len(ids)} hits of {len(found)} "
                         f"documents, deleted among them: {gone}")
        if collection == "single" and ids[0] != doc:
            raise Broken(f"{collection}/{doc}: the best hit is {ids[0]}")


def check(client, ledger):
    total = 0
    for collection in COLLECTIONS:
        found = check_collection(client, ledger, collection)
        check_searchable(client, collection, found)
        total += len(found)
    _, answer = client.call("GET", "/v1/collections")
    names = {one["name"] for one in answer["collections"]}
    for name, allowed in ledger.temporary.items():
        if (name in names) not in allowed:
            raise Broken(f"collection {name}: {name in names}, but {allowed}")
        ledger.temporary[name] = {name in names}
    status, answer = client.call("GET", "/v1/jobs")
    if status != 200:
        raise Broken(f"jobs: {status}")
    return total


# ---- rounds ------------------------------------------------------------------

class Run:
    def __init__(self, args):
        self.args = args
        self.rng = random.Random(args.seed)
        self.ledger = Ledger()
        self.phases = {}
        self.data = os.path.join(args.dir, "data")
        self.config = os.path.join(args.dir, "invard.conf")
        self.log = os.path.join(args.dir, "invard.log")
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(CONFIG)

    def daemon(self):
        return Daemon(self.args.invard, self.data, self.config, self.log)

    def verify(self):
        done = subprocess.run([self.args.invar, "verify", self.data],
                              capture_output=True, timeout=120, check=False)
        if done.returncode != 0:
            raise Broken(f"verify: exit code {done.returncode}\n"
                         f"{done.stdout.decode()}{done.stderr.decode()}")

    def count(self, phase):
        self.phases[phase] = self.phases.get(phase, 0) + 1

    def work(self, daemon, number):
        load = Load(daemon.port, self.ledger, f"{self.args.seed}/{number}")
        for part in ("a", "b", "c", "d/%"):
            load.start(load.write, part.replace("%", "x"))
        load.start(load.jobs)
        load.start(load.search)
        load.start(load.come_and_go)
        time.sleep(self.rng.uniform(0.15, 1.6))
        gentle = self.rng.random() < .1
        kinds = [kind for kind in load.doing.values() if kind]
        try:
            daemon.end(signal.SIGTERM if gentle else signal.SIGKILL)
        finally:
            load.finish()
        if load.broken:
            raise Broken(load.broken[0])
        self.count("stopped by SIGTERM" if gentle else
                   kinds[0] if kinds else "writing")

    def round(self, number):
        daemon = self.daemon()
        try:
            if number > 0 and self.rng.random() < .15:
                time.sleep(self.rng.uniform(0, 0.15))
                daemon.end(signal.SIGKILL)
                self.count("starting")
            else:
                daemon.listen()
                if number == 0:
                    client = Client(daemon.port)
                    for name, body in COLLECTIONS.items():
                        status, answer = client.call(
                            "PUT", f"/v1/collections/{name}", body)
                        if status != 201:
                            raise Broken(f"create: {status} {answer}")
                daemon.wait_ready()
                self.work(daemon, number)
        finally:
            daemon.abandon()
        self.verify()
        daemon = self.daemon()
        try:
            daemon.listen()
            answer = daemon.wait_ready()
            bad = [one for one in answer["collections"]
                   if one["state"] == "degraded"]
            if bad:
                raise Broken(f"degraded after the start: {bad}")
            total = check(Client(daemon.port), self.ledger)
            daemon.end(signal.SIGKILL)
        finally:
            daemon.abandon()
        return total

    def go(self):
        began = time.time()
        for number in range(self.args.rounds):
            before = self.ledger.acknowledged
            try:
                total = self.round(number)
            except (Broken, Gone) as error:
                print(f"round {number + 1} (seed {self.args.seed}): {error}")
                print(f"what is left: {self.args.dir}")
                print(f"{number} passed, 1 failed")
                return 1
            if not self.args.quiet:
                print(f"round {number + 1}: "
                      f"{self.ledger.acknowledged - before} writes, {total} "
                      "documents", flush=True)
        phases = ", ".join(f"{n} {phase}" for phase, n in
                           sorted(self.phases.items()))
        print(f"{self.args.rounds} rounds in {time.time() - began:.0f} s, "
              f"{self.ledger.acknowledged} acknowledged document writes; "
              f"killed during: {phases}")
        print(f"{self.args.rounds} passed, 0 failed")
        return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--invard", default="build/release/invard")
    parser.add_argument("--invar", default="build/release/invar")
    parser.add_argument("--dir", help="kept; default: a temporary one")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    keep = args.dir is not None
    if keep:
        os.makedirs(args.dir, exist_ok=True)
    else:
        args.dir = tempfile.mkdtemp(prefix="invar-crash-")
    socket.setdefaulttimeout(60)
    code = Run(args).go()
    if code == 0 and not keep:
        shutil.rmtree(args.dir)
    return code


if __name__ == "__main__":
    sys.exit(main())
