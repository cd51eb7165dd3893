"""Reference capabilities: who may have an object, and who may change it."""

from remuda._kernel import FrozenDict as FrozenDict
from remuda._kernel import Iso as Iso
from remuda._kernel import Tag as Tag
from remuda._kernel import Unchecked as Unchecked
from remuda._kernel import Val as Val
from remuda._kernel import consume as consume
from remuda._kernel import is_sendable as is_sendable
from remuda._kernel import iso as iso
from remuda._kernel import prove_isolated as prove_isolated
from remuda._kernel import unchecked as unchecked
from remuda._kernel import val as val
from remuda.capabilities.freezing import freeze as freeze
from remuda.capabilities.moves import recover as recover
from remuda.capabilities.moves import swap as swap
from remuda.capabilities.moves import tag as tag
from remuda.capabilities.owned import Box as Box
from remuda.capabilities.owned import Ref as Ref
from remuda.capabilities.owned import Tracked as Tracked
from remuda.capabilities.owned import Trn as Trn
from remuda.capabilities.owned import box as box
from remuda.capabilities.owned import ref as ref
from remuda.capabilities.owned import trn as trn
from remuda.capabilities.rules import register_immutable as register_immutable

__all__ = [
    "Box",
    "FrozenDict",
    "Iso",
    "Ref",
    "Tag",
    "Tracked",
    "Trn",
    "Unchecked",
    "Val",
    "box",
    "consume",
    "freeze",
    "is_sendable",
    "iso",
    "prove_isolated",
    "recover",
    "ref",
    "register_immutable",
    "swap",
    "tag",
    "trn",
    "unchecked",
    "val",
]
