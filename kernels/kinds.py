"""What an event is, as a number: the codes that kernels tell apart. The numbers are stored at rest: never renumber."""

from __future__ import annotations

from typing import Final

PURCHASE: Final = 1
RETURN: Final = 2
VISIT: Final = 3
LOGIN: Final = 4
FEEDBACK: Final = 5
COMPLAINT: Final = 6
CONTACT: Final = 7
