"""What was checked, and what did not hold."""

from collections import Counter


class Report:
    """Counts the checks of each promise and keeps each violation. Threads may share one: adding to a list and a count is enough."""

    def __init__(self):
        self.checks = Counter()
        self.violations = []
        self.notes = []

    def check(self, held, promise, detail=""):
        """One check of a promise; `detail` says where and what, and is a text or makes one. Says whether it held."""
        self.checks[promise] += 1
        if not held:
            self.violations.append((promise, detail() if callable(detail) else str(detail)))
        return bool(held)

    def note(self, text):
        """Something worth knowing that is no violation, for example what could not be checked."""
        self.notes.append(text)

    def broken(self):
        """The names of the promises that did not hold."""
        return {promise for promise, _ in self.violations}

    def print(self, out):
        """The report, for people: a line a promise, then at most five violations of each."""
        failed = Counter(promise for promise, _ in self.violations)
        for promise in sorted(self.checks):
            state = f"VIOLATED {failed[promise]} times" if failed[promise] else "held"
            print(f"  {promise}: {state} ({self.checks[promise]} checks)", file=out)
        for text in self.notes:
            print(f"  note: {text}", file=out)
        shown = Counter()
        for promise, detail in self.violations:
            shown[promise] += 1
            if shown[promise] <= 5:
                print(f"VIOLATION {promise}: {detail}", file=out)
        print(f"{sum(self.checks.values())} checks of {len(self.checks)} promises, {len(self.violations)} violations", file=out)
