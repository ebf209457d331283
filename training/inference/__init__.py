"""The one forward path of validation, calibration, back-test, rescoring and live scores.

`encode_states` rolls customers' states over events, `look_ahead` reads the outlook off a state and a situation, and
`survival_curves` does both for whoever keeps no states. `look_ahead_from_summary` spares those who keep summaries the situations,
`SingleForward` is the same for one customer who waits for the answer.
"""

from training.inference.curves import survival_curves
from training.inference.fitted import FittedModel
from training.inference.outlook import Outlook, look_ahead, look_ahead_from_summary
from training.inference.single import SingleForward
from training.inference.states import encode_states

__all__ = [
    "FittedModel",
    "Outlook",
    "SingleForward",
    "encode_states",
    "look_ahead",
    "look_ahead_from_summary",
    "survival_curves",
]
