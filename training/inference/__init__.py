"""The one forward path of validation, calibration, back-test, rescoring and live scores.

`encode_states` rolls customers' states over events, `look_ahead` reads the outlook off a state and a situation, and
`outlook_at` does both for whoever keeps no states; `survival_curves` is the part of it that speaks of churn.
`look_ahead_from_summary` spares those who keep summaries the situations, `SingleForward` is the same for one customer who waits
for the answer.
"""

from training.inference.curves import outlook_at, survival_curves
from training.inference.fitted import FittedModel
from training.inference.outlook import Outlook, look_ahead, look_ahead_from_summary
from training.inference.single import SingleForward
from training.inference.states import Before, encode_states

__all__ = [
    "Before",
    "FittedModel",
    "Outlook",
    "SingleForward",
    "encode_states",
    "look_ahead",
    "look_ahead_from_summary",
    "outlook_at",
    "survival_curves",
]
