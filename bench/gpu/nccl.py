#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""A job on two GPUs with NCCL, alone and beside neighbours on both, natively and enforced.

    bench/gpu/nccl.py --gpu UUID UUID

The job trains a model with PyTorch's DistributedDataParallel, a process per GPU. The neighbour is
another tenant with a process on each GPU that always has kernels to run. Needs PyTorch.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import shared_gpu


def rank(index, go, seconds):
    import torch
    import torch.distributed as dist
    from torch import nn

    torch.cuda.set_device(index)
    dist.init_process_group("nccl", rank=index, world_size=2,
                            device_id=torch.device("cuda", index))
    model = nn.Sequential(*[m for _ in range(8) for m in (nn.Linear(2048, 2048), nn.GELU())])
    model = nn.parallel.DistributedDataParallel(model.cuda().bfloat16(), device_ids=[index])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x = torch.randn(4096, 2048, device="cuda", dtype=torch.bfloat16)
    total = torch.ones(1, device="cuda")
    go_on = torch.ones(1, device="cuda")

    def step():
        optimizer.zero_grad(set_to_none=True)
        model(x).square().mean().backward()
        optimizer.step()

    for _ in range(10):
        step()
    dist.all_reduce(total)
    if total.item() != 2:
        sys.exit("the sum over two processes is wrong")
    open(f"{go}.{os.getpid()}", "w").close()
    while not os.path.exists(go):
        time.sleep(0.005)
    begin = float(open(go).read())
    time.sleep(max(0, begin - time.monotonic()))
    steps, started = 0, time.monotonic()
    while go_on.item() > 0:  # both stop after the same step
        for _ in range(10):
            step()
        steps += 10
        go_on.fill_(time.monotonic() < started + seconds)
        dist.all_reduce(go_on, op=dist.ReduceOp.MIN)
    torch.cuda.synchronize()
    print(json.dumps({"per_second": steps / (time.monotonic() - started)}), flush=True)
    dist.destroy_process_group()


def run(host, speed, enforced, neighbour):
    arbiter = shared_gpu.Arbiter(host, [
        {"name": name, "weight": 1, "memory": 30 << 30} for name in ("job", "neighbour")]) \
        if enforced else None
    go = host.root / "go"
    env = dict(host.environment("job" if enforced else None), MASTER_ADDR="127.0.0.1",
               MASTER_PORT="29511")
    ranks = [subprocess.Popen([sys.executable, __file__, "--rank", str(i), str(go),
                               str(host.o.seconds)], env=env, stdout=subprocess.PIPE, text=True)
             for i in range(2)]
    others = []
    if neighbour:
        for gpu in host.o.gpu:
            others.append(subprocess.Popen(
                [host.spin, "--seconds", str(host.o.seconds), "--go", str(go),
                 "--iterations-per-us", str(speed)],
                env=dict(host.environment("neighbour" if enforced else None),
                         CUDA_VISIBLE_DEVICES=gpu), stdout=subprocess.PIPE, text=True))
    deadline = time.monotonic() + 120
    while len(list(host.root.glob("go.*"))) < len(ranks + others):
        if time.monotonic() > deadline or any(p.poll() is not None for p in ranks + others):
            sys.exit("a program did not start")
        time.sleep(0.01)
    partial = host.root / "start"
    partial.write_text(f"{time.monotonic() + 1:.6f}")
    partial.rename(go)
    outs = [p.communicate(timeout=host.o.seconds + 60)[0] for p in ranks + others]
    for ready in host.root.glob("go*"):
        ready.unlink()
    status = arbiter.stop() if arbiter else None
    steps = json.loads(outs[0].splitlines()[-1])["per_second"]
    shares = [json.loads(o.splitlines()[-1])["share"] for o in outs[2:]]
    print(f"{'enforced' if enforced else 'native':<9}"
          f"{'beside a neighbour' if neighbour else 'alone':<20} {steps:7.1f} steps/s"
          + (f"; neighbour's part of each GPU {shares}" if shares else ""), flush=True)
    if status:
        for tenant in status["tenants"]:
            print("  " + tenant["tenant"] + " " + json.dumps(
                [{k: d[k] for k in ("gpu", "gpuSeconds", "waitedSeconds", "peakBytes", "denied")}
                 for d in tenant["devices"]]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    shared_gpu.add_arguments(parser)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rank", nargs=3, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.rank:
        return rank(int(o.rank[0]), o.rank[1], float(o.rank[2]))
    if len(o.gpu) != 2:
        sys.exit("--gpu: two are needed (nvidia-smi -L)")
    host = shared_gpu.Host(o)
    speed = host.speed()
    for neighbour in (False, True):
        for enforced in (False, True):
            run(host, speed, enforced, neighbour)
    host.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
