"""The laboratory's eye: a small classifier of images, trained on real data, that says what players generate."""

__all__ = ["Judge", "JudgeError"]

import math
from collections.abc import Callable
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from ..protocols import State
from .judge_cache import judge_key, read_judge, write_judge
from .training import as_arrays, initial_weights, load_arrays, use_threads

_BATCH = 64
_RATE = 4e-3
_STEPS = 500
"""Gradient steps where `epochs` is left open, and an epoch has fewer."""
_EPOCHS = 3
"""Epochs where `epochs` is left open, and they are more steps than that."""
_SMALLEST = 6
_CHUNK = 1000
"""Images judged at a time: their activations stay in the cache."""
_ARCHITECTURE = "conv16-conv32-linear64, 1"
"""Part of the key of the cache: change the number when training changes."""


class JudgeError(ValueError):
    """Images or labels that a judge cannot be trained on, or cannot judge.

    Not `BatchError`: a judge is given arrays, outside any game.
    """


@final
class Judge:
    """A convolutional classifier of images. It belongs to the laboratory and is never part of a player.

    Two convolutions of 16 and 32 channels, a layer of 64 units, whose values are the `features`, and one output per
    class. Made by `Judge.train` or `Judge.cached`. It works on the CPU with one thread (`use_threads`), so that one
    seed is one judge whatever runs beside it.

    `accuracy` is the share of right answers on the tenth of the images that it was not trained on.

    >>> from nashgossip.games import load_digits
    >>> digits = load_digits()
    >>> judge = Judge.train(digits.batch["x"], digits.labels, classes=10, seed=0, epochs=15)
    >>> bool(judge.accuracy > 0.9)
    True
    >>> judge.shares(digits.batch["x"][:10]).round(1).tolist()  # its first ten rows are 0 to 9
    [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    """

    def __init__(self, network: "_Network", accuracy: float) -> None:
        self._network = network.eval()
        self.accuracy = accuracy

    @classmethod
    def train(
        cls, images: ArrayLike, labels: ArrayLike, *, classes: int, seed: int, epochs: int | None = None
    ) -> "Judge":
        """A judge of images like these: Adam on the cross-entropy of nine tenths of them, its step falling to 0.

        Arguments:
            images: `[n, rows, columns]`, real or binary, at least 6 × 6.
            labels: `[n]`, the class of each, 0 … classes − 1.
            classes: how many classes.
            seed: of the initial weights, of the tenth held out and of the order of rows. One seed, one judge.
            epochs: passes over the images; None takes three, or as many as make five hundred steps.

        Raises:
            JudgeError: images or labels of another form, not finite or outside the classes, or too few.
        """
        pictures, targets = _check_images(images), _check_labels(labels, classes)
        if len(pictures) != len(targets) or len(pictures) < 10:
            raise JudgeError(
                f"{len(pictures)} images and {len(targets)} labels came, expected as many, and at least 10"
            )
        if epochs is not None and epochs < 1:
            raise JudgeError(f"epochs is {epochs}, expected at least 1, or None")
        use_threads(1)
        order = np.random.default_rng(seed).permutation(len(pictures))
        held, kept = order[: len(order) // 10], order[len(order) // 10 :]
        with initial_weights(seed):
            network = _Network(pictures.shape[1], pictures.shape[2], classes)
        network.standardise(pictures[kept])
        steps = -(-len(kept) // _BATCH)
        _fit(network, pictures, targets, kept, epochs or max(_EPOCHS, -(-_STEPS // steps)), seed)
        judge = cls(network, 0.0)
        judge.accuracy = float((judge.classes(pictures[held]) == targets[held]).mean())
        return judge

    @classmethod
    def cached(
        cls,
        images: ArrayLike,
        labels: ArrayLike,
        *,
        classes: int,
        seed: int,
        epochs: int | None = None,
        folder: Path | None = None,
    ) -> "Judge":
        """`Judge.train`, kept on disk: the same images, labels and options cost nothing a second time.

        A file that is damaged is not trusted: a warning names it, and a new judge takes its place.

        Arguments:
            folder: where judges are kept; None takes `judges` in the user's cache. Others: as those of `train`.
        """
        pictures, targets = _check_images(images), _check_labels(labels, classes)
        options = {"classes": classes, "seed": seed, "epochs": epochs, "architecture": _ARCHITECTURE}
        key = judge_key(pictures, targets, options)
        state = read_judge(key, folder)
        if state is not None:
            return cls.load(state)
        judge = cls.train(pictures, targets, classes=classes, seed=seed, epochs=epochs)
        write_judge(key, judge.state(), folder)
        return judge

    def probabilities(self, images: ArrayLike) -> NDArray[np.float32]:
        """The probability of each class for each image: `[n, classes]`."""
        return self._chunked(images, lambda x: torch.softmax(self._network(x), dim=1), self._network.classes)

    def classes(self, images: ArrayLike) -> NDArray[np.int64]:
        """The likeliest class of each image: `[n]`."""
        likeliest: NDArray[np.int64] = self.probabilities(images).argmax(axis=1)
        return likeliest

    def shares(self, images: ArrayLike) -> NDArray[np.float64]:
        """The share of each class among the images: `[classes]`, all 0 for no images."""
        found = self.classes(images)
        counts = np.bincount(found, minlength=self._network.classes)
        shares: NDArray[np.float64] = counts / max(len(found), 1)
        return shares

    def features(self, images: ArrayLike) -> NDArray[np.float32]:
        """The values of the last hidden layer, in which images are compared: `[n, 64]`."""
        return self._chunked(images, self._network.features, self._network.width)

    def state(self) -> State:
        """Weights, sizes and accuracy, as plain arrays and numbers."""
        network = self._network
        sizes = {"rows": network.size[0], "columns": network.size[1], "classes": network.classes}
        return {"module": as_arrays(network), **sizes, "accuracy": self.accuracy}

    @classmethod
    def load(cls, state: State) -> "Judge":
        """The judge whose `state()` this is.

        Raises:
            ArchitectureError: the weights are those of another network.
        """
        with initial_weights(0):
            network = _Network(int(state["rows"]), int(state["columns"]), int(state["classes"]))
        load_arrays(network, state["module"])
        return cls(network, float(state["accuracy"]))

    def _chunked(self, images: ArrayLike, of: Callable[[Tensor], Tensor], width: int) -> NDArray[np.float32]:
        pictures = _check_images(images)
        if pictures.shape[1:] != self._network.size:
            raise JudgeError(
                f"images are {pictures.shape[1]} × {pictures.shape[2]}, expected "
                f"{self._network.size[0]} × {self._network.size[1]} as this judge was trained on; train another"
            )
        use_threads(1)
        made = np.empty((len(pictures), width), np.float32)
        with torch.no_grad():
            for start in range(0, len(pictures), _CHUNK):
                chunk = torch.as_tensor(pictures[start : start + _CHUNK])
                made[start : start + _CHUNK] = of(chunk).numpy()
        return made


class _Network(nn.Module):
    """Images `[n, rows, columns]` → logits `[n, classes]`; the images are brought to mean 0 and variance 1 first."""

    width = 64
    centre: Tensor
    spread: Tensor

    def __init__(self, rows: int, columns: int, classes: int) -> None:
        super().__init__()
        self.size, self.classes = (rows, columns), classes
        first = 2 if min(rows, columns) >= 16 else 1  # small images are not halved twice
        kernel = 5 if first == 2 else 3
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 16, kernel, stride=first, padding=kernel // 2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        height, breadth = (math.ceil(size / (2 * first)) for size in self.size)
        self.hidden = nn.Linear(32 * height * breadth, self.width)
        self.output = nn.Linear(self.width, classes)
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def standardise(self, images: NDArray[np.float32]) -> None:
        """Sets the affine map of pixels from these images."""
        spread = float(images.std(dtype=np.float64))
        self.centre = torch.tensor(float(images.mean(dtype=np.float64)), dtype=torch.float32)
        self.spread = torch.tensor(spread or 1.0, dtype=torch.float32)

    def features(self, images: Tensor) -> Tensor:
        """`[n, width]`."""
        scaled = (images - self.centre) / self.spread
        return torch.relu(self.hidden(self.convolutions(scaled[:, None])))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.output(self.features(images))
        return logits


def _fit(
    network: _Network,
    pictures: NDArray[np.float32],
    targets: NDArray[np.int64],
    rows: NDArray[np.int64],
    epochs: int,
    seed: int,
) -> None:
    images, labels = torch.as_tensor(pictures), torch.as_tensor(targets)
    optimizer = torch.optim.Adam(network.parameters(), lr=_RATE, foreach=True)
    total = epochs * -(-len(rows) // _BATCH)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (total + 1))
    rng = np.random.default_rng([seed, 1])
    for _ in range(epochs):
        order = torch.as_tensor(rng.permutation(rows))
        for start in range(0, len(rows), _BATCH):
            batch = order[start : start + _BATCH]
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            decay.step()


def _check_images(images: ArrayLike) -> NDArray[np.float32]:
    array = np.asarray(images)
    if array.dtype.kind not in "biuf" or array.ndim != 3 or min(array.shape[1:]) < _SMALLEST:
        raise JudgeError(
            f"images came with shape {array.shape} and dtype {array.dtype}, expected numbers "
            f"[n, rows, columns] with at least {_SMALLEST} rows and columns"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise JudgeError("images hold NaN or an infinity, expected finite numbers")
    return np.ascontiguousarray(array, np.float32)


def _check_labels(labels: ArrayLike, classes: int) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise JudgeError(f"labels came with shape {array.shape} and dtype {array.dtype}, expected integers [n]")
    if array.size and not (array.min() >= 0 and array.max() < classes):
        raise JudgeError(
            f"labels are {array.min()} to {array.max()}, expected 0 to {classes - 1}; "
            "give `classes` as many as there are"
        )
    return array.astype(np.int64)
