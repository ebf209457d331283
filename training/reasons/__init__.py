"""Why a customer scores as they do: contributions to the churn probability, and a sentence for each of the strongest.

kept         what a snapshot keeps of customers
last_order   facts about it, and the features by which a state goes with them
subjects     what a reason may speak of, and which inputs belong to it
risk         the probability and its gradient
attribution  integrated gradients
segments     customers who come about as often, and what is usual among them
themes       which subjects are told together
leaders      which of them tells a theme
explaining   the three strongest reasons
wording      words for the value of each indicator
sentences    a sentence for each reason
"""

from training.reasons.explaining import NUM_REASONS, Explainer, Explanations
from training.reasons.kept import Kept
from training.reasons.segments import Usual, measure_usual
from training.reasons.sentences import write_sentences
from training.reasons.subjects import NUM_SUBJECTS, RECENT_EVENTS, SUBJECTS, Subject
from training.reasons.themes import THEMES

__all__ = [
    "NUM_REASONS",
    "NUM_SUBJECTS",
    "RECENT_EVENTS",
    "SUBJECTS",
    "THEMES",
    "Explainer",
    "Explanations",
    "Kept",
    "Subject",
    "Usual",
    "measure_usual",
    "write_sentences",
]
