"""Decay the learning rate of one network in Keras and in PyTorch, from one declared schedule.

    python examples/one_schedule_two_frameworks.py [mnist.npz]

Trains 784 → 128 → 10 for ten epochs in each framework, and prints the rate that each optimizer really used. Without a
file it takes MNIST from where Keras keeps it, or scikit-learn's digits if it is not there.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import choritsu as ct

factor = ct.schedules.linear(1.0, 0.0, steps=10)  # a factor: (10 - epoch) / 10, without a unit
rate = (1e-3 - 1e-8) * factor  # a rate: what Keras' LearningRateScheduler takes


def images():
    """Give images as rows of pixels in [0, 1], and their classes."""
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.home() / ".keras/datasets/mnist.npz"
    if kept.exists():
        with np.load(kept) as file:
            x, y, name = file["x_train"] / 255, file["y_train"], str(kept)
    else:
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        x, name = x / 16, "scikit-learn's digits"
    print(f"{len(x):,} images: {name}")
    return x.reshape(len(x), -1).astype("float32"), y.astype("int64")


def in_keras(x, y):
    """Train with Keras; a callback sets the rate itself."""
    import keras

    print(f"\nKeras on {keras.backend.backend()}: {rate}")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), keras.layers.Dense(128, activation="relu"), keras.layers.Dense(10)]
    )
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, batch_size=32, epochs=10, verbose=2, callbacks=[rate.to_keras_callback(verbose=1)])


def in_torch(x, y):
    """Train with PyTorch; a scheduler scales the optimizer's own rate."""
    print(f"\nPyTorch: 0.001 times {factor}")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    scheduler = factor.to_torch(optimizer)
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    loss_of = torch.nn.CrossEntropyLoss()
    for epoch in range(10):
        losses = []
        for inputs, classes in torch.utils.data.DataLoader(data, batch_size=32, shuffle=True):
            optimizer.zero_grad()
            loss = loss_of(model(inputs), classes)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        used = optimizer.param_groups[0]["lr"]
        scheduler.step()
        print(f"Epoch {epoch + 1}: learning rate {used:.12g} - loss: {np.mean(losses):.4f}")


if __name__ == "__main__":
    pixels, classes = images()
    in_keras(pixels, classes)
    in_torch(pixels, classes)
