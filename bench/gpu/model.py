#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Loads in PyTorch for bench/gpu/run.py, which starts them as it starts spin.

`train` is a step of a GPT-like model in bfloat16 with AdamW; `infer` a pass of a BERT-sized
encoder over 8 sequences of 128, `light` over one of 32, which is the host's work more than the
GPU's. All eager, one line of JSON each.
"""

import argparse
import json
import os
import pathlib
import random
import sys
import time

import torch
from torch import nn

LAYERS, WIDTH, HEADS, WORDS = 12, 768, 12, 8192


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, dropout=0, batch_first=True,
                                       norm_first=True) for _ in range(LAYERS))
        self.out = nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, text, mask=None):
        x = self.words(text)
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=mask is not None)
        return self.out(x)


def training(device):
    model = Encoder().to(device, torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    text = torch.randint(WORDS, (8, 257), device=device)
    mask = nn.Transformer.generate_square_subsequent_mask(256, device, torch.bfloat16)

    def step():
        optimizer.zero_grad(set_to_none=True)
        logits = model(text[:, :-1], mask)
        nn.functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten()).backward()
        optimizer.step()

    return step


def inference(device, sequences, length):
    model = Encoder().to(device, torch.bfloat16).eval()
    text = torch.randint(WORDS, (sequences, length))

    @torch.inference_mode()
    def step():
        return model(text.to(device))[:, -1].argmax(-1).cpu()

    return step


def await_start(go):
    pathlib.Path(f"{go}.{os.getpid()}").touch()
    while True:
        time.sleep(0.005)
        try:
            return float(pathlib.Path(go).read_text())
        except (FileNotFoundError, ValueError):
            pass


class Count:
    """Steps done, by turn: of two programs that take turns, so that neither disturbs the other."""

    def __init__(self, begin, options):
        self.begin, self.length, self.turn = begin, options.turn_seconds, options.turn
        self.end = begin + options.seconds
        self.turns, self.latencies = [], []

    def closed(self, step, synchronize):
        while (now := time.monotonic()) < self.end:
            index = int((now - self.begin) // self.length) if self.length else 0
            if self.length and (now < self.begin or index % 2 != self.turn):
                time.sleep(0.001)
                continue
            until = self.begin + (index + 1) * self.length if self.length else self.end
            started = max(now, self.begin)
            done = 0
            while time.monotonic() < until:
                before = time.monotonic()
                step()
                if before >= self.begin:
                    done += 1
                    self.latencies.append(time.monotonic() - before)
            synchronize()
            self.turns.append(done / (time.monotonic() - started))

    def open(self, step, rate, seed):
        """Requests arrive whether or not the former ones are done; latency counts from arrival."""
        arrivals = random.Random(seed)
        arrival = self.begin
        while (arrival := arrival + arrivals.expovariate(rate)) < self.end:
            time.sleep(max(0, arrival - time.monotonic()))
            step()
            self.latencies.append(time.monotonic() - arrival)
        self.turns.append(len(self.latencies) / (self.end - self.begin))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("train", "infer", "light"))
    parser.add_argument("--name", default="model")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--go", required=True)
    parser.add_argument("--rate", type=float, help="requests a second, arriving at random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--turn", type=int, default=0, help="which of two takes turns: 0 or 1")
    parser.add_argument("--turn-seconds", type=float, default=0)
    parser.add_argument("--iterations-per-us", help="of spin; not used")
    parser.add_argument("--device", default="cuda")
    o = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(o.seed)
    synchronize = torch.cuda.synchronize if o.device == "cuda" else lambda: None
    step = {"train": lambda: training(o.device), "infer": lambda: inference(o.device, 8, 128),
            "light": lambda: inference(o.device, 1, 32)}[o.kind]()
    for _ in range(20 if o.device == "cuda" else 1):
        step()
    synchronize()
    count = Count(await_start(o.go), o)
    if o.rate:
        count.open(step, o.rate, o.seed)
    else:
        count.closed(step, synchronize)
    ordered = sorted(count.latencies) or [0]
    latency = {f"p{q}": ordered[min(len(ordered) - 1, len(ordered) * q // 100)] * 1000
               for q in (50, 90, 99)}
    if not count.turns:
        sys.exit("no time to work in")
    print(json.dumps({"name": o.name, "pid": os.getpid(), "per_second": count.turns[0],
                      "turns": count.turns, "latency_ms": latency}))


if __name__ == "__main__":
    main()
