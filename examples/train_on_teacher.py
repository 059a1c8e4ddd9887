"""Trains a plain PyTorch model on a shipped teacher's synthetic images alone, and tests it on real ones."""

import argparse
import os

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from gtn_sl import TeacherDataset, load_task


def convnet(channels: int, side: int, classes: int) -> nn.Module:
    """Returns a small convnet without running statistics, which so few steps could not estimate."""
    return nn.Sequential(
        nn.Conv2d(channels, 64, 3, padding=1),
        nn.GroupNorm(8, 64),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.GroupNorm(8, 128),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128 * (side // 4) ** 2, classes),
    )


def train(model: nn.Module, dataset: TeacherDataset, *, epochs: int, lr: float, workers: int = 0) -> None:
    """Trains a model in place; an epoch is one pass over the teacher's T batches."""
    loader = DataLoader(dataset, batch_size=dataset.batch_size, num_workers=workers, persistent_workers=workers > 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(epochs):
        dataset.set_epoch(epoch)  # changes the noise or the order, if the teacher's curriculum does so
        for images, labels in loader:  # normalised images, label probabilities
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@torch.no_grad()
def test(model: nn.Module, dataset: TeacherDataset, data_dir: str | None) -> float:
    """Returns the accuracy on the real test images, which get the same normalisation as the synthetic ones."""
    split = load_task(dataset.task.name, data_dir).test
    guesses = [model(dataset.task.normalise(images)).argmax(dim=1) for images in split.images.split(1000)]
    return (torch.cat(guesses) == split.labels).float().mean().item()


def main() -> None:
    """Trains and tests a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", default="digits", help="a shipped teacher's name, a run folder or a file")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--data-dir", default=os.environ.get("GTN_DATA_DIR"))
    given = parser.parse_args()
    torch.manual_seed(0)
    dataset = TeacherDataset(given.teacher)
    channels, side, _ = dataset.task.image_shape
    model = convnet(channels, side, dataset.task.classes)
    train(model, dataset, epochs=given.epochs, lr=given.lr, workers=given.workers)
    images = given.epochs * len(dataset)
    print(
        f"trained on {images:,} synthetic images; real test accuracy {100 * test(model, dataset, given.data_dir):.2f}%"
    )


if __name__ == "__main__":
    main()
