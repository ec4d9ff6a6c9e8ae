"""How long check-lr takes on a package of 500 files, half of which have schedules in them.

python benchmarks/checker.py --files 500
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from choritsu.lint import check_paths

SCHEDULED = """
import argparse
import math

import torch
from torch.optim.lr_scheduler import LambdaLR

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--warmup", type=int, default=5)
parser.add_argument("--epochs", type=int, default=90)
args = parser.parse_args()


def cosine(epoch):
    if epoch < args.warmup:
        return (epoch + 1) / args.warmup
    progress = (epoch - args.warmup) / (args.epochs - args.warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


def main(net, loader):
    optimizer = torch.optim.AdamW(net.parameters(), lr=args.lr)
    scheduler = LambdaLR(optimizer, {schedule})
    for _ in range(args.epochs):
        for batch in loader:
            optimizer.zero_grad()
            net.loss(batch).backward()
            optimizer.step()
        scheduler.step()
"""
FILLER = """
class Layer{number}(torch.nn.Module):
    def __init__(self, width: int, depth: int = {number}) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Linear(width, width) for _ in range(depth)])
        self.scale = (width + depth) * 0.5

    def forward(self, x):
        for index, layer in enumerate(self.layers):
            x = torch.relu(layer(x)) * self.scale + index if index % 2 else layer(x)
        return x
"""


def package(directory: Path, files: int) -> int:
    lines = 0
    for number in range(files):
        text = "".join(FILLER.format(number=index) for index in range(20))
        if number % 2:
            schedule = "cosine" if number % 4 == 1 else "lambda epoch: args.lr * cosine(epoch)"
            text = SCHEDULED.replace("{schedule}", schedule) + text
        (directory / f"part_{number}.py").write_text(text, encoding="utf-8")
        lines += text.count("\n")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as directory:
        lines = package(Path(directory), files)
        begun = time.perf_counter()
        report = check_paths([directory])
        seconds = time.perf_counter() - begun
    print(f"{report.files} files, {lines:,} lines, {report.mistakes} mistakes: {seconds:.2f} s")


if __name__ == "__main__":
    main()
