"""Kill processes that change galleries, again and again, and compare what is left with their journal.

    OMP_NUM_THREADS=1 PYTHONPATH=. python -m tests.crash.driver --cycles 200 --folder /dev/shm

A cycle forks a child. It opens the galleries, changes them at random from one to three threads, and
writes each operation to a journal before it begins and after it was acknowledged. At a random
failpoint, or at a random time, it is killed (SIGKILL). Some cycles kill a second child while it opens
what the first has left. Then the galleries are opened and compared with the journal: an acknowledged
operation must be there, an operation under way must be there as a whole or not at all.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import random
import shutil
import signal
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gaitid.errors import NotCalibrated
from gaitid.evaluation.provenance import provenance
from gaitid.gallery.care import backup
from gaitid.gallery.care.doctor import examining, repair
from gaitid.gallery.store import failpoints
from gaitid.gallery.store.database import DATABASE
from gaitid.gallery.store.keys import KeyRing, append_key, ring_from_file
from gaitid.local import LocalMatcher
from gaitid.records import EnrolmentCheck, Fusion, OperatingPoint, Origin, Terms
from tests.crash.model import (
    KEEPS_STATE,
    JournalContents,
    Model,
    Ready,
    Wrong,
    embedding,
    expect,
    observed,
    read_journal,
    state,
    stored,
    touched,
    vector,
)

OPERATIONS, LINEAGE = 40, 10
"""Most operations of one thread of a child; cycles in one directory."""
WEIGHTS = {
    "enrol": 30,
    "many": 6,
    "add": 15,
    "delete": 14,
    "erase": 10,
    "terms": 10,
    "rule": 6,
    "calibrate": 2,
    "rotate": 3,
    "renew": 3,
    "learn": 3,
    "backup": 3,
    "restore": 1,
}
ALONE = {"many", "rule", "calibrate", "rotate", "renew", "learn", "backup", "restore"}
"""Operations that only the first thread does."""
FOCUS = {
    "log emptied": ("delete", "erase"),
    "identity": ("erase",),
    "new key": ("rotate",),
    "rotation": ("rotate",),
    "projection": ("renew",),
    "renewal": ("renew",),
    "profiles": ("learn",),
    "backup": ("backup",),
    "restore": ("restore",),
}
"""Operations that are more frequent when the child is to die at a point of that name."""


@dataclass
class Site:
    """Directories of the galleries of a lineage, and of all that belongs to them."""

    root: Path
    sealed: bool

    def keys(self) -> KeyRing | None:
        return ring_from_file(self.root / "keys") if self.sealed else None

    def open(self) -> LocalMatcher:
        data, mark, backups = (self.root / name for name in ("data", "mark", "backups"))
        return LocalMatcher(Ready(), data, index="exact", keys=self.keys(), mark=mark, backups=backups)

    def content(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted((self.root / "data").iterdir()))


# -- the child -------------------------------------------------------------------------------------


@dataclass
class ChildPlan:
    """What one child does, and where it dies; no point = at a time of the parent's choice."""

    seed: int
    threads: int
    point: str = ""
    passes: int = 1
    has_work: bool = True

    def weights(self) -> dict[str, int]:
        favoured = [op for part, ops in FOCUS.items() if part in self.point for op in ops]
        return {op: weight * 12 if op in favoured else weight for op, weight in WEIGHTS.items()}


