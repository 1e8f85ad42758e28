#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Measures how tenants share one GPU, natively and through Aliquot, alternating in one run.

    bench/gpu/run.py --aliquot out/bin/aliquot --interposer out/lib/libaliquot-cuda.so

A tenant is a process group with a grant of its own. Every experiment runs natively and with
enforced shares, --repeat times in turn; the table shows medians and ranges, --raw keeps every line.
With --simulated DIR (where libcuda.so.1 and libnvidia-ml.so.1 of the simulation are) it runs
without a GPU, in scaled time: that checks the script, not the figures.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import shared_gpu

WARM_SECONDS = 1.0  # everybody works, nothing is counted


class Bench(shared_gpu.Host):
    def __init__(self, options):
        super().__init__(options)
        self.raw = open(options.raw, "a") if options.raw else None
        self.iterations_per_us = (options.iterations_per_us or
                                  statistics.median(self.speed() for _ in range(3)))
        print(f"# {self.iterations_per_us:.3f} iterations per us", flush=True)

    def begin(self, go, running, tenants):
        """Waits until every process has its context, then tells when to begin counting."""
        def processes(arguments):
            return int(arguments[arguments.index("--processes") + 1]) \
                if "--processes" in arguments else 1

        expected = sum(processes(a) for t in tenants for a in t[3])
        deadline = time.monotonic() + 120
        while len(list(self.root.glob("go.*"))) < expected:
            if time.monotonic() > deadline or any(p.poll() for _, p in running):
                sys.exit("a load did not start")
            time.sleep(0.01)
        start = time.monotonic() + WARM_SECONDS
        partial = go.with_name("start")
        partial.write_text(f"{start:.6f}")
        partial.rename(go)
        for ready in self.root.glob("go.*"):
            ready.unlink()

    def run(self, tenants, enforced, seconds=None, compute="fair", memory=20 << 30):
        """Runs all tenants at once; returns their processes' results by tenant, and the status.

        A tenant is (name, weight, class, [arguments per program]); a program is spin, or model.py
        if its first argument is "model". `enforced` is true, false, or the names of those that are.
        """
        seconds = seconds or self.o.seconds
        names = {t[0] for t in tenants if enforced is True or enforced and t[0] in enforced}
        arbiter = None
        if names:
            more = ["--quantum-ms", str(self.o.quantum_ms)] if self.o.quantum_ms else []
            arbiter = shared_gpu.Arbiter(
                self, [{"name": name, "weight": weight, "class": tenant_class, "memory": memory}
                       for name, weight, tenant_class, _ in tenants if name in names],
                ["--compute", compute] + more)
        go = self.root / "go"
        running = []
        for name, _, _, programs in tenants:
            for arguments in programs:
                program = [self.spin]
                if arguments[0] == "model":
                    program, arguments = [sys.executable, str(shared_gpu.HERE / "model.py")], \
                        arguments[1:] + ["--device", self.o.model_device]
                command = program + ["--name", name, "--seconds", str(seconds), "--go", str(go),
                                     "--iterations-per-us", str(self.iterations_per_us)] + arguments
                environment = self.environment(name if name in names else None)
                running.append((name, subprocess.Popen(command, env=environment,
                                                       stdout=subprocess.PIPE, text=True)))
        self.begin(go, running, tenants)
        results = {t[0]: [] for t in tenants}
        for name, process in running:
            out, _ = process.communicate()
            if process.returncode != 0:
                sys.exit(f"a load of tenant {name} failed")
            for line in out.splitlines():
                results[name].append(json.loads(line))
        go.unlink()
        status = arbiter.stop() if arbiter else None
        if self.raw:
            self.raw.write(json.dumps({"enforced": sorted(names),
                                       "tenants": [list(t) for t in tenants],
                                       "results": results, "status": status}) + "\n")
            self.raw.flush()
        return results, status


TURN_SECONDS = 0.25


def share(results):
    return sum(r["share"] for r in results)


def kernels(us, batch=8, processes=1, gap_us=0, extra=()):
    arguments = ["--kernel-us", str(us), "--batch", str(batch), "--processes", str(processes)]
    return arguments + (["--gap-us", str(gap_us)] if gap_us else []) + list(extra)


def middle(values, digits=3):
    if not values:
        return "-"
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def report(title, rows):
    print(f"\n## {title}")
    for name, native, ours in rows:
        print(f"{name:<34} native {native:<26} enforced {ours}", flush=True)


