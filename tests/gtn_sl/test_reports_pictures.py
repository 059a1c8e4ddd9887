"""The choice of one image per class for pictures of a batch."""

import torch

from gtn_sl.reports.pictures import one_of_each


def test_one_of_each_picks_likeliest_image_of_each_class():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    labels = torch.tensor([[0.1, 0.9, 0.0], [0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.0, 1.0, 0.0]])
    chosen = one_of_each(images, labels)
    assert chosen.shape == (3, 1, 2, 2)
    assert chosen[:, 0, 0, 0].tolist() == [1.0, 3.0, 0.0]  # no image has the last class: a dark one
