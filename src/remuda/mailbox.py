"""The receiving side: an agent's own end of its mailbox, and the requests that come through it."""

from __future__ import annotations

from remuda._kernel import Mailbox, Request
from remuda.statistics import MailboxStatistics, Overflow, WatermarkEvent

__all__ = ["Mailbox", "MailboxStatistics", "Overflow", "Request", "WatermarkEvent"]
