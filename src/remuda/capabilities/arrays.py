"""How numpy arrays are frozen: laid over memory that nobody can write any more.

That an array can only be read doesn't mean that it stays as it is: who owns its memory may make it writeable again, and
a view that was made before may write all the time. So a frozen array is a new one, over a `_FrozenMemory`, which has
the memory of a copy, or that of the array itself if nobody else has a way to it.

Whether somebody has is told by counting references: views, memoryviews and whatever else looks into an array refer to
it. Counts are only compared while the object is in containers that are known, and in no variable, because how many
references a variable is depends on the interpreter. Without a GIL they are not to be relied on, and all is copied.
"""

from __future__ import annotations

import sys
import sysconfig
import weakref
from typing import Any

from remuda import _kernel
from remuda.capabilities.layouts import dict_of
from remuda.capabilities.rules import IMMUTABLE_MEMORY

__all__ = ["freeze_array", "is_alone", "is_dict_alone"]

_probe = [object()]
_TEMPORARY = sys.getrefcount(_probe[0]) - 1
"""What `getrefcount` counts for its argument."""

_COUNTS_ARE_TRUE = not sysconfig.get_config_var("Py_GIL_DISABLED")


def is_alone(holder: Any, index: int, holders: int) -> bool:
    """Whether only so many known containers refer to an object, and no variable or weak reference.

    Args:
        holder: A list or tuple that has it.
        index: Where.
        holders: How many containers are known to have it.
    """
    return (
        _COUNTS_ARE_TRUE
        and sys.getrefcount(holder[index]) == holders + _TEMPORARY
        and weakref.getweakrefcount(holder[index]) == 0
    )


def is_dict_alone(obj: Any) -> bool:
    """Whether nobody has taken the `__dict__` of an object that is alone itself."""
    return sys.getrefcount(dict_of(obj)) <= 1 + _TEMPORARY


def freeze_array(array: Any, owners: list[Any] | None) -> Any:
    """A frozen array of the same content, or the array itself if it is frozen.

    Args:
        array: The array; it holds no objects.
        owners: If nobody else has it, and nobody will have it: here what owned the memory is put, if it is kept.

    Returns:
        The frozen array.
    """
    if _is_frozen(array):
        return array
    owner = None if owners is None else _owner(array)
    if owner is None or owners is None:
        owner = array = array.copy(order="K")
    else:
        owners.append(owner)
    return _over_memory(array, owner)


def _is_frozen(array: Any) -> bool:
    ndarray = sys.modules["numpy"].ndarray
    while type(array) is ndarray:
        if array.flags.writeable:
            return False
        array = array.base
    return type(array) in IMMUTABLE_MEMORY


def _owner(array: Any) -> Any:
    """What owns the memory of an array that is alone: itself, or an array that only this one refers to."""
    if array.flags.writebackifcopy:
        return None
    if array.base is None:
        return array if array.flags.owndata else None
    if type(array.base) is not type(array) or array.base.base is not None:
        return None
    if (
        sys.getrefcount(array.base) != 1 + _TEMPORARY
        or weakref.getweakrefcount(array.base) != 0
        or not array.base.flags.owndata
        or array.base.dtype.hasobject
        or array.base.nbytes > 2 * array.nbytes  # which would keep much that nobody needs
    ):
        return None
    return array.base


def _over_memory(array: Any, owner: Any) -> Any:
    numpy = sys.modules["numpy"]
    if array.nbytes == 0:
        return numpy.ndarray(array.shape, array.dtype, b"")
    axes = sorted(range(owner.ndim), key=lambda axis: -abs(owner.strides[axis]))
    # In the order of the memory it is in one piece, so that nothing is copied.
    memory = owner.transpose(axes).reshape(-1).view(numpy.uint8)
    if not numpy.may_share_memory(memory, owner):
        array = array.copy(order="C")
        memory = array.reshape(-1).view(numpy.uint8)
    memory.flags.writeable = False
    offset = _address(array) - _address(memory)
    return numpy.ndarray(
        array.shape, array.dtype, _kernel._FrozenMemory(memory), offset, array.strides
    )


def _address(array: Any) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
