"""What any model has to beat, each fitted on what was known before the as-of and asked about the same customers."""

from training.baselines.catalogue import BASELINE_NAMES, QUICK_BASELINES, BaselineAnswer, ask_baseline
from training.baselines.question import Question, collect_outcomes, pose_question

__all__ = [
    "BASELINE_NAMES",
    "QUICK_BASELINES",
    "BaselineAnswer",
    "Question",
    "ask_baseline",
    "collect_outcomes",
    "pose_question",
]
