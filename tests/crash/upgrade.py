#!/usr/bin/env python3
"""Kills the daemon at every step of a model upgrade and looks at what is left.

A small gallery goes through a whole upgrade: vectors of the new model are
posted, an adapter is fitted, bridge and cascade are activated, the rest is
posted, the cutover happens, is rolled back, happens again, and the old vectors
are dropped. At each step the daemon is killed with SIGKILL at random moments,
before, while and just after the step is made, and is started again: the
upgrade must be as it was before the step or as it is after it, never between,
the journal must tell which, what was acknowledged must be there, the directory
must verify clean, and the searches must find exactly what they found when the
upgrade stood there the first time.

Only processes started here are ended, by their id; only loopback is used.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from crash import Broken, Client, Daemon, Gone

DIM = 12
DOCUMENTS = 240
QUERIES = 40
NAME = "gallery"
AT = f"/v1/collections/{NAME}"
OLD, NEW = "m@1", "m@2"
CONFIG = """\
fresh_limit = 100
log_file_bytes = 64K
seal_after = 50ms
seal_min = 24
workers = 4
build_threads = 1
log_level = info
"""


def unit(vector):
    norm = sum(x * x for x in vector) ** .5
    return [x / norm for x in vector]


def rotation(rng):
    """Rows of an orthogonal matrix, by Gram-Schmidt."""
    rows = []
    while len(rows) < DIM:
        row = [rng.gauss(0, 1) for _ in range(DIM)]
        for other in rows:
            dot = sum(a * b for a, b in zip(row, other))
            row = [a - dot * b for a, b in zip(row, other)]
        rows.append(unit(row))
    return rows


class World:
    """Documents and queries in two models: the new one is a turned copy of the
    old one, a little better than it."""

    def __init__(self, seed):
        rng = random.Random(f"world {seed}")
        turn = rotation(rng)

        def near(vector, noise):
            return unit([x + rng.gauss(0, noise) for x in vector])

        def turned(vector):
            return [sum(a * b for a, b in zip(row, vector)) for row in turn]
        truth = [unit([rng.gauss(0, 1) for _ in range(DIM)])
                 for _ in range(DOCUMENTS)]
        self.old = [near(t, .06) for t in truth]
        self.new = [turned(near(t, .03)) for t in truth]
        self.relevant = [rng.randrange(DOCUMENTS) for _ in range(QUERIES)]
        asked = [near(truth[r], .1) for r in self.relevant]
        self.old_queries = asked
        self.new_queries = [turned(q) for q in asked]


def expect(answer, statuses, what):
    status, body = answer
    if status not in statuses:
        raise Broken(f"{what}: {status} {body}")
    return body


class Upgrade:
    def __init__(self, args):
        self.args = args
        self.rng = random.Random(args.seed)
        self.world = World(args.seed)
        self.seen = {}      # where the upgrade stands -> what searches found
        self.posted = set()  # documents whose new vector was acknowledged
        self.kills = {}
        self.checks = 0
        self.data = os.path.join(args.dir, "data")
        self.config = os.path.join(args.dir, "invard.conf")
        self.log = os.path.join(args.dir, "invard.log")
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(CONFIG)
        self.daemon = None
        self.client = None

    # ---- the daemon

    def start(self):
        self.daemon = Daemon(self.args.invard, self.data, self.config,
                             self.log)
        self.daemon.listen()
        self.daemon.wait_ready()
        self.client = Client(self.daemon.port)

    def kill(self):
        self.daemon.end(signal.SIGKILL)

    def verify(self):
        done = subprocess.run([self.args.invar, "verify", self.data],
                              capture_output=True, timeout=120, check=False)
        if done.returncode != 0:
            raise Broken(f"verify: exit code {done.returncode}\n"
                         f"{done.stdout.decode()}{done.stderr.decode()}")

    def call(self, method, path, body=None, want=(200,)):
        return expect(self.client.call(method, path, body), want,
                      f"{method} {path}")

    def wait_for_jobs(self):
        for _ in range(3000):
            jobs = self.call("GET", "/v1/jobs")["jobs"]
            if all(job["state"] not in ("queued", "running") for job in jobs):
                return jobs
            time.sleep(.02)
        raise Broken("a job does not end")

    # ---- what can be seen

    def migration(self):
        return self.call("GET", AT + "/migration")

    def place(self):
        """Where the upgrade stands, as far as it decides what is found."""
        m = self.migration()
        return (m["state"], m["query_model"], m["gallery_model"],
                m["adapter"], self.has_adapter(), self.vectors(OLD),
                self.vectors(NEW))

    def vectors(self, model):
        return self.call("GET", f"{AT}/models/{model}")["vectors"]

    def signature(self):
        """What searches find: unlabelled ones, and those of each model."""
        out = []
        for model in (None, OLD, NEW):
            for i in range(0, QUERIES, 8):
                body = {"limit": 10, "params": {"need_vectors": 0}}
                query = self.world.old_queries if model == OLD or (
                    model is None and self.migration()["query_model"] == OLD
                ) else self.world.new_queries
                body["vector"] = query[i]
                if model is not None:
                    body["model"] = model
                status, answer = self.client.call("POST", AT + "/search", body)
                if status == 409:
                    out.append((model, i, answer["code"]))
                    continue
                expect((status, answer), (200,), "search")
                ids = [hit["id"] for hit in answer["hits"]]
                if len(set(ids)) != len(ids) or len(ids) != 10:
                    raise Broken(f"{len(ids)} hits: {ids}")
                out.append((model, i, tuple(
                    (hit["id"], round(hit["score"], 3))
                    for hit in answer["hits"])))
        return out

    @staticmethod
    def same(a, b):
        for x, y in zip(a, b):
            if x[:2] != y[:2] or isinstance(x[2], str) != isinstance(y[2], str):
                return False
            if isinstance(x[2], str):
                if x[2] != y[2]:
                    return False
                continue
            if any(abs(p[1] - q[1]) > .003 for p, q in zip(x[2], y[2])):
                return False
            if len({p[0] for p in x[2]} ^ {q[0] for q in y[2]}) > 2:
                return False
        return len(a) == len(b)

    def check(self, what):
        """The state is one that was seen whole, and finds what it found."""
        place = self.place()
        found = self.signature()
        known = self.seen.get(place)
        if known is None:
            self.seen[place] = found
        elif not self.same(known, found):
            raise Broken(f"{what}: {place} finds something else than before")
        journal = self.migration()["journal"]
        if journal and journal[0]["to"]["state"] != place[0]:
            raise Broken(f"{what}: the journal ends in {journal[0]['to']}, "
                         f"the state is {place[0]}")
        count = self.call("POST", AT + "/documents/count", {})["count"]
        if count != DOCUMENTS:
            raise Broken(f"{what}: {count} documents")
        if place[6] < len(self.posted):
            raise Broken(f"{what}: {place[6]} vectors, {len(self.posted)} "
                         "were acknowledged")
        self.checks += 1
        return place

    # ---- steps

    def post(self, ids):
        self.call("POST", f"{AT}/models/{NEW}/vectors", {"vectors": [
            {"id": f"d{i}", "vector": self.world.new[i]} for i in ids]})
        self.posted |= set(ids)

    def fit(self):
        job = self.call("POST", AT + "/adapters",
                        {"from": NEW, "kind": "procrustes", "name": "p"},
                        (202, 409))
        if "id" in job:
            self.wait_for_jobs()

    def has_adapter(self):
        names = [a["name"] for a in self.call("GET", AT + "/adapters")
                 ["adapters"]]
        if len(names) != len(set(names)):
            raise Broken(f"an adapter twice: {names}")
        return "p" in names

    def activate(self, mode):
        self.call("POST", AT + "/activate", {"model": NEW, "adapter": "p",
                                             "mode": mode, "force": True})

    def cutover(self):
        self.call("POST", AT + "/activate", {"model": NEW, "mode": "cutover"},
                  (202,))
        self.wait_for_jobs()

    def rollback(self):
        self.call("POST", AT + "/rollback", {})

    def drop(self):
        self.call("DELETE", f"{AT}/models/{OLD}/vectors")

    def setup(self):
        self.start()
        self.call("PUT", AT, {"kind": "single", "dim": DIM, "metric": "cosine",
                              "model": {"name": "m", "revision": "1"}}, (201,))
        self.call("PUT", AT + "/documents", {"documents": [
            {"id": f"d{i}", "vector": v, "payload": {"n": i}}
            for i, v in enumerate(self.world.old)]})
        self.call("PUT", f"{AT}/models/{NEW}", {"dim": DIM}, (201,))
        self.call("POST", f"{AT}/models/{NEW}/queries", {"queries": [
            {"id": f"q{i}", "vector": self.world.new_queries[i],
             "old": {"model": OLD, "vector": self.world.old_queries[i]},
             "relevant": [f"d{self.world.relevant[i]}"]}
            for i in range(QUERIES)]})

    # ---- one step, with kills

    def attempt(self, step, delay):
        """Kills `delay` seconds after the step began; did it come through?"""
        done = []
        timer = threading.Timer(delay, self.kill)
        timer.start()
        try:
            step()
            done.append(True)
        except Gone:
            pass
        except Broken as error:
            if self.daemon.process.poll() is None:
                timer.cancel()
                raise Broken(str(error)) from error
        timer.join()
        return bool(done)

    def killed_step(self, name, step, is_done, kills):
        """Kills the step until it was killed `kills` times; ends with it made.
        After each kill the state is the one before or the one after."""
        took = self.time_of(name, step)
        for number in range(kills):
            before = self.check(f"{name}, before")
            acknowledged = self.attempt(step, self.rng.uniform(0, 1.2 * took))
            self.verify()
            self.start()
            self.wait_for_jobs()
            made = is_done()
            if acknowledged and not made:
                raise Broken(f"{name}: acknowledged, and gone after a kill")
            place = self.check(f"{name}, killed")
            if not made and place != before and name != "backfill" and \
                    name != "cutover":
                raise Broken(f"{name}: {before} became {place}, which is "
                             "neither before nor after")
            key = "after" if made else "before"
            self.kills.setdefault(name, {"before": 0, "after": 0})[key] += 1
            if made and number + 1 < kills:
                self.undo(name)
        if not is_done():
            step()
        if not is_done():
            raise Broken(f"{name}: cannot be made")
        self.check(f"{name}, after")

    def time_of(self, name, step):
        """How long the step takes; it is undone again where that can be."""
        if name in ("backfill", "drop"):
            return .01
        began = time.perf_counter()
        step()
        took = time.perf_counter() - began
        self.check(f"{name}, once")
        self.undo(name)
        return took

    def undo(self, name):
        if name == "fit":
            self.call("DELETE", AT + "/adapters/p")
        elif name in ("activate bridge", "activate cascade", "cutover"):
            self.rollback()
        elif name == "rollback":
            self.cutover()

    def state_is(self, *names):
        return lambda: self.migration()["state"] in names

    def go(self):
        kills = self.args.kills
        self.setup()
        self.check("the beginning")
        half = list(range(0, DOCUMENTS, 2))
        self.post(half)
        self.killed_step("fit", self.fit, self.has_adapter, kills)
        self.killed_step("activate bridge", lambda: self.activate("bridge"),
                         self.state_is("BRIDGED"), kills)
        self.killed_step("activate cascade", lambda: self.activate("cascade"),
                         self.state_is("CASCADE"), kills)
        rest = [i for i in range(DOCUMENTS) if i % 2]
        for number in range(kills):
            part = rest[number::kills]
            self.killed_step("backfill", lambda part=part: self.post(part),
                             lambda part=part: self.covered(part), 1)
        self.killed_step("cutover", self.cutover, self.state_is("CUTOVER"),
                         kills)
        self.killed_step("rollback", self.rollback, self.state_is("CASCADE"),
                         kills)
        self.cutover()
        self.check("cutover again")
        self.killed_step("drop", self.drop, self.state_is("DONE"), 1)
        self.kill()
        self.verify()

    def covered(self, part):
        """Stored also when the answer was lost."""
        there = self.vectors(NEW) >= len(self.posted | set(part))
        self.posted |= set(part) if there else set()
        return there


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10,
                        help="of each step (10)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--invard", default="build/release/invard")
    parser.add_argument("--invar", default="build/release/invar")
    parser.add_argument("--dir", help="kept; default: a temporary one")
    args = parser.parse_args()
    keep = args.dir is not None
    if keep:
        os.makedirs(args.dir, exist_ok=True)
    else:
        args.dir = tempfile.mkdtemp(prefix="invar-crash-")
    upgrade = Upgrade(args)
    began = time.time()
    try:
        upgrade.go()
    except (Broken, Gone) as error:
        print(f"seed {args.seed}: {error}\nwhat is left: {args.dir}\n"
              f"{upgrade.checks} passed, 1 failed")
        return 1
    finally:
        if upgrade.daemon is not None:
            upgrade.daemon.abandon()
    for name, counts in upgrade.kills.items():
        print(f"{name:17} killed {sum(counts.values()):3} times: "
              f"{counts['before']} as before, {counts['after']} as after")
    print(f"{time.time() - began:.0f} s, {len(upgrade.seen)} places of the "
          f"upgrade, each finding the same every time")
    print(f"{upgrade.checks} passed, 0 failed")
    if not keep:
        shutil.rmtree(args.dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