class Child:
    """Changes the galleries and writes the journal."""

    def __init__(self, site: Site, plan: ChildPlan, subjects: dict[str, list[int]]) -> None:
        self.site, self.plan = site, plan
        self.subjects = subjects
        self.left = plan.passes
        self.journal = os.open(site.root / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def run(self) -> None:
        failpoints.armed = self.reached
        self.matcher = self.site.open()
        if self.plan.has_work:
            threads = [threading.Thread(target=self.work, args=(n,)) for n in range(self.plan.threads)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.die("when all was done")

    def reached(self, point: str) -> None:
        if point == self.plan.point:
            self.left -= 1
            if self.left == 0:
                self.die(point)

    def die(self, where: str) -> None:
        self.say({"died": where})
        os.kill(os.getpid(), signal.SIGKILL)

    def say(self, said: dict) -> None:
        os.write(self.journal, json.dumps(said).encode() + b"\n")  # in one piece, even if other threads write

    def work(self, number: int) -> None:
        try:
            chance = random.Random(self.plan.seed * 4 + number)
            mine = {name: [] for name in self.subjects if name.startswith(f"zebra-{number}-")}
            weights = self.plan.weights()
            names = [op for op in weights if number == 0 or op not in ALONE]
            for _ in range(OPERATIONS):
                (op,) = chance.choices(names, [weights[op] for op in names])
                self.operate(op, number, chance, mine)
        except BaseException:
            (self.site.root / "failure").write_text(traceback.format_exc())
            os._exit(1)

    def operate(self, op: str, thread: int, chance: random.Random, mine: dict) -> None:
        said = {"thread": thread, "op": op, **self.choose(op, thread, chance, mine)}
        if said.get("subject", "") is None or (op in ("rotate", "renew") and not self.site.sealed):
            return
        self.say(said)
        try:
            answer = getattr(self, op)(said)
        except NotCalibrated:
            answer = "refused"
        self.say({"thread": thread, "ack": answer})
        if op in ("delete", "erase"):
            mine.pop(said["subject"])
        elif op == "enrol":
            mine[said["subject"]] = []

    def choose(self, op: str, thread: int, chance: random.Random, mine: dict) -> dict:
        """Choose the arguments of an operation, as the journal has them."""
        fresh = f"zebra-{thread}-{chance.getrandbits(64):016x}"
        seeds = [chance.getrandbits(40) for _ in range(chance.randint(1, 3))]
        old = chance.choice(sorted(mine)) if mine else None
        numbers = range(chance.randint(1, 30))
        many = {f"{fresh}-{n:02}": [chance.getrandbits(40), chance.getrandbits(40)] for n in numbers}
        return {
            "enrol": {"subject": fresh, "seeds": seeds},
            "many": {"people": many},
            "add": {"subject": old, "seeds": seeds},
            "delete": {"subject": old},
            "erase": {"subject": old},
            "terms": {"subject": old, "terms": ["consent", f"p{chance.random()}", "", 4e9, False]},
            "rule": {"threshold": chance.random()},
            "calibrate": {"seeds": [chance.getrandbits(40) for _ in range(60)]},
            "renew": {},
            "learn": {"camera": fresh, "seeds": [chance.getrandbits(40) for _ in range(4)]},
            "rotate": {"key": f"k{chance.getrandbits(40):x}"},
            "backup": {},
            "restore": {},
        }[op]

    def enrol(self, said: dict) -> int:
        samples = [embedding(seed) for seed in said["seeds"]]
        return self.matcher.enrol("g", said["subject"], samples, check=EnrolmentCheck.OFF).revision

    def many(self, said: dict) -> int:
        people = {name: [embedding(seed) for seed in seeds] for name, seeds in said["people"].items()}
        return self.matcher.enrol_many("g", people)

    def add(self, said: dict) -> int:
        return self.matcher.add_samples("g", said["subject"], [embedding(s) for s in said["seeds"]]).revision

    def delete(self, said: dict) -> int:
        return self.matcher.delete_subject("g", said["subject"])

    def erase(self, said: dict) -> int:
        return self.matcher.erase_subject("g", said["subject"]).revision

    def terms(self, said: dict) -> int:
        return self.matcher.set_terms("g", said["subject"], Terms(*said["terms"]))

    def rule(self, said: dict) -> int:
        return self.matcher.set_operating_point("g", OperatingPoint(said["threshold"])).revision

    def calibrate(self, said: dict) -> float:
        return self.matcher.calibrate("g", [embedding(seed) for seed in said["seeds"]]).made_at

    def rotate(self, said: dict) -> int:
        append_key(self.site.root / "keys", said["key"])
        return self.matcher.rotate_keys()

    def renew(self, _: dict) -> int:
        return self.matcher.renew_templates("g")

    def learn(self, said: dict) -> int:
        """Let people pass a camera of a gallery of its own, in which nobody is enrolled."""
        for track, seed in enumerate(said["seeds"], 1):
            made = embedding(seed)
            self.matcher.identify("cameras", replace(made, origin=Origin(said["camera"], track)))
        return sum(one.version > 0 for one in self.matcher.cameras("cameras"))

    def backup(self, _: dict) -> str:
        return self.matcher.back_up().name

    def restore(self, _: dict) -> str:
        made = self.matcher.back_up().name
        backup.restore(self.site.root / "backups" / made, self.site.root / "half")
        shutil.rmtree(self.site.root / "half")
        return made


# -- the parent ------------------------------------------------------------------------------------


class Lineage:
    """Cycles in one directory."""

    def __init__(self, root: Path, chance: random.Random, counts: Counter) -> None:
        self.site = Site(root, sealed=chance.random() < 0.5)
        self.chance, self.counts = chance, counts
        self.model = Model()
        self.may_grow = False
        if self.site.sealed:
            append_key(root / "keys", "first")
        matcher = self.site.open()
        matcher.create_gallery("g", fusion=chance.choice(list(Fusion)))
        matcher.create_gallery("cameras")
        matcher.close()

    def cycle(self, number: int) -> None:
        plan = self.plan(number)
        (self.site.root / "journal").unlink(missing_ok=True)
        self.kill(plan)
        journal = read_journal(self.site.root / "journal")
        self.counts[f"died {journal.died}"] += 1
        self.counts["acknowledged"] += len(journal.done)
        self.counts["under way"] += len(journal.under_way)
        self.look_for_erased(said["subject"] for said, _ in journal.done if said["op"] == "erase")
        if self.chance.random() < 0.2:
            self.counts["second kills, while opening"] += 1
            self.kill(
                ChildPlan(plan.seed, 1, self.chance.choice(("", *failpoints.POINTS[:2])), has_work=False)
            )
        self.check(journal, alone=plan.threads == 1)
        if number == LINEAGE - 1:
            self.examine(self.site.root / "data", self.site.root / "mark")
            self.counts["examinations"] += 1

    def plan(self, number: int) -> ChildPlan:
        sealed_only = ("rotation", "new key", "projection", "renewal")
        points = [
            p for p in failpoints.POINTS if self.site.sealed or not any(word in p for word in sealed_only)
        ]
        if number == 0 and self.chance.random() < 0.4:  # the signing key is made once
            points = [point for point in points if "identity" in point]
        point = self.chance.choice(points) if self.chance.random() < 0.85 else ""
        rare = any(
            word in point for word in ("identity", "backup", "rotation", "renewal", "restore", "profiles")
        )
        passes = 1 if rare else self.chance.randint(1, 20)
        return ChildPlan(self.chance.getrandbits(40), self.chance.randint(1, 3), point, passes)

    def kill(self, plan: ChildPlan) -> None:
        """Fork a child and wait until it is killed."""
        pid = os.fork()
        if pid == 0:
            try:
                Child(self.site, plan, self.model.subjects).run()
            except BaseException:
                (self.site.root / "failure").write_text(traceback.format_exc())
            os._exit(1)
        if not plan.point:
            time.sleep(self.chance.random() * 0.1)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        failure = self.site.root / "failure"
        expect(not failure.exists(), f"child failed: {failure.read_text() if failure.exists() else ''}")
        expect(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"child ended by {status}")

    def look_for_erased(self, names: Iterable[str]) -> None:
        content = self.site.content()
        for name in names:
            self.counts["erasures looked for"] += 1
            traces = [name.encode()]
            if not self.site.sealed:
                traces += [vector(seed).tobytes()[:16] for seed in self.model.subjects.get(name, ())]
            if any(trace in content for trace in traces):
                self.counts["traces of erased"] += 1
                raise Wrong(f"{name} was erased, and a trace of it is left")

    def check(self, journal: JournalContents, *, alone: bool) -> None:
        for said, answer in journal.done:
            if said["op"] in ("backup", "restore"):
                self.check_backup(answer, alone=alone)
            self.model.apply(said, answer)
        matcher = self.site.open()  # finishes what was interrupted, and passes the mark
        try:
            for said in journal.under_way:
                self.settle(said, matcher)
            self.compare(matcher)
            self.compare_index(matcher)
            self.compare_cameras(matcher, journal)
        finally:
            matcher.close()
        self.finish_restoration()
        self.check_backups()
        repair(self.site.root / "data")

    def settle(self, said: dict, matcher: LocalMatcher) -> None:
        """Find out whether an operation under way took site: completely, or not at all."""
        if said["op"] in KEEPS_STATE:
            self.may_grow |= said["op"] == "renew"
            return
        info = matcher.describe("g")
        before, after = self.model, copy.deepcopy(self.model)
        after.apply(said, info.calibration and info.calibration.made_at)
        found = observed(matcher, said)
        took_place = found == touched(after, said) != touched(before, said)
        expect(took_place or found == touched(before, said), f"a half of {said} is there")
        if took_place:
            self.counts["under way, done"] += 1
            self.model = after

    def compare(self, matcher: LocalMatcher) -> None:
        held, wanted = state(matcher), {name: stored(self.model, name) for name in self.model.subjects}
        lost = [name for name in wanted if held.get(name) != wanted[name]]
        resurrected = [name for name in held if name not in wanted]
        self.counts["lost"] += len(lost)
        self.counts["resurrected"] += len(resurrected)
        expect(not lost, f"lost: {lost}")
        expect(not resurrected, f"resurrected: {resurrected}")
        info = matcher.describe("g")
        if self.may_grow and info.revision == self.model.revision + 1:  # a renewal was not acknowledged
            self.model.revision += 1
        self.may_grow = False
        made_at = info.calibration and info.calibration.made_at
        for what, got, right in (
            ("threshold", info.operating_point.threshold, self.model.threshold),
            ("calibration", made_at, self.model.calibrated_at),
            ("revision", info.revision, self.model.revision),
        ):
            self.counts["lost"] += got != right
            expect(got == right, f"{what} is {got}, acknowledged was {right}")

    def compare_index(self, matcher: LocalMatcher) -> None:
        """Check that the gallery in memory holds what the tables hold."""
        gallery = matcher._galleries["g"]
        contents = matcher._store.galleries.contents(gallery.row)
        self.counts["index not equal to SQL"] += 1
        expect(gallery._state.revision == contents.revision, "the index is of another revision")
        owners = dict(zip(contents.ids.tolist(), contents.subjects, strict=True))
        expect(
            {k: n for n, s in gallery._state.subjects.items() for k in s.templates} == owners, "owners differ"
        )
        if gallery.row.fusion is Fusion.MAX:
            expect(len(gallery._state.index) == len(contents.ids), "the index has another size")
            expect(
                np.array_equal(gallery._state.index.vectors(contents.ids), contents.vectors), "vectors differ"
            )
        self.counts["index not equal to SQL"] -= 1
        keys = {
            name
            for table in ("subjects", "projections", "profiles")
            for (name,) in matcher._store._db.execute(f"SELECT DISTINCT key_name FROM {table}")  # noqa: S608
        }
        ring = self.site.keys()
        expect(keys <= {ring.current if ring else None}, f"subjects are under the keys {keys}")

    def compare_cameras(self, matcher: LocalMatcher, journal: JournalContents) -> None:
        """Check that profiles in use are there, and that memory and tables have the same ones."""
        used = max((answer for said, answer in journal.done if said["op"] == "learn"), default=0)
        found = sum(one.version > 0 for one in matcher.cameras("cameras"))
        self.counts["lost"] += found < used
        expect(found >= used, f"{found} profiles are in use, acknowledged were {used}")
        space = matcher._store.galleries.contents(matcher._galleries["cameras"].row).space
        held = matcher._galleries["cameras"]._learner._cameras.profiles
        names = {name: known[""].mean.tolist() for name, known in held.cameras.items()}
        expect(
            names == {name: known[""].mean.tolist() for name, known in space.profiles.cameras.items()},
            "profiles differ",
        )

    def check_backup(self, name: str, *, alone: bool) -> None:
        """Check that a backup has everything that was acknowledged before it, and nothing else."""
        made = backup.verify(self.site.root / "backups" / name)
        self.counts["backups acknowledged"] += 1
        if alone:
            seeds = self.model.subjects.values()
            expect(made.subjects == len(seeds), f"the backup has {made.subjects} subjects")
            expect(made.templates == sum(map(len, seeds)), f"the backup has {made.templates} templates")

    def finish_restoration(self) -> None:
        """Repeat a restoration that was interrupted, over what it left."""
        half, folder = self.site.root / "half", self.site.root / "backups"
        if not half.exists():
            return
        if not (half / DATABASE).exists():
            whole = [path for path in folder.iterdir() if not path.name.startswith(backup.UNFINISHED)]
            backup.restore(max(whole, key=lambda path: path.stat().st_mtime), half)
            self.counts["restorations done again"] += 1
        self.examine(half)
        shutil.rmtree(half)

    def check_backups(self) -> None:
        """Check and restore all backups that have a name; delete the unfinished ones."""
        folder = self.site.root / "backups"
        for path in sorted(folder.iterdir()) if folder.exists() else ():
            if path.name.startswith(backup.UNFINISHED):
                self.counts["unfinished backups"] += 1
            else:
                restored = self.site.root / "restored"
                backup.restore(path, restored)
                self.examine(restored)
                shutil.rmtree(restored)
                self.counts["backups restored"] += 1
            shutil.rmtree(path)

    def examine(self, directory: Path, mark: Path | None = None) -> None:
        with examining(directory, self.site.keys(), mark) as checks:
            for _, check in checks:
                check()


def run_cycles(cycles: int, seed: int, folder: Path) -> Counter:
    """Run cycles below `folder`; raise `Wrong` at the first fault."""
    chance, counts = random.Random(seed), Counter()
    for name in ("lost", "resurrected", "traces of erased", "index not equal to SQL"):
        counts[name] = 0
    for first in range(0, cycles, LINEAGE):
        root = Path(tempfile.mkdtemp(dir=folder))
        lineage = Lineage(root, chance, counts)
        for number in range(min(LINEAGE, cycles - first)):
            try:
                lineage.cycle(number)
            except Exception as error:
                raise Wrong(f"cycle {first + number} of seed {seed}, kept in {root}: {error}") from error
            counts["cycles"] += 1
        shutil.rmtree(root)
    return counts


def main() -> None:
    """Run, print and save the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=tempfile.gettempdir(), help="where to work")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    options = parser.parse_args()
    begin = time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="gaitid-crash-", dir=options.folder))
    counts = run_cycles(options.cycles, options.seed, folder)
    shutil.rmtree(folder)  # kept if something is wrong
    chosen = f"--cycles {options.cycles} --seed {options.seed} --folder {options.folder}"
    report = {
        **provenance(f"python -m tests.crash.driver {chosen}"),
        "wall_s": round(time.perf_counter() - begin, 1),
        "counts": dict(sorted(counts.items())),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
