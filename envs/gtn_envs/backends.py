"""Array backends of the vector environments, numpy and torch: they validate actions and convert arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium import error, spaces

from gtn_envs.box_action import accepted_bounds
from gtn_envs.space_encoding import Space
from gtn_envs.valid_weights import Array

if TYPE_CHECKING:
    import torch


BACKENDS = ("numpy", "torch")


class Backend(Protocol):
    """Operations on arrays of one library on one device; ``Any`` stands for the array type."""

    def actions(self, actions: Any, copies: int) -> tuple[Any, Any]:
        """Returns actions, zero-based (n,) or flat (n, m), and a boolean: whether any of them is outside the space.

        Raises:
            gymnasium.error.InvalidAction: The actions do not have the batched space's shape or kind of dtype.
        """

    def array(self, array: npt.NDArray[Any]) -> Any:
        """Converts a numpy array to this backend; always a copy."""

    def constant(self, array: npt.NDArray[Any]) -> Any:
        """Converts a numpy array that is never modified; a copy only where necessary."""

    def on_host(self, done: Any, wrong: Any) -> tuple[npt.NDArray[np.bool_], bool]:
        """Returns a mask (n,) as a numpy array and a flag as a bool, in one transfer."""

    def observations(self, states: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Returns states (n, d) as observations (n, *shape) that do not share memory with them."""

    def rewards(self, rewards: Any) -> Any:
        """Returns rewards as ``step`` returns them."""


class NumpyBackend:
    """numpy arrays: observations of the space's dtype, rewards in float64, as in Gymnasium's ``SyncVectorEnv``."""

    def __init__(self, space: Space) -> None:
        self._space = space
        if isinstance(space, spaces.Box):
            self._low, self._high = accepted_bounds(space)

    def actions(self, actions: Any, copies: int) -> tuple[npt.NDArray[Any], bool]:
        """Validates and converts actions; see ``Backend``."""
        space = self._space
        if isinstance(space, spaces.Discrete):
            array = np.asarray(actions)
            if array.shape != (copies,) or array.dtype.kind not in "iu":
                raise _refused(actions, copies, space)
            first = int(space.start)
            outside = bool(array.min() < first or array.max() >= first + int(space.n))  # before uint64 can wrap
            array = array.astype(np.int64, copy=False)  # narrow integer types would overflow later
            return (array if first == 0 else array - first), outside
        try:
            array = np.asarray(actions, space.dtype)
        except (TypeError, ValueError):
            raise _refused(actions, copies, space) from None
        if array.shape != (copies, *space.shape):
            raise _refused(actions, copies, space)
        inside = (array >= self._low).all() and (array <= self._high).all()
        return array.reshape(copies, -1).astype(np.float32, copy=False), not inside

    def array(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Returns a copy; see ``Backend``."""
        return np.array(array)

    def constant(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Returns the array itself; see ``Backend``."""
        return array

    def on_host(self, done: npt.NDArray[np.bool_], wrong: bool) -> tuple[npt.NDArray[np.bool_], bool]:
        """Returns both unchanged; see ``Backend``."""
        return done, wrong

    def observations(self, states: Array, shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
        """Returns states as observations; see ``Backend``."""
        return states.astype(dtype).reshape(len(states), *shape)

    def rewards(self, rewards: Array) -> npt.NDArray[np.float64]:
        """Returns the rewards in float64; see ``Backend``."""
        return rewards.astype(np.float64)


class TorchBackend:
    """Tensors on one device; no gradients are recorded, and no tensor is an inference tensor, wherever it was made."""

    def __init__(self, space: Space, device: str | torch.device | None) -> None:
        import torch

        self.device = torch.device(device or "cpu")
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"device {str(device)!r} requested, but PyTorch sees no GPU")
        self._space = space
        if isinstance(space, spaces.Box):
            self._low, self._high = map(self.array, accepted_bounds(space))
            self._dtype = getattr(torch, str(space.dtype))

    def actions(self, actions: Any, copies: int) -> tuple[Any, Any]:
        """Validates and converts actions; see ``Backend``."""
        import torch

        space = self._space
        if isinstance(actions, np.ndarray):
            actions = np.ascontiguousarray(actions)  # torch does not support negative strides
        try:
            tensor = torch.as_tensor(actions, device=self.device)
        except (TypeError, ValueError, RuntimeError):
            raise _refused(actions, copies, space) from None
        if tuple(tensor.shape) != (copies, *(space.shape or ())):
            raise _refused(actions, copies, space)
        if isinstance(space, spaces.Discrete):
            if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
                raise _refused(actions, copies, space)
            whole = tensor.long()
            if tensor.dtype == torch.uint64:
                whole = whole.where(whole >= 0, torch.iinfo(torch.long).max)  # those that wrapped
            index = whole - int(space.start)
            safe = index.clamp(0, int(space.n) - 1)  # an out-of-range index would trigger a device-side assert on CUDA
            return safe, (safe != index).any()
        tensor = tensor.to(self._dtype)
        inside = ((tensor >= self._low) & (tensor <= self._high)).all()
        return tensor.reshape(copies, -1).float(), ~inside

    def array(self, array: npt.NDArray[Any]) -> Any:
        """Returns a copy; see ``Backend``."""
        import torch

        with torch.inference_mode(False):
            return torch.tensor(np.ascontiguousarray(array), device=self.device)

    def constant(self, array: npt.NDArray[Any]) -> Any:
        """Returns a copy; see ``Backend``."""
        return self.array(array)

    @contextlib.contextmanager
    def untracked(self) -> Iterator[None]:
        """Disables gradients, and a caller's ``torch.inference_mode``, whose tensors could not be modified later."""
        import torch

        with torch.inference_mode(False), torch.no_grad():
            yield

    def on_host(self, done: Any, wrong: Any) -> tuple[npt.NDArray[np.bool_], bool]:
        """Copies a mask and a flag to the host; see ``Backend``."""
        import torch

        both = torch.cat([done, wrong.reshape(1)]).cpu().numpy()
        return both[:-1], bool(both[-1])

    def observations(self, states: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Returns states as observations; see ``Backend``."""
        import torch

        return states.to(getattr(torch, str(dtype)), copy=True).reshape(len(states), *shape)

    def rewards(self, rewards: Any) -> Any:
        """Returns the rewards unchanged; see ``Backend``."""
        return rewards


def make_backend(name: str, space: Space, device: str | torch.device | None) -> Backend:
    """Returns a backend by name.

    Args:
        name: One of ``BACKENDS``.
        space: Action space of a single environment.
        device: Device of the torch backend; the CPU if None.

    Raises:
        ValueError: The name is unknown, a device is given for numpy, or it is a GPU and PyTorch sees none.
    """
    if name == "torch":
        return TorchBackend(space, device)
    if name != "numpy":
        raise ValueError(f"backend is {name!r}, expected one of {BACKENDS}")
    if device is not None:
        raise ValueError(f"device is {device!r}, but only the torch backend takes a device")
    return NumpyBackend(space)


def _refused(actions: Any, copies: int, space: Space) -> error.InvalidAction:
    found = f"{type(actions).__name__} of shape {getattr(actions, 'shape', None)} and dtype {getattr(actions, 'dtype', None)}"
    return error.InvalidAction(f"expected a batch of {copies} actions of {space}, got a {found}")