def alternate(bench, tenants, **options):
    """Both kinds of runs in turn: [(results, status)] for each."""
    native, ours = [], []
    for i in range(bench.o.repeat):
        if i < bench.o.native_repeat:
            native.append(bench.run(tenants, False, **options))
        ours.append(bench.run(tenants, True, **options))
    return native, ours


def in_turns(bench, arguments):
    """The same program natively and enforced, which work alternately: neither is ever beside a
    program at work, and what the machine does to one it does to the other."""
    def program(turn):
        if arguments[0] == "model":
            return arguments + ["--turn", str(turn), "--turn-seconds", str(TURN_SECONDS)]
        ms = str(TURN_SECONDS * 1000)
        return arguments + ["--on-ms", ms, "--off-ms", ms] + (["--phase-ms", ms] if turn else [])

    tenants = [("native", 1, "normal", [program(0)]), ("enforced", 1, "normal", [program(1)])]
    results, _ = bench.run(tenants, {"enforced"}, seconds=bench.o.turns)
    return results["native"][0], results["enforced"][0]


def shares(bench, title, tenants, **options):
    native, ours = alternate(bench, tenants, **options)
    weights = {t[0]: t[1] for t in tenants}
    total = sum(weights.values())
    rows = [(f"{name} (weight {weights[name]})", middle([share(r[name]) for r, _ in native]),
             middle([share(r[name]) for r, _ in ours])) for name in weights]

    def error(results):
        used = sum(share(r) for r in results.values())
        return max(abs(share(results[n]) / used - weights[n] / total) for n in weights) * 100

    def used(results):
        return sum(share(r) for r in results.values())

    rows.append(("share error, points", middle([error(r) for r, _ in native]),
                 middle([error(r) for r, _ in ours])))
    rows.append(("sum", middle([used(r) for r, _ in native]), middle([used(r) for r, _ in ours])))
    cpu = [s["cpu_seconds"] / (bench.o.seconds + WARM_SECONDS) for _, s in ours]
    rows.append(("cores used by the arbiter", "-", middle(cpu)))
    report(title, rows)


def backlogged(bench):
    def two(a, b):
        return [("a", 1, "normal", [a]), ("b", 1, "normal", [b])]

    for kind, extra in (("launch and wait", []), ("asynchronous", ["--async"])):
        for n in (1, 3, 8) if not bench.o.quick or not extra else (3,):
            shares(bench, f"backlogged 1 v {n}, {kind}",
                   two(kernels(200, extra=extra), kernels(200, processes=n, extra=extra)))
        if bench.o.quick and extra:
            break
        shares(bench, f"backlogged 3:1, {kind}",
               [("a", 3, "normal", [kernels(200, extra=extra)]),
                ("b", 1, "normal", [kernels(200, extra=extra)])])
        shares(bench, f"backlogged 7:2:1, {kind}",
               [("a", 7, "normal", [kernels(200, extra=extra)]),
                ("b", 2, "normal", [kernels(200, extra=extra)]),
                ("c", 1, "normal", [kernels(200, extra=extra)])])
    shares(bench, "graphs of 20 kernels v kernels",
           two(kernels(100, batch=20, extra=["--graph"]), kernels(200)))


def kernel_lengths(bench):
    shares(bench, "50 us kernels v 5 ms kernels, both launch and wait",
           [("short", 1, "normal", [kernels(50)]), ("long", 1, "normal", [kernels(5000)])])


def light(bench):
    tenants = [("a", 1, "normal", [kernels(300, batch=1, gap_us=700)]),
               ("b", 1, "normal", [kernels(300, batch=1, gap_us=700)])]
    shares(bench, "two light tenants, 0.3 ms work, 0.7 ms gap", tenants)


def host_limited(bench):
    """Kernels of 3 us, which the host needs 12 us to launch: a third of the GPU each."""
    slow = kernels(3, batch=300, extra=["--launch-us", "9", "--kinds", "40"])
    for name, other in (("the same", slow), ("8 x 200 us and wait", kernels(200)),
                        ("8 x 300 us and wait", kernels(300))):
        shares(bench, f"slow launches v {name}",
               [("a", 1, "normal", [slow]), ("b", 1, "normal", [other])])


STOP_LOOKED_AT_MS = 90  # after each stop; a delay of so many means that it was not seen


