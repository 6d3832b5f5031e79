"""Reads exceptions.txt, the list that may only shrink. A check asks permits()
for each finding and report() at its end: entries of its rules that nothing
needed any more, or not to that extent, are findings themselves.
"""

import os

import sources

NAME = "tests/lint/exceptions.txt"


class Exceptions:
    def __init__(self, rules):
        self.entries = {}
        self.problems = []
        ceiling, count = None, 0
        for at, line in enumerate(sources.read(NAME).split("\n"), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            words = line.split(None, 3)
            if words[0] == "entries" and len(words) == 2:
                ceiling = int(words[1])
                continue
            count += 1
            if len(words) < 4 or not words[2].isdigit():
                self.problems.append("%s:%d: expected RULE WHAT NUMBER WHY"
                                     % (NAME, at))
            elif words[0] in rules:
                self.entries[words[0], words[1]] = [at, int(words[2]), 0]
        if ceiling != count:
            self.problems.append(
                "%s: 'entries %s', but there are %d; the number only goes down"
                % (NAME, ceiling, count))

    def permits(self, rule, what, number):
        entry = self.entries.get((rule, what))
        if entry is None:
            return False
        entry[2] = max(entry[2], number)
        return number <= entry[1]

    def report(self):
        for (rule, what), (at, limit, seen) in sorted(self.entries.items()):
            if seen == 0:
                self.problems.append("%s:%d: stale: '%s %s' is not needed any "
                                     "more, delete it" % (NAME, at, rule, what))
            elif seen < limit:
                self.problems.append("%s:%d: '%s %s' can be tightened from %d "
                                     "to %d" % (NAME, at, rule, what, limit,
                                                seen))
        return self.problems


assert os.path.exists(os.path.join(sources.ROOT, NAME)), NAME + " is missing"
