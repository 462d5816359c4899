"""Layers that do with fewer products: what they answer to real input lies near a subspace, and they are made to answer within it.

Principal components of the answers, not of the weights, are kept (Zhang et al. 2016, "Accelerating very deep convolutional networks for
classification and detection", arXiv 1505.06798, section 2.1): what matters is how far the answers to what there is come out otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recognizer.models.convolution import MaskedConvolution, strided
from recognizer.models.masking import valid_frames
from recognizer.models.recurrent import RecurrentLayer


class Moments:
    """Count, sum and sum of products of vectors (D,), in float64."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: Tensor | float = 0.0
        self._products: Tensor | float = 0.0

    def add(self, vectors: Tensor) -> None:
        """Take in vectors (N, D)."""
        exact = vectors.double()
        self.count += len(exact)
        self._sum = self._sum + exact.sum(0)
        self._products = self._products + exact.T @ exact

    @property
    def mean(self) -> Tensor:
        """(D,)."""
        return torch.as_tensor(self._sum) / self.count

    @property
    def second(self) -> Tensor:
        """Means of products (D, D)."""
        return torch.as_tensor(self._products) / self.count

    @property
    def covariance(self) -> Tensor:
        """(D, D)."""
        return self.second - torch.outer(self.mean, self.mean)


@dataclass(frozen=True)
class Principal:
    """The directions in which vectors vary most, and how much of all their variation that is."""

    directions: Tensor  # (D, K), orthonormal
    share: float


def principal(products: Tensor, rank: int) -> Principal:
    """Of a symmetric matrix (D, D) the eigenvectors of the ``rank`` largest eigenvalues."""
    values, vectors = torch.linalg.eigh(products)
    kept, left = values[-rank:].clamp_min(0).sum(), values[:-rank].clamp_min(0).sum()
    return Principal(vectors[:, -rank:].flip(1), float(kept / (kept + left)) if kept > 0 else 1.0)


class ConvolutionWitness:
    """What a convolution of rank 0 answers within a network that runs, padding left out, normalised."""

    def __init__(self, layer: MaskedConvolution) -> None:
        self.layer, self.moments = layer, Moments()

    def note(self, _: nn.Module, arguments: tuple[Tensor, Tensor]) -> None:
        """A hook in front of the layer."""
        maps, lengths = arguments
        answers = self.layer.convolution(maps)
        scale, shift = self.layer.norm.affine(self.layer.norm.mean, self.layer.norm.variance)
        real = valid_frames(strided(lengths, self.layer.strides[1]), answers.shape[3])
        self.moments.add((answers.permute(0, 3, 2, 1) * scale + shift)[real].flatten(0, 1))

    def factor(self, rank: int) -> tuple[dict[str, Tensor], float]:
        """Weights of a layer of that rank, by their names within it, and the share of the variance that is left."""
        norm = self.layer.norm
        scale, _ = norm.affine(norm.mean, norm.variance)
        found = principal(self.moments.covariance, rank)
        kernels = self.layer.convolution.weight.double()
        filters = found.directions.T @ (kernels * scale.double()[:, None, None, None]).flatten(1)
        mixed = found.directions @ found.directions.T
        variance = (mixed @ self.moments.covariance @ mixed).diagonal().clamp_min(0)
        # the channels' means stay; those of the sums before normalisation follow from them
        weights = {
            "convolution.weight": filters.unflatten(1, kernels.shape[1:]),
            "mixing.weight": found.directions[:, :, None, None],
            "norm.mean": mixed @ (self.moments.mean - norm.bias.double() + scale.double() * norm.mean.double()),
            "norm.variance": variance,
            "norm.weight": (variance + norm.epsilon).sqrt(),
            "norm.bias": self.moments.mean,
        }
        return {name: tensor.float() for name, tensor in weights.items()}, found.share


class RecurrentWitness:
    """What a recurrent layer that reads whole frames is given within a network that runs, padding left out."""

    def __init__(self, layer: RecurrentLayer) -> None:
        self.layer, self.moments = layer, Moments()

    def note(self, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        """A hook in front of the layer."""
        frames, lengths = arguments[:2]
        self.moments.add(frames[valid_frames(lengths, frames.shape[1])])

    def factor(self, rank: int) -> tuple[dict[str, Tensor], float]:
        """As of :class:`ConvolutionWitness`; of what the frames add to the gates of both directions, no mean taken off."""
        sides = [side for side in ("forwards", "backwards") if getattr(self.layer, side) is not None]
        matrix = torch.cat([getattr(self.layer, side).weight_ih_l0 for side in sides]).detach().double()
        found = principal(matrix @ self.moments.second @ matrix.T, rank)
        projection = found.directions.T @ matrix
        # as large as the frames were on average, so that what reads it learns at the pace it did
        given = self.moments.second.diagonal().mean()
        size = ((projection @ self.moments.second @ projection.T).diagonal().mean() / given.clamp_min(1e-300)).sqrt().clamp_min(1e-12)
        parts = (found.directions * size).float().split([len(getattr(self.layer, side).weight_ih_l0) for side in sides])
        weights = {f"{side}.weight_ih_l0": part.contiguous() for side, part in zip(sides, parts, strict=True)}
        return {"projection.weight": (projection / size).float(), **weights}, found.share
