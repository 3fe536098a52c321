"""The digits in PyTorch, in the loop that its users write: minibatches by indexing, one call per step.

Run as a script of its own, so that nothing else is imported: `_torch.py DATA.npz EPOCHS DEVICE`.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn


def main(path: str, epochs: int, device: str) -> None:
    """Train as `libraries` says and print one line of JSON."""
    data = np.load(path)
    x, y, x_test, y_test = (torch.as_tensor(data[name]).to(device) for name in ("x", "y", "x_test", "y_test"))
    y, y_test = y.long(), y_test.long()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    ).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss_of = nn.CrossEntropyLoss()
    steps, seconds, accuracy = 0, 0.0, 0.0
    for epoch in range(epochs):
        begun = time.perf_counter()
        order = torch.randperm(len(x), device=device)
        for start in range(0, len(x), 64):
            rows = order[start : start + 64]
            optimizer.zero_grad()
            loss = loss_of(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            steps += epoch > 0
        if device == "cuda":
            torch.cuda.synchronize()
        seconds += (time.perf_counter() - begun) * (epoch > 0)
        with torch.no_grad():
            accuracy = (model(x_test).argmax(-1) == y_test).float().mean().item()
    print(json.dumps({"steps_per_second": steps / seconds, "accuracy": accuracy}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), "cuda" if sys.argv[3] == "gpu" else "cpu")