def stop_delays(results, kernel_us):
    """For each stop of b, ms until five in a row in which a has 95 % of its speed alone."""
    bins = results["a"][0]["bins"]
    full = 0.95 * 1000 / kernel_us * 5
    return [next((k for k in range(STOP_LOOKED_AT_MS) if sum(bins[at + k:at + k + 5]) >= full - 1),
                 STOP_LOOKED_AT_MS)
            for at in range(100, len(bins) - 100, 200)]


def distribution(delays):
    if not delays:
        return "-"
    ordered = sorted(delays)
    at = {q: ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (.5, .9, .99)}
    return f"{at[.5]} / {at[.9]} / {at[.99]} / {ordered[-1]}"


def stop(bench):
    """b works for 100 ms and rests for 100 ms; how soon has a the whole GPU?"""
    rests = ["--on-ms", "100", "--off-ms", "100"]
    endless = ["--async", "--depth", "16"]
    cases = (("launches without end", kernels(200, batch=1, extra=endless + rests)),
             ("three processes", kernels(200, batch=1, processes=3, extra=endless + rests)),
             ("launches and waits", kernels(200, extra=rests)),
             ("0.3 ms work, 0.7 ms gap", kernels(300, batch=1, gap_us=700, extra=rests)))
    rows = []
    edges = (2, 5, 10, 30, STOP_LOOKED_AT_MS)
    for name, neighbour in cases[:1] if bench.o.quick else cases:
        tenants = [("a", 1, "normal", [kernels(200, batch=1, extra=endless + ["--bins"])]),
                   ("b", 1, "normal", [neighbour])]
        wall_us = 200 * (bench.o.scale if bench.o.simulated else 1)
        native, ours = ([d for r, _ in runs for d in stop_delays(r, wall_us)]
                        for runs in alternate(bench, tenants))
        rows.append((f"{name}: {len(ours)} stops", distribution(native), distribution(ours)))
        for low, high in zip((0,) + edges, edges + (STOP_LOOKED_AT_MS + 1,)):
            label = f"  {low} to {high - 1} ms" if low < STOP_LOOKED_AT_MS else "  not seen"
            rows.append((label, *(str(sum(low <= d < high for d in each))
                                  for each in (native, ours))))
    report("neighbour stops: ms until 95 % of solo speed, p50 / p90 / p99 / worst, and how many",
           rows)


def alone(bench):
    rows = []
    cases = (("8 x 200 us and wait, share", kernels(200)),
             ("20 us kernels, asynchronous, share", kernels(20, extra=["--async"])),
             ("graph of 100 x 10 us, share", kernels(10, batch=100, extra=["--graph"])))
    for name, option in (("empty launch, ns", "--empty-launches"),
                         ("waiting for an idle stream, with a pool, ns", "--pool-waits")):
        runs = [in_turns(bench, [option]) for _ in range(bench.o.repeat)]
        rows.append((name, *(middle([r[i]["call_ns"] for r in runs], 0) for i in (0, 1))))
        rows.append(("  more", "-", middle([b["call_ns"] - a["call_ns"] for a, b in runs], 0)))
    for name, arguments in cases:
        runs = [in_turns(bench, arguments) for _ in range(bench.o.repeat)]
        rows.append((name, *(middle([2 * r[i]["share"] for r in runs]) for i in (0, 1))))
        rows.append(("  ratio", "-", middle([b["share"] / a["share"] for a, b in runs])))
    report("a tenant alone; native and enforced in short turns", rows)


def train(bench):
    rows = []
    for _ in range(bench.o.repeat):
        native, ours = in_turns(bench, ["model", "train"])
        rows.append(("training steps/s", middle(native["turns"], 1), middle(ours["turns"], 1)))
        rows.append(("  ratio of medians", "-", "%.4f" % (
            statistics.median(ours["turns"]) / statistics.median(native["turns"]))))
    report("PyTorch alone; native and enforced in short turns", rows)


