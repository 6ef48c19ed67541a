"""Which sample comes when: a pure function, so that a run resumes anywhere and splits over processes."""

from __future__ import annotations

import numpy as np


class SampleOrder:
    """The endless sequence of (epoch, index): each epoch a fresh permutation of the pictures.

    Args:
        length: How many pictures there are.
        seed: Of the permutations.
    """

    def __init__(self, length: int, seed: int):
        self.length = length
        self.seed = seed
        self._epoch = -1
        self._permutation = np.empty(0, np.int64)

    def __getitem__(self, position: int) -> tuple[int, int]:
        """(epoch, index of the picture) of the sample at a global position, counted from 0."""
        epoch, place = divmod(position, self.length)
        if epoch != self._epoch:
            self._permutation = np.random.default_rng([self.seed, epoch]).permutation(self.length)
            self._epoch = epoch
        return epoch, int(self._permutation[place])

    def batches(self, first_step: int, last_step: int, batch_size: int, process: int = 0, processes: int = 1):
        """Batches of (epoch, index) for one process from `first_step` up to, not including, `last_step`.

        `batch_size` counts the pictures of all processes in one optimizer step; process p takes each p-th share.
        """
        share = batch_size // processes
        for step in range(first_step, last_step):
            start = step * batch_size + process * share
            yield [self[position] for position in range(start, start + share)]
