"""A picture shows one image a class, whatever order and labels a batch has."""

import torch

from gtn_sl.reports.pictures import one_of_each


def test_the_image_that_is_most_of_a_class_stands_for_it():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    labels = torch.tensor([[0.1, 0.9, 0.0], [0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.0, 1.0, 0.0]])
    chosen = one_of_each(images, labels)
    assert chosen.shape == (3, 1, 2, 2)
    assert chosen[:, 0, 0, 0].tolist() == [1.0, 3.0, 0.0]  # the last class is in no image: as dark as the darkest
