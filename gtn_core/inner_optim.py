"""Inner optimizers as pure functions on flat vectors: ``init``, ``update``, and the pull-back that the adjoint needs.

They work elementwise, so that the parameters ``(S, D)`` of S learners side by side are updated at once. Each ``update``
is one step of the ``torch.optim`` class of the same name. Learning rate and momentum are arguments of each step, so
that they can be meta-learned (``Schedule``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from gtn_core.device import send
from gtn_core.learner import Learner
from gtn_core.registry import Registry

State = tuple[Tensor, ...]
"""An optimizer's state: tensors of phi's shape, or scalars."""


Itself = TypeVar("Itself")


class PulledBack(NamedTuple):
    """Adjoints of the inputs of one ``update``, under the same names."""

    phi: Tensor
    grad: Tensor
    state: State
    lr: Tensor
    momentum: Tensor


class UnboundOptimizer(Protocol):
    """A way to take inner steps that may depend on the shapes of a learner's parameters."""

    def bind(self, learner: Learner, phi: Tensor) -> InnerOptimizer:
        """Returns the optimizer for a learner whose parameters have the device and dtype of ``phi``."""


class InnerOptimizer(Protocol):
    """A way to take an inner step.

    Attributes:
        pull_back_needs_grad: Whether ``pull_back`` reads ``grad``; if not, the gradients need not be stored.
    """

    pull_back_needs_grad: ClassVar[bool]

    def init(self, phi: Tensor) -> State:
        """Returns the state before the first step, for parameters of shape ``(D,)`` or ``(S, D)``."""

    def update(self, phi: Tensor, grad: Tensor, state: State, lr: Tensor, momentum: Tensor) -> tuple[Tensor, State]:
        """Takes one step; ``lr`` and ``momentum`` are scalars. Returns the new parameters and state."""

    def pull_back(
        self,
        phi: Tensor,
        grad: Tensor | None,
        state: State,
        lr: Tensor,
        momentum: Tensor,
        new_state: State,
        adjoint_phi: Tensor,
        adjoint_state: State,
    ) -> PulledBack:
        """Maps the adjoints of ``update``'s results to those of its arguments."""


class _AnyLearner:
    def bind(self: Itself, learner: Learner, phi: Tensor) -> Itself:
        """See ``UnboundOptimizer.bind``; the optimizer is the same for every learner."""
        return self


class _ByAutograd(_AnyLearner):
    """The pull-back of any ``update`` by autograd on its vectors, cheap compared with a learner's backward pass."""

    pull_back_needs_grad: ClassVar[bool] = True

    def update(self, phi: Tensor, grad: Tensor, state: State, lr: Tensor, momentum: Tensor) -> tuple[Tensor, State]:
        raise NotImplementedError

    def pull_back(
        self,
        phi: Tensor,
        grad: Tensor | None,
        state: State,
        lr: Tensor,
        momentum: Tensor,
        new_state: State,
        adjoint_phi: Tensor,
        adjoint_state: State,
    ) -> PulledBack:
        """See ``InnerOptimizer.pull_back``."""
        assert grad is not None
        with torch.enable_grad():
            phi, grad, lr, momentum, *inner = (
                tensor.detach().requires_grad_() for tensor in (phi, grad, lr, momentum, *state)
            )
            new_phi, new_state = self.update(phi, grad, tuple(inner), lr, momentum)
            adjoints = torch.autograd.grad(
                (new_phi, *new_state),
                (phi, grad, lr, momentum, *inner),
                (adjoint_phi, *adjoint_state),
                materialize_grads=True,
            )
        return PulledBack(adjoints[0], adjoints[1], adjoints[4:], adjoints[2], adjoints[3])


@dataclass(frozen=True)
class SGD(_AnyLearner):
    """Stochastic gradient descent with (undampened) momentum: ``b' = momentum b + g``, ``phi' = phi - lr b'``."""

    pull_back_needs_grad: ClassVar[bool] = False

    def init(self, phi: Tensor) -> State:
        """See ``InnerOptimizer.init``."""
        return (torch.zeros_like(phi),)

    def update(self, phi: Tensor, grad: Tensor, state: State, lr: Tensor, momentum: Tensor) -> tuple[Tensor, State]:
        """See ``InnerOptimizer.update``."""
        buffer = torch.addcmul(grad, momentum, state[0])
        return torch.addcmul(phi, lr, buffer, value=-1.0), (buffer,)

    def pull_back(
        self,
        phi: Tensor,
        grad: Tensor | None,
        state: State,
        lr: Tensor,
        momentum: Tensor,
        new_state: State,
        adjoint_phi: Tensor,
        adjoint_state: State,
    ) -> PulledBack:
        """See ``InnerOptimizer.pull_back``; in closed form, in four passes over the vectors."""
        u = torch.addcmul(adjoint_state[0], lr, adjoint_phi, value=-1.0)  # adjoint of b', and so of g
        return PulledBack(
            phi=adjoint_phi,
            grad=u,
            state=(momentum * u,),
            lr=-torch.dot(adjoint_phi.flatten(), new_state[0].flatten()),
            momentum=torch.dot(u.flatten(), state[0].flatten()),
        )