def light_models(bench):
    """Two pairs take turns, one native and one enforced: hosts differ by more than they do."""
    names = (("native-a", "native-b"), ("a", "b"))
    tenants = [(name, 1, "normal", [["model", "light", "--turn", str(turn),
                                     "--turn-seconds", str(TURN_SECONDS)]])
               for turn in (0, 1) for name in names[turn]]
    rows, ratios = [], []
    for _ in range(bench.o.repeat):
        results, _ = bench.run(tenants, set(names[1]), seconds=bench.o.turns)
        native, ours = ([results[name][0]["turns"] for name in pair] for pair in names)
        rows += [(f"{name}, passes/s", middle(before, 1), middle(after, 1))
                 for name, before, after in zip(names[1], native, ours)]
        ratios.append([statistics.median(after) / statistics.median(before)
                       for before, after in zip(native, ours)])
    rows += [(f"{name}, ratio of medians", "-", middle([r[i] for r in ratios]))
             for i, name in enumerate(names[1])]
    report("two inference loops that the host limits; native and enforced in short turns", rows)


def latency_models(bench):
    solo = [("latency", 1, "latency", [["model", "infer", "--rate", "30"]])]
    trainers = ("trainers", 1, "normal", [["model", "train"]] * 3)
    rows = []
    for kind, tenants in (("alone", solo), ("next to three trainers", solo + [trainers])):
        native, ours = alternate(bench, tenants, seconds=max(15, bench.o.seconds))
        for q in ("p50", "p99"):
            rows.append((f"{kind}, {q} ms", *(
                middle([r["latency"][0]["latency_ms"][q] for r, _ in runs])
                for runs in (native, ours))))
        if len(tenants) > 1:
            rows.append(("training steps/s, all", *(
                middle([sum(p["per_second"] for p in r["trainers"]) for r, _ in runs], 1)
                for runs in (native, ours))))
    report("PyTorch inference, 30 requests/s", rows)


def latency(bench):
    request = ["--kernel-us", "50", "--batch", "100", "--rate", "30"]
    solo = [("latency", 1, "latency", [request])]
    for neighbours, us in ((3, 200),) if bench.o.quick else ((1, 200), (3, 200), (3, 2000)):
        tenants = solo + [("trainers", 1, "normal", [kernels(us, processes=neighbours)])]
        rows = []
        quantiles = {}
        for kind, group in (("alone", solo), (f"next to {neighbours} x {us} us", tenants)):
            native, ours = alternate(bench, group, seconds=max(15, bench.o.seconds))
            for q in ("p50", "p99"):
                quantiles[kind, q] = (
                    middle([r["latency"][0]["latency_ms"][q] for r, _ in native]),
                    middle([r["latency"][0]["latency_ms"][q] for r, _ in ours]))
                rows.append((f"{kind}, {q} ms", *quantiles[kind, q]))
            if kind != "alone":
                rows.append(("trainers' share", middle([share(r["trainers"]) for r, _ in native]),
                             middle([share(r["trainers"]) for r, _ in ours])))
        report("latency tenant at 15 % load", rows)


def capped(bench):
    rows = []
    values = [share(bench.run([("a", 3, "normal", [kernels(200)]), ("idle", 7, "normal", [])], True,
                              compute="capped")[0]["a"]) for _ in range(bench.o.repeat)]
    rows.append(("capped at 3 of 10, alone", "-", middle(values)))
    report("capped", rows)


EXPERIMENTS = {"backlogged": backlogged, "lengths": kernel_lengths, "light": light, "stop": stop,
               "host-limited": host_limited, "alone": alone, "latency": latency, "capped": capped,
               "train": train, "light-models": light_models, "latency-models": latency_models}
MODELS = ("train", "light-models", "latency-models")  # need PyTorch


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    shared_gpu.add_arguments(parser)
    parser.add_argument("--only", nargs="*", choices=EXPERIMENTS,
                        default=[e for e in EXPERIMENTS if e not in MODELS],
                        help="default: all but those with PyTorch: " + ", ".join(MODELS))
    parser.add_argument("--seconds", type=float, default=10, help="measured time of a run")
    parser.add_argument("--quick", action="store_true",
                        help="the most telling cases once, 5 s each: about five minutes")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--native-repeat", type=int, help="natively (default: as --repeat)")
    parser.add_argument("--turns", type=float, default=6,
                        help="seconds in all, where native and enforced take turns of a quarter")
    parser.add_argument("--quantum-ms", type=float, default=0)
    parser.add_argument("--iterations-per-us", type=float, default=0)
    parser.add_argument("--raw", help="append every run to this file as JSON lines")
    parser.add_argument("--model-device", default="cuda", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.repeat = 5, 1
    if options.native_repeat is None:
        options.native_repeat = options.repeat
    bench = Bench(options)
    try:
        for name in options.only:
            EXPERIMENTS[name](bench)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