@dataclass(frozen=True)
class RMSProp(_ByAutograd):
    """RMSProp (Tieleman and Hinton, 2012) with momentum, as in ``torch.optim.RMSprop``.

    Attributes:
        alpha: Decay rate of the running average of squared gradients.
        eps: Added to the square root of that average.
    """

    alpha: float = 0.99
    eps: float = 1e-8

    def init(self, phi: Tensor) -> State:
        """See ``InnerOptimizer.init``."""
        return torch.zeros_like(phi), torch.zeros_like(phi)

    def update(self, phi: Tensor, grad: Tensor, state: State, lr: Tensor, momentum: Tensor) -> tuple[Tensor, State]:
        """See ``InnerOptimizer.update``."""
        square, buffer = state
        square = self.alpha * square + (1 - self.alpha) * grad * grad
        buffer = momentum * buffer + grad / (_root(square) + self.eps)
        return phi - lr * buffer, (square, buffer)


@dataclass(frozen=True)
class Adam(_ByAutograd):
    """Adam (Kingma and Ba, ICLR 2015) as in ``torch.optim.Adam``; the step's momentum is beta1.

    The bias correction of the first moment divides by one minus the product of the betas so far, which is the usual
    ``1 - beta1^t`` if beta1 is constant.

    Attributes:
        beta2: Decay rate of the running average of squared gradients.
        eps: Added to the square root of that average.
    """

    beta2: float = 0.999
    eps: float = 1e-8

    def init(self, phi: Tensor) -> State:
        """See ``InnerOptimizer.init``."""
        return torch.zeros_like(phi), torch.zeros_like(phi), phi.new_ones(()), phi.new_ones(())

    def update(self, phi: Tensor, grad: Tensor, state: State, lr: Tensor, momentum: Tensor) -> tuple[Tensor, State]:
        """See ``InnerOptimizer.update``."""
        mean, square, decay1, decay2 = state
        mean = momentum * mean + (1 - momentum) * grad
        square = self.beta2 * square + (1 - self.beta2) * grad * grad
        decay1, decay2 = momentum * decay1, self.beta2 * decay2
        root = _root(square) / (1 - decay2).sqrt() + self.eps
        return phi - lr / (1 - decay1) * mean / root, (mean, square, decay1, decay2)


def _root(square: Tensor) -> Tensor:
    """Returns the square root with derivative 0 at 0: a parameter that had no gradient yet must not give NaN."""
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)


@dataclass(frozen=True)
class FanInRates:
    """An optimizer whose learning rate, for weights with more than ``fan_in`` inputs, falls as one over their number.

    A learning rate of Adam then suits networks of all widths (Yang and Hu et al., *Tensor Programs V*, NeurIPS 2021,
    table 3): many weights that move alike would together move their sum too far.

    Attributes:
        optimizer: The optimizer whose learning rates are scaled.
        fan_in: Number of inputs up to which a weight has the whole learning rate.
    """

    optimizer: InnerOptimizer
    fan_in: int

    def bind(self, learner: Learner, phi: Tensor) -> InnerOptimizer:
        """See ``UnboundOptimizer.bind``."""
        shares = (self.fan_in / learner.fan_in()).clamp(max=1.0)
        return ScaledRates(self.optimizer, send(shares.to(phi.dtype), phi.device))


@dataclass(frozen=True, eq=False)
class ScaledRates(_ByAutograd):
    """An optimizer with a separate learning rate for each parameter.

    Attributes:
        optimizer: Computes the whole step.
        factors: Factors on the learning rate, shape ``(D,)``, on the device of the parameters.
    """

    optimizer: InnerOptimizer
    factors: Tensor

    def init(self, phi: Tensor) -> State:
        """See ``InnerOptimizer.init``."""
        return self.optimizer.init(phi)

    def update(self, phi: Tensor, grad: Tensor, state: State, lr: Tensor, momentum: Tensor) -> tuple[Tensor, State]:
        """See ``InnerOptimizer.update``; each parameter takes its fraction of the whole step."""
        whole, state = self.optimizer.update(phi, grad, state, lr, momentum)
        return phi.lerp(whole, self.factors), state


INNER_OPTIMIZERS: Registry[type[SGD | RMSProp | Adam]] = Registry("inner optimizer")
INNER_OPTIMIZERS.register("sgd")(SGD)
INNER_OPTIMIZERS.register("rmsprop")(RMSProp)
INNER_OPTIMIZERS.register("adam")(Adam)


def inner_optimizer(name: str, eps: float, fan_in: int = 0) -> UnboundOptimizer:
    """Returns an inner optimizer by name.

    Args:
        name: A name in ``INNER_OPTIMIZERS``.
        eps: Epsilon of the optimizers that divide by a root of squared gradients; SGD does not.
        fan_in: See ``FanInRates``; 0 gives all parameters the same learning rate.

    Raises:
        UsageError: The name is unknown.
    """
    kind = INNER_OPTIMIZERS[name]
    optimizer = kind(eps=eps) if any(field.name == "eps" for field in fields(kind)) else kind()  # type: ignore[call-arg]
    return FanInRates(optimizer, fan_in) if fan_in else optimizer
